"""The one shape of asking a provider: who may settle, once, whatever happens in between."""

import asyncio
import json
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import BooksUnavailable, CleartillError
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.outcome import Approved, Declined, NotSent, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Loaded, Origin, Unit
from cleartill.usecases.settle import SETTLE_TRIES, settle
from fakes import World

HERE = Origin("resolver", "", "0" * 32, "0" * 16)
YES, NO = Approved("bnk_1", "REF1", "00"), Declined("do_not_honor", "05")


async def load(world: World) -> Loaded:
    ((_, key),) = world.memory.attempts
    return await world.books.load_attempt(DEMO_MERCHANT_ID, key)


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


@pytest.fixture
async def doubtful(world: World, pay: Any) -> World:
    """A payment in doubt, under the key k."""
    world.bank.answers(Unknown("timeout"))
    await pay(idempotency_key="k")
    return world


@pytest.mark.parametrize(("said", "status", "moved"), [(YES, "captured", 10_000), (NO, "failed", 0)])
async def test_whoever_learns_it_settles_it(doubtful: World, said: Any, status: str, moved: int) -> None:
    answer = await settle(doubtful.till, await load(doubtful), said, HERE)

    assert (answer.status, json.loads(answer.body)["status"]) == (201, status)
    assert the_payment(doubtful).status == status
    assert doubtful.memory.balance("merchant", "USD") == moved
    (held,) = doubtful.memory.claims.values()
    assert held.answer == answer
    assert [fact.type for fact, _ in doubtful.memory.facts][-1] == "payment.resolved"


async def test_more_doubt_says_nothing_new(doubtful: World) -> None:
    before = doubtful.memory.rows
    answer = await settle(doubtful.till, await load(doubtful), Unknown("not_yet"), HERE)

    assert answer.status == 202
    assert doubtful.memory.rows == before


async def test_two_who_learn_it_at_once_have_one_effect(doubtful: World) -> None:
    both = [await load(doubtful), await load(doubtful)]
    first, second = await asyncio.gather(*(settle(doubtful.till, loaded, YES, HERE) for loaded in both))

    assert first == second
    assert doubtful.memory.balance("merchant", "USD") == 10_000
    assert [fact.type for fact, _ in doubtful.memory.facts].count("payment.captured") == 1
    assert the_payment(doubtful).needs_review is None


@pytest.mark.parametrize(("first", "then"), [(YES, NO), (NO, YES)])
async def test_a_contradiction_moves_no_money_and_asks_for_a_person(doubtful: World, first: Any, then: Any) -> None:
    await settle(doubtful.till, await load(doubtful), first, HERE)
    status, balance = the_payment(doubtful).status, doubtful.memory.balance("merchant", "USD")

    for _ in range(2):
        await settle(doubtful.till, await load(doubtful), then, HERE)

    assert (the_payment(doubtful).status, doubtful.memory.balance("merchant", "USD")) == (status, balance)
    assert the_payment(doubtful).needs_review is not None
    assert [fact.type for fact, _ in doubtful.memory.facts].count("payment.needs_review") == 1
    assert ("invariant.breach", 1, {"name": "contradiction"}) in doubtful.watch.seen


async def test_the_mark_of_a_contradiction_outlives_a_move_of_the_payment(doubtful: World) -> None:
    await settle(doubtful.till, await load(doubtful), NO, HERE)
    moved = iter((True,))

    def meddle(_: Unit) -> None:
        if next(moved, False):
            the_payment(doubtful).version += 1

    doubtful.books.before_record = meddle
    await settle(doubtful.till, await load(doubtful), YES, HERE)

    assert the_payment(doubtful).needs_review is not None


async def test_a_contradiction_while_the_books_are_away_is_no_refusal(doubtful: World) -> None:
    await settle(doubtful.till, await load(doubtful), NO, HERE)
    loaded = await load(doubtful)
    doubtful.books.away = True

    assert (await settle(doubtful.till, loaded, YES, HERE)).status == 202


async def test_not_sent_and_declined_are_one_truth(world: World, pay: Any) -> None:
    world.bank.answers(NotSent("connect"))
    with pytest.raises(Exception, match="nothing was sent"):
        await pay()

    await settle(world.till, await load(world), Declined("not_charged"), HERE)

    assert the_payment(world).needs_review is None


async def test_a_payment_that_moved_is_loaded_and_decided_again(doubtful: World) -> None:
    moved = iter((True, True))

    def meddle(_: Unit) -> None:
        if next(moved, False):
            the_payment(doubtful).version += 1

    stale = await load(doubtful)
    doubtful.books.before_record = meddle
    assert (await settle(doubtful.till, stale, YES, HERE)).status == 201
    assert doubtful.memory.balance("merchant", "USD") == 10_000


async def test_a_payment_that_never_stands_still_is_left_to_the_resolver(doubtful: World) -> None:
    tries: list[Unit] = []

    def meddle(unit: Unit) -> None:
        tries.append(unit)
        the_payment(doubtful).version += 1

    doubtful.books.before_record = meddle
    answer = await settle(doubtful.till, await load(doubtful), YES, HERE)

    assert answer.status == 202
    assert len(tries) == SETTLE_TRIES
    assert (await load(doubtful)).attempt.status is AttemptStatus.OPEN  # type: ignore[union-attr]


async def test_books_away_leave_it_open(doubtful: World) -> None:
    loaded = await load(doubtful)
    doubtful.books.away = True
    answer = await settle(doubtful.till, loaded, YES, HERE)
    doubtful.books.away = False

    assert (answer.status, json.loads(answer.body)["status"]) == (202, "in_doubt")
    assert doubtful.memory.balance("merchant", "USD") == 0
    assert (await settle(doubtful.till, await load(doubtful), YES, HERE)).status == 201


async def test_an_outcome_that_the_books_refuse_is_no_error_for_the_caller(doubtful: World) -> None:
    def refuse(_unit: Unit) -> None:
        raise CleartillError("The books refused a unit")

    doubtful.books.before_record = refuse
    answer = await settle(doubtful.till, await load(doubtful), YES, HERE)

    assert (answer.status, json.loads(answer.body)["status"]) == (202, "in_doubt")
    assert (await load(doubtful)).attempt.status is AttemptStatus.OPEN  # type: ignore[union-attr]


async def test_the_end_of_the_process_is_written_down_as_doubt(world: World, pay: Any) -> None:
    world.bank.hold = asyncio.Event()
    operation = asyncio.create_task(pay(idempotency_key="k"))
    while not world.bank.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    operation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await operation

    assert the_payment(world).status == "in_doubt"
    loaded = await load(world)
    assert loaded.attempt is not None
    assert (loaded.attempt.status, loaded.attempt.reason) == (AttemptStatus.OPEN, "cancelled")


async def test_an_operation_cancelled_before_its_intent_asks_nobody(world: World, pay: Any) -> None:
    operation = asyncio.create_task(pay())
    await asyncio.sleep(0)
    operation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await operation

    assert world.bank.asked == []


async def test_an_intent_written_too_late_asks_nobody(world: World, pay: Any) -> None:
    def late(unit: Unit) -> None:
        world.clock.advance(9)

    world.books.before_record = late
    with pytest.raises(BooksUnavailable):
        await pay()
    assert world.bank.asked == []
