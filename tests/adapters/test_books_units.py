"""One unit on disk: whole or not at all, row by row, and the final answer byte for byte."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cleartill.domain.answers import answer
from cleartill.domain.card import CardSummary, SealedCard
from cleartill.domain.errors import CleartillError, NotFound
from cleartill.domain.outcome import Declined, NotSent, Unknown
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Hop, Unit, Verdict
from real import MERCHANT, Room, captured, claim, intent, open_room, origin, outcome, payment, refund_intent, rows

TABLES = ("transactions", "refunds", "attempts", "idempotency_keys", "ledger_entries", "audit_logs", "outbox")


def counts(url: str) -> dict[str, int]:
    return {table: rows(url, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


async def test_an_intent_is_a_payment_an_attempt_a_claim_and_a_fact(room: Room, database_url: str) -> None:
    unit = intent(payment(order_id="A-7", metadata={"b": 1, "a": ["ü", None]}), under=claim("k1"))

    assert await room.books.record(unit) is Verdict.RECORDED

    assert counts(database_url) == {
        "transactions": 1, "refunds": 0, "attempts": 1, "idempotency_keys": 1, "ledger_entries": 0, "audit_logs": 1,
        "outbox": 1,
    }  # fmt: skip
    loaded = await room.books.load(MERCHANT, unit.payment.id)
    assert loaded.payment == unit.payment
    assert loaded.payment.version == 1
    assert (await room.books.load_attempt(MERCHANT, f"{unit.payment.id}.authorize.1")).attempt == unit.attempt
    assert rows(database_url, "SELECT status, opened_by, settled_by, settled_at FROM attempts") == [
        ("open", unit.id, None, None)
    ]
    assert rows(database_url, "SELECT answer_status, answer_body, unit_id FROM idempotency_keys") == [
        (None, None, unit.id)
    ]
    assert unit.stamps.keys() == {"queued_ns", "began_ns", "committed_ns", "batch_id", "batch_rows"}


async def test_an_approval_moves_the_money_once_and_keeps_the_answer(room: Room, database_url: str) -> None:
    asked = intent(under=claim("k1"))
    await room.books.record(asked)
    said = outcome(asked)

    assert await room.books.record(said) is Verdict.RECORDED

    assert rows(database_url, "SELECT account, amount_minor, currency FROM ledger_entries ORDER BY account") == [
        ("acquirer", -10_000, "USD"),
        ("merchant", 10_000, "USD"),
    ]
    assert rows(database_url, "SELECT account, sum(amount_minor) FROM ledger_pending GROUP BY 1 ORDER BY 1") == [
        ("acquirer", -10_000),
        ("merchant", 10_000),
    ]
    assert rows(database_url, "SELECT seq, type FROM outbox ORDER BY seq") == [
        (1, "payment.created"),
        (2, "payment.captured"),
    ]
    assert rows(database_url, "SELECT seq, event, actor, request_id FROM audit_logs ORDER BY seq") == [
        (1, "payment.created", "key_1", "req_1"),
        (2, "payment.captured", "key_1", "req_1"),
    ]
    assert rows(database_url, "SELECT status, settled_by FROM attempts") == [("approved", said.id)]
    existing = await room.books.claimed(claim("k1"))
    assert existing is not None
    assert existing.answer == answer(asked.payment, None, made=True)
    assert json.loads(existing.answer.body)["status"] == "captured"


async def test_the_answer_comes_back_byte_for_byte(room: Room) -> None:
    """JSONB would reorder the keys, and print 10.0 and 1e2 its own way."""
    asked = intent(payment(metadata={"zz": 1, "a": 10.0, "ключ": "\u2028 \\ \" 'quoted' %s %(x)s"}), under=claim("k"))
    await room.books.record(asked)
    said = outcome(asked)
    await room.books.record(said)

    existing = await room.books.claimed(claim("k"))

    assert existing is not None
    assert existing.answer == said.answer


async def test_the_first_final_answer_stays(room: Room, database_url: str) -> None:
    asked = intent(under=claim("k"))
    await room.books.record(asked)
    said = outcome(asked)
    await room.books.record(said)
    first = said.answer
    assert first is not None
    again = refund_intent(asked.payment, 1)
    again.answer, again.attempt = replace(first, body="{}"), replace(again.attempt, claim=claim("k"))  # type: ignore[type-var]

    assert await room.books.record(again) is Verdict.RECORDED

    existing = await room.books.claimed(claim("k"))
    assert existing is not None
    assert existing.answer == first


async def test_a_conflict_writes_nothing(room: Room, database_url: str) -> None:
    paid = await captured(room.books)
    mine, theirs = (
        (await room.books.load(MERCHANT, paid.id)).payment,
        (await room.books.load(MERCHANT, paid.id)).payment,
    )
    assert await room.books.record(refund_intent(theirs, 10)) is Verdict.RECORDED
    before = counts(database_url)

    assert await room.books.record(refund_intent(mine, 10, under=claim("k"))) is Verdict.CONFLICT

    assert counts(database_url) == before
    assert await room.books.claimed(claim("k")) is None


async def test_two_units_of_one_payment_are_written_one_after_the_other(database_url: str) -> None:
    """First in, first out per key: the second finds a moved version, whatever batch they were taken into."""
    async with open_room(database_url, start=False) as room:
        asked = intent()
        first = asyncio.create_task(room.books.record(asked))
        await asyncio.sleep(0)
        second = asyncio.create_task(room.books.record(intent(replace(asked.payment, version=0))))
        await asyncio.sleep(0)
        room.writer.start()

        assert await first is Verdict.RECORDED
        with pytest.raises(CleartillError, match="transactions_pkey"):
            await second


@pytest.mark.parametrize(
    ("said", "status", "attempt", "kept"),
    [
        (Declined("card_declined", "05"), "failed", "declined", True),
        (Unknown("timeout"), "in_doubt", "open", True),
        (NotSent("connect"), "failed", "not_sent", False),
    ],
)
async def test_other_outcomes_move_no_money(
    room: Room, database_url: str, said: Declined | Unknown | NotSent, status: str, attempt: str, kept: bool
) -> None:
    asked = intent(under=claim("k"))
    await room.books.record(asked)

    await room.books.record(outcome(asked, said))

    assert rows(database_url, "SELECT status FROM transactions") == [(status,)]
    assert rows(database_url, "SELECT status FROM attempts") == [(attempt,)]
    assert counts(database_url)["ledger_entries"] == 0
    assert (await room.books.claimed(claim("k")) is not None) is kept


async def test_a_refund_is_reserved_then_done(room: Room, database_url: str) -> None:
    paid = await captured(room.books)
    asked = refund_intent(paid, 4_000, under=claim("r", f"refund:{paid.id}"))
    await room.books.record(asked)
    reserved = rows(database_url, "SELECT refund_reserved_minor, amount_refunded_minor FROM transactions")
    await room.books.record(outcome(asked))

    assert reserved == [(4_000, 0)]
    loaded = await room.books.load(MERCHANT, paid.id, asked.refund.id if asked.refund else None)
    assert (loaded.payment, loaded.refund) == (paid, asked.refund)
    assert loaded.payment.status is PaymentStatus.PARTIALLY_REFUNDED
    assert rows(database_url, "SELECT sum(amount_minor) FROM ledger_entries") == [(0,)]
    assert rows(database_url, "SELECT sum(amount_minor) FROM ledger_entries WHERE account = 'merchant'") == [(6_000,)]
    assert rows(database_url, "SELECT seq FROM outbox ORDER BY seq") == [(1,), (2,), (3,), (4,)]


async def test_a_unit_that_cannot_be_written_whole_is_not_written_at_all(room: Room, database_url: str) -> None:
    """The last of its rows is refused: the audit log has this (subject, seq) already."""
    asked = intent(under=claim("k"))
    rows(
        database_url,
        "INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, at) "
        "VALUES (%s, %s, 1, '', '', '', '', '{}', now())",
        MERCHANT,
        asked.payment.id,
    )
    before = counts(database_url)

    with pytest.raises(CleartillError, match="audit_logs_pkey"):
        await room.books.record(asked)

    assert counts(database_url) == before


async def test_hops_are_kept_with_the_first_fact(room: Room) -> None:
    unit = intent()
    unit.hops = [Hop("parse", 1_700_000_000_000_000_000, 1_700_000_000_002_500_000, tags={"bytes": 12})]
    await room.books.record(unit)

    steps = await room.reads.timeline(MERCHANT, unit.payment.id)

    assert [(step.name, step.outcome) for step in steps] == [
        ("parse", "ok"),
        ("payment.created", "recorded"),
        ("attempt.authorize", "opened"),
    ]
    assert steps[0].duration_ms == 2.5
    assert all(step.at.tzinfo is not None for step in steps)


async def test_times_are_utc_whatever_the_server_thinks(room: Room, database_url: str) -> None:
    rows(database_url, "ALTER DATABASE cleartill SET timezone = 'Asia/Kathmandu'")
    try:
        async with open_room(database_url) as elsewhere:
            unit = intent()
            await elsewhere.books.record(unit)
            loaded = (await elsewhere.books.load(MERCHANT, unit.payment.id)).payment
    finally:
        rows(database_url, "ALTER DATABASE cleartill RESET timezone")
    assert loaded.view() == unit.payment.view()
    assert loaded.created_at.utcoffset() == datetime.now(UTC).utcoffset()


async def test_a_card_is_kept_with_the_unit(room: Room) -> None:
    summary = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, "card_1")
    unit = intent(payment(card=summary))
    unit.card = SealedCard("card_1", MERCHANT, 3, bytes(range(256)), summary)
    await room.books.record(unit)

    assert await room.books.card(MERCHANT, "card_1") == unit.card
    with pytest.raises(NotFound):
        await room.books.card("merchant_456", "card_1")


async def test_a_review_is_a_unit_without_an_attempt(room: Room) -> None:
    paid = await captured(room.books)
    expecting = paid.version
    unit = Unit(paid, expecting, origin(), [paid.review("two answers", datetime.now(UTC))])

    assert await room.books.record(unit) is Verdict.RECORDED

    assert (await room.reads.payment(MERCHANT, paid.id)).needs_review == "two answers"
