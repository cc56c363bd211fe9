"""The use cases on real books and a scripted provider: refund caps, and doubt that is resolved."""

import asyncio
import json
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, ExceedsLeft
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import Approved, Declined, Unknown
from cleartill.ports import Till, Unit, Verdict
from cleartill.usecases.resolve import resolve
from cleartill.usecases.settle import settle
from fakes import Scripted, World
from real import MERCHANT, origin, rows
from real.orders import back, id_of, make_due, money, pay, status_of

YES = Approved("bnk_9", "REF9", "00")


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
    make_due(database_url)

    assert await resolve(till) == 1

    assert status_of(database_url) == [status]
    assert money(database_url) == moved
    assert rows(database_url, "SELECT answer_status FROM idempotency_keys") == [(201,)]
    assert [type for (type,) in rows(database_url, "SELECT type FROM outbox ORDER BY seq")][-1] == "payment.resolved"


async def test_never(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Unknown("timeout"))
    await pay(till)
    make_due(database_url)
    await resolve(till)

    assert status_of(database_url) == [("failed", "declined")]
    assert rows(database_url, "SELECT decline ->> 'code' FROM transactions") == [("not_charged",)]
    assert money(database_url) == 0


async def test_not_yet_is_asked_again(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await pay(till)
    world.bank.away = True
    make_due(database_url)
    assert await resolve(till) == 1
    assert status_of(database_url) == [("in_doubt", "open")]
    assert await resolve(till) == 0  # put off

    world.bank.away = False
    make_due(database_url)
    assert await resolve(till) == 1
    assert status_of(database_url) == [("captured", "approved")]
    assert rows(database_url, "SELECT tries FROM attempts") == [(2,)]


async def test_a_refund_in_doubt_is_asked_again_under_its_key(till: Till, world: World, database_url: str) -> None:
    paid = await pay(till)
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await back(till, id_of(paid), "60.00")
    make_due(database_url)
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
    make_due(database_url)
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
    make_due(database_url)
    await resolve(till)
    assert status_of(database_url) == [("captured", "approved")]
    assert money(database_url) == 10_000
