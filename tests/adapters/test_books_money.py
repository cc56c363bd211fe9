"""The use cases on real books and a scripted provider: refund caps, idempotency, doubt."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import (
    BooksUnavailable,
    ExceedsLeft,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    ProviderUnavailable,
)
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import Approved, Declined, NotSent, Unknown
from cleartill.ports import SystemClock, Till, Unit, Verdict
from cleartill.usecases.attempt import settle
from cleartill.usecases.charge import Charge, charge
from cleartill.usecases.refund import RefundOrder, refund
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World
from real import MERCHANT, Room, later, open_room, origin, rows, till_on

YES = Approved("bnk_9", "REF9", "00")


@pytest.fixture
def world() -> World:
    return World(clock=SystemClock())  # type: ignore[arg-type]


@pytest.fixture
def till(room: Room, world: World) -> Till:
    return till_on(room, world)


@pytest.fixture
async def other(database_url: str, world: World) -> AsyncIterator[Till]:
    """Another process over the same books and the same bank."""
    async with open_room(database_url) as room:
        yield till_on(room, world)


def order(**changes: Any) -> Charge:
    card = Card(Pan("4242424242424242"), 12, 2040, Cvv("123"), Secret("Ada"))
    fields: dict[str, Any] = {
        "merchant_id": MERCHANT, "amount_minor": 10_000, "currency": "USD", "payment_method": "credit_card",
        "card": card, "card_token": None, "provider": None, "order_id": 7, "customer_email": None, "description": None,
        "metadata": {}, "idempotency_key": "k",
    }  # fmt: skip
    return Charge(**(fields | changes))


async def pay(till: Till, **changes: Any) -> Answer:
    return await charge(till, order(**changes), origin(), later(8))


async def back(till: Till, payment_id: str, amount: str | None, key: str | None = None) -> Answer:
    command = RefundOrder(MERCHANT, payment_id, amount, None, {}, key)
    return await refund(till, command, origin(), later(8))


def id_of(answer: Answer) -> str:
    found: str = json.loads(answer.body)["id"]
    return found


def status_of(url: str) -> list[tuple[Any, ...]]:
    return rows(url, "SELECT t.status, a.status FROM transactions t JOIN attempts a ON a.transaction_id = t.id")


async def make_due(url: str) -> None:
    rows(url, "UPDATE attempts SET resolve_at = now() WHERE status = 'open'")


def money(url: str) -> int:
    found: int = rows(url, "SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries WHERE account = 'merchant'")[0][0]
    return found


# ── refund caps ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_sixteen_refunds_of_sixty_percent_one_succeeds(till: Till, other: Till, database_url: str) -> None:
    paid = await pay(till)
    results = await asyncio.gather(
        *(back((till, other)[index % 2], id_of(paid), "60.00", f"r{index}") for index in range(16)),
        return_exceptions=True,
    )

    won = [result for result in results if isinstance(result, Answer)]
    assert [answer.status for answer in won] == [201]
    assert [type(result) for result in results if not isinstance(result, Answer)] == [ExceedsLeft] * 15
    assert money(database_url) == 4_000
    assert rows(database_url, "SELECT amount_refunded_minor, refund_reserved_minor FROM transactions") == [(6_000, 0)]
    assert rows(database_url, "SELECT count(*) FROM idempotency_keys") == [(2,)]


async def test_parts_until_nothing_is_left(till: Till, world: World, database_url: str) -> None:
    paid = await pay(till)
    for amount in ("30.00", "30.00", "39.99"):
        assert (await back(till, id_of(paid), amount)).status == 201
    with pytest.raises(ExceedsLeft):
        await back(till, id_of(paid), "0.02")
    assert (await back(till, id_of(paid), None)).status == 201

    assert money(database_url) == 0
    assert status_of(database_url)[0][0] == "refunded"
    assert [ask.amount_minor for verb, ask in world.bank.asked if verb == "refund"] == [3_000, 3_000, 3_999, 1]


async def test_small_refunds_at_once_all_fit(till: Till, other: Till, database_url: str) -> None:
    """A refund that fits gets no false no for having lost a race."""
    paid = await pay(till)
    answers = await asyncio.gather(*(back((till, other)[index % 2], id_of(paid), "10.00") for index in range(10)))

    assert {answer.status for answer in answers} == {201}
    assert status_of(database_url)[0][0] == "refunded"
    assert money(database_url) == 0


async def test_a_refund_in_doubt_stays_reserved(till: Till, world: World, database_url: str) -> None:
    paid = await pay(till)
    world.bank.answers(Unknown("timeout"))
    assert (await back(till, id_of(paid), "60.00")).status == 202

    with pytest.raises(ExceedsLeft):
        await back(till, id_of(paid), "60.00")

    assert rows(database_url, "SELECT amount_refunded_minor, refund_reserved_minor FROM transactions") == [(0, 6_000)]


async def test_a_declined_refund_gives_its_reservation_back(till: Till, world: World) -> None:
    paid = await pay(till)
    world.bank.answers(Declined("processing_error"))
    await back(till, id_of(paid), "60.00")

    assert (await back(till, id_of(paid), "60.00")).status == 201


# ── idempotency ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_thirty_two_at_once_in_two_processes_are_one_charge(
    till: Till, other: Till, world: World, database_url: str
) -> None:
    results = await asyncio.gather(*(pay((till, other)[index % 2]) for index in range(32)), return_exceptions=True)

    made = [result for result in results if isinstance(result, Answer)]
    assert [answer.replayed for answer in made].count(False) == 1
    assert len({answer.body for answer in made}) == 1
    assert {type(result) for result in results} <= {Answer, IdempotencyInProgress}
    assert len(world.bank.asked) == 1
    assert rows(database_url, "SELECT count(*) FROM transactions") == [(1,)]


async def test_a_repeat_gets_the_same_bytes_even_after_the_payment_moved_on(till: Till, world: World) -> None:
    first = await pay(till, metadata={"z": 1.50, "a": "ü"})
    await back(till, id_of(first), "1.00")
    again = await pay(till, metadata={"z": 1.50, "a": "ü"})

    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert len(world.bank.asked) == 2


async def test_a_key_with_another_body_is_refused(till: Till, world: World) -> None:
    await pay(till)
    with pytest.raises(IdempotencyKeyReused):
        await pay(till, amount_minor=10_001)
    assert len(world.bank.asked) == 1


async def test_a_repeat_while_the_first_runs_is_told_so(till: Till, world: World) -> None:
    world.bank.hold = asyncio.Event()
    first = asyncio.create_task(pay(till))
    while not world.bank.asked:
        await asyncio.sleep(0.005)
    with pytest.raises(IdempotencyInProgress):
        await pay(till)
    world.bank.hold.set()

    assert (await first).status == 201


async def test_in_doubt_then_final(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    first = await pay(till)
    repeated = await pay(till)
    await make_due(database_url)
    await resolve(till)
    final = await pay(till)

    assert (first.status, repeated.status, repeated.replayed) == (202, 202, True)
    assert (final.status, json.loads(final.body)["status"], id_of(final)) == (201, "captured", id_of(first))
    assert (await pay(till)).body == final.body


async def test_what_was_not_sent_frees_the_key(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await pay(till)

    assert (await pay(till)).status == 201
    assert sorted(status_of(database_url)) == [("captured", "approved"), ("failed", "not_sent")]


async def test_a_crashed_request_is_overdue_and_stays_so_while_the_resolver_tries(
    till: Till, world: World, database_url: str
) -> None:
    """Its claim answers 202, not 409, from the moment the resolver owns it."""
    world.bank.answers(MemoryError())  # the process dies in mid-call
    with pytest.raises(MemoryError):
        await pay(till)
    with pytest.raises(IdempotencyInProgress):
        await pay(till)
    await make_due(database_url)

    assert (await pay(till)).status == 202
    await till.backlog.due_attempts(10)  # a resolver took it, and died too
    assert (await pay(till)).status == 202


# ── doubt ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("truth", "status", "moved"),
    [(YES, ("captured", "approved"), 10_000), (Declined("do_not_honor", "05"), ("failed", "declined"), 0)],
)
async def test_found(
    till: Till, world: World, database_url: str, truth: Approved | Declined, status: tuple[str, str], moved: int
) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), truth))
    await pay(till)
    await make_due(database_url)

    assert await resolve(till) == 1

    assert status_of(database_url) == [status]
    assert money(database_url) == moved
    assert rows(database_url, "SELECT answer_status FROM idempotency_keys") == [(201,)]
    assert [type for (type,) in rows(database_url, "SELECT type FROM outbox ORDER BY seq")][-1] == "payment.resolved"


async def test_never(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Unknown("timeout"))
    await pay(till)
    await make_due(database_url)
    await resolve(till)

    assert status_of(database_url) == [("failed", "declined")]
    assert rows(database_url, "SELECT decline ->> 'code' FROM transactions") == [("not_charged",)]
    assert money(database_url) == 0


async def test_not_yet_is_asked_again(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await pay(till)
    world.bank.away = True
    await make_due(database_url)
    assert await resolve(till) == 1
    assert status_of(database_url) == [("in_doubt", "open")]
    assert await resolve(till) == 0  # put off

    world.bank.away = False
    await make_due(database_url)
    assert await resolve(till) == 1
    assert status_of(database_url) == [("captured", "approved")]
    assert rows(database_url, "SELECT tries FROM attempts") == [(2,)]


async def test_a_refund_in_doubt_is_asked_again_under_its_key(till: Till, world: World, database_url: str) -> None:
    paid = await pay(till)
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await back(till, id_of(paid), "60.00")
    await make_due(database_url)
    await resolve(till)

    asked = [ask.attempt_key for verb, ask in world.bank.asked if verb == "refund"]
    assert len(asked) == 2
    assert len(set(asked)) == 1
    assert money(database_url) == 4_000


async def test_many_settle_at_once_with_one_effect(till: Till, other: Till, world: World, database_url: str) -> None:
    """The request's late answer, the resolver and a callback."""
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await pay(till)
    (key,) = (ask.attempt_key for _, ask in world.bank.asked)

    async def finish(by: Till) -> Answer:
        return await settle(by, await by.books.load_attempt(MERCHANT, key), YES, origin())

    answers = await asyncio.gather(*(finish((till, other)[index % 2]) for index in range(8)))

    assert {answer.status for answer in answers} == {201}
    assert len({json.loads(answer.body)["status"] for answer in answers}) == 1
    assert money(database_url) == 10_000
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE type = 'payment.captured'") == [(1,)]


