"""Confirming a payment when something goes wrong: not sent, not heard, not written down, cut off."""

import asyncio

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import BooksUnavailable, ProviderUnavailable
from cleartill.domain.outcome import Approved, NotSent, Unknown
from cleartill.ports import Unit
from cleartill.usecases.resolve import resolve
from fakes import World
from fakes.steps import Steps, body, id_of

YES = Approved("bnk_9", "REF9", "00")


def status_in(world: World) -> str:
    (payment,) = world.memory.payments.values()
    return str(payment.status)


async def test_what_was_not_sent_is_pending_as_before_and_the_key_free(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await steps.confirm(made, key="k")

    (payment,) = world.memory.payments.values()
    assert (payment.status, payment.decline) == ("pending", None)
    assert world.memory.claims == {}
    assert [fact.type for fact, _ in world.memory.facts] == ["payment.created"]
    assert body(await steps.confirm(made, key="k"))["status"] == "captured"
    assert world.bank.asked[-1][1].attempt_key == f"{id_of(made)}.authorize.2"


async def test_nothing_is_written_when_the_provider_may_not_be_asked(world: World, steps: Steps) -> None:
    made = await steps.create()
    rows = world.memory.rows
    world.providers.refused.add("bank")
    with pytest.raises(ProviderUnavailable):
        await steps.confirm(made, key="k")
    assert (world.memory.rows, status_in(world)) == (rows, "pending")


async def test_nothing_is_asked_when_the_intent_cannot_be_written(world: World, steps: Steps) -> None:
    made = await steps.create()

    def lost(unit: Unit) -> None:
        raise BooksUnavailable("away")

    world.books.before_record = lost
    with pytest.raises(BooksUnavailable):
        await steps.confirm(made)
    assert (world.bank.asked, status_in(world)) == ([], "pending")


async def test_books_lost_after_the_approval_are_a_202_and_the_resolver_finishes(world: World, steps: Steps) -> None:
    made = await steps.create()

    def lost(unit: Unit) -> None:
        if not unit.is_intent:
            raise BooksUnavailable("away")

    world.bank.answers(YES)
    world.books.before_record = lost
    answer = await steps.confirm(made, key="k")
    assert (answer.status, body(answer)["status"], body(answer)["amount_captured"]) == (202, "in_doubt", 0)
    assert body(answer)["provider_payment_id"] is None
    assert (status_in(world), world.memory.journals) == ("processing", [])

    world.books.before_record = None
    world.clock.advance(10)
    await resolve(world.till)
    assert body(await steps.confirm(made, key="k"))["status"] == "captured"
    assert world.memory.balance("merchant", "USD") == 10_000


async def test_what_never_happened_is_failed_and_not_tried_again(world: World, steps: Steps) -> None:
    """The CVV is gone, and nobody knows whether the payer still wants it."""
    made = await steps.create()
    world.bank.answers(Unknown("timeout"))
    await steps.confirm(made)
    world.clock.advance(2)
    await resolve(world.till)
    assert (status_in(world), len(world.bank.asked)) == ("failed", 1)


async def test_the_end_of_the_process_is_written_down_as_doubt(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.bank.hold = asyncio.Event()
    operation = asyncio.create_task(steps.confirm(made, key="k"))
    await world.bank.reached.wait()
    operation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await operation

    (attempt,) = world.memory.attempts.values()
    assert (status_in(world), attempt.status, attempt.reason) == ("in_doubt", AttemptStatus.OPEN, "cancelled")


async def test_a_payment_that_moved_is_decided_again(world: World, steps: Steps) -> None:
    made = await steps.create()
    moved = iter((True, True))

    def meddle(unit: Unit) -> None:
        if unit.is_intent and next(moved, False):
            next(iter(world.memory.payments.values())).version += 1

    world.books.before_record = meddle
    assert body(await steps.confirm(made))["status"] == "captured"
    assert len(world.bank.asked) == 1