async def test_a_contradiction_asks_for_a_person_and_moves_no_money(
    till: Till, world: World, database_url: str
) -> None:
    world.bank.answers(Unknown("timeout"))
    first = await pay(till)
    await make_due(database_url)
    await resolve(till)
    loaded = await till.books.load_attempt(MERCHANT, f"{id_of(first)}.authorize.1")

    await settle(till, loaded, YES, origin())
    await settle(till, await till.books.load_attempt(MERCHANT, f"{id_of(first)}.authorize.1"), YES, origin())

    payment = await till.reads.payment(MERCHANT, id_of(first))
    assert payment.status == "failed"
    assert payment.needs_review is not None
    assert money(database_url) == 0
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE type = 'payment.needs_review'") == [(1,)]


async def test_books_lost_after_the_approval(till: Till, world: World, database_url: str) -> None:
    """202 from memory, nothing stored; the resolver finishes the attempt."""
    real = till.books

    class Lost:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def record(self, unit: Unit) -> Verdict:
            if not unit.is_intent:
                raise BooksUnavailable("away")
            return await real.record(unit)

    till.books = Lost()
    answer = await pay(till)
    till.books = real

    assert (answer.status, json.loads(answer.body)["status"]) == (202, "in_doubt")
    assert status_of(database_url) == [("processing", "open")]
    assert money(database_url) == 0
    await make_due(database_url)
    await resolve(till)
    assert status_of(database_url) == [("captured", "approved")]
    assert money(database_url) == 10_000
