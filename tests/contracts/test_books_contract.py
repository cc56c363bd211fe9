"""What every Books, Reads and Backlog must do: one suite, on the fakes and on PostgreSQL."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.card import CardSummary, SealedCard
from cleartill.domain.errors import BooksUnavailable, NotFound
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.ports import Lease, Published, Unit, Verdict
from real import MERCHANT, captured, claim, intent, origin, outcome, payment, refund_intent
from real.house import House

OTHER = "merchant_456"


async def test_what_was_recorded_can_be_loaded(house: House) -> None:
    unit = intent(payment(order_id=12, metadata={"a": [1, "ü"]}, description="d", customer_email="a@payer.example"))

    assert await house.books.record(unit) is Verdict.RECORDED

    assert (await house.books.load(MERCHANT, unit.payment.id)).payment == unit.payment
    assert await house.reads.payment(MERCHANT, unit.payment.id) == unit.payment
    loaded = await house.books.load_attempt(MERCHANT, f"{unit.payment.id}.authorize.1")
    assert (loaded.payment, loaded.refund, loaded.attempt) == (unit.payment, None, unit.attempt)


async def test_what_is_loaded_is_a_copy(house: House) -> None:
    paid = await captured(house.books)
    (await house.books.load(MERCHANT, paid.id)).payment.amount_refunded_minor = 7

    assert (await house.books.load(MERCHANT, paid.id)).payment.amount_refunded_minor == 0


async def test_a_moved_version_is_a_conflict(house: House) -> None:
    paid = await captured(house.books)
    first, second = refund_intent(deepcopy(paid), 1), refund_intent(deepcopy(paid), 2, under=claim("k"))

    assert await house.books.record(first) is Verdict.RECORDED
    assert await house.books.record(second) is Verdict.CONFLICT

    assert await house.books.claimed(claim("k")) is None
    assert second.refund is not None
    with pytest.raises(NotFound):
        await house.reads.refund(MERCHANT, second.refund.id)


async def test_a_late_intent_is_not_written(house: House) -> None:
    unit = intent(within_s=-1)
    with pytest.raises(BooksUnavailable):
        await house.books.record(unit)
    with pytest.raises(NotFound):
        await house.books.load(MERCHANT, unit.payment.id)


@pytest.mark.parametrize(
    ("said", "attempt"),
    [
        (Approved("bnk_1", "REF1", "00", "Y", "M"), AttemptStatus.APPROVED),
        (Declined("card_declined", "05", "bnk_1"), AttemptStatus.DECLINED),
        (NotSent("connect"), AttemptStatus.NOT_SENT),
        (Unknown("timeout"), AttemptStatus.OPEN),
    ],
)
async def test_an_outcome_settles_its_attempt(house: House, said: Outcome, attempt: AttemptStatus) -> None:
    asked = intent()
    await house.books.record(asked)
    assert await house.books.record(outcome(asked, said)) is Verdict.RECORDED

    loaded = await house.books.load_attempt(MERCHANT, f"{asked.payment.id}.authorize.1")

    assert loaded.payment == asked.payment
    assert loaded.attempt is not None
    assert loaded.attempt.status is attempt


async def test_a_refund_is_found_with_its_payment(house: House) -> None:
    paid = await captured(house.books)
    asked = refund_intent(paid, 30)
    await house.books.record(asked)
    await house.books.record(outcome(asked))
    assert asked.refund is not None

    assert (await house.books.load(MERCHANT, paid.id, asked.refund.id)).refund == asked.refund
    assert await house.reads.refund(MERCHANT, asked.refund.id) == asked.refund
    with pytest.raises(NotFound):
        await house.books.load(MERCHANT, (await captured(house.books)).id, asked.refund.id)


async def test_nothing_is_found_that_is_not_there_or_not_yours(house: House) -> None:
    paid = await captured(house.books)
    asked = refund_intent(paid, 30)
    await house.books.record(asked)
    assert asked.refund is not None
    for merchant, id in ((OTHER, paid.id), (MERCHANT, "pay_nothing")):
        for find in (house.books.load, house.reads.payment, house.reads.timeline):
            with pytest.raises(NotFound):
                await find(merchant, id)
        with pytest.raises(NotFound):
            await house.books.load_attempt(merchant, f"{id}.authorize.1")
    with pytest.raises(NotFound):
        await house.reads.refund(OTHER, asked.refund.id)
    with pytest.raises(NotFound):
        await house.books.card(MERCHANT, "card_nothing")


async def test_a_key_has_one_holder(house: House) -> None:
    unit = intent(under=claim("k"))
    await house.books.record(unit)
    second = intent(under=claim("k", fingerprint="0" * 64))

    assert await house.books.record(second) is Verdict.KEY_TAKEN

    existing = await house.books.claimed(claim("k"))
    assert existing is not None
    assert (existing.fingerprint, existing.payment_id, existing.refund_id) == ("f" * 64, unit.payment.id, None)
    assert (existing.answer, existing.overdue) == (None, False)
    with pytest.raises(NotFound):
        await house.books.load(MERCHANT, second.payment.id)


async def test_a_key_is_of_its_merchant_and_scope(house: House) -> None:
    await house.books.record(intent(under=claim("k")))

    assert await house.books.claimed(claim("k", "refund:pay_1")) is None
    assert await house.books.claimed(replace(claim("k"), merchant_id=OTHER)) is None
    assert await house.books.record(intent(under=claim("k", "other"))) is Verdict.RECORDED


async def test_the_final_answer_is_kept(house: House) -> None:
    asked = intent(under=claim("k"))
    await house.books.record(asked)
    said = outcome(asked)
    await house.books.record(said)

    existing = await house.books.claimed(claim("k"))

    assert existing is not None
    assert existing.answer == said.answer


async def test_a_freed_key_is_free(house: House) -> None:
    asked = intent(under=claim("k"))
    await house.books.record(asked)
    await house.books.record(outcome(asked, NotSent("connect")))

    assert await house.books.claimed(claim("k")) is None
    assert await house.books.record(intent(under=claim("k"))) is Verdict.RECORDED


async def test_doubt_makes_a_claim_overdue(house: House) -> None:
    asked = intent(under=claim("k"))
    await house.books.record(asked)
    await house.books.record(outcome(asked, Unknown("timeout")))

    existing = await house.books.claimed(claim("k"))

    assert existing is not None
    assert (existing.answer, existing.overdue) == (None, True)


async def test_a_claim_of_the_resolver_is_overdue_and_stays_so(house: House) -> None:
    await house.books.record(intent(under=claim("k")))
    await house.make_due()
    due = await house.books.claimed(claim("k"))
    await house.backlog.due_attempts(10)
    put_off = await house.books.claimed(claim("k"))

    assert due is not None
    assert put_off is not None
    assert (due.overdue, put_off.overdue) == (True, True)


def _card(token: str, version: int = 1) -> SealedCard:
    summary = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, token)
    return SealedCard(token, MERCHANT, version, b"\x00\xff" + token.encode(), summary)


async def test_cards_are_kept_and_rewrapped(house: House) -> None:
    cards = [_card(f"card_{number}") for number in range(3)]
    for card in cards:
        unit = intent()
        unit.card = card
        await house.books.record(unit)
    assert await house.books.card(MERCHANT, "card_1") == cards[1]
    with pytest.raises(NotFound):
        await house.books.card(OTHER, "card_1")

    assert len(await house.backlog.cards_not_under(2, 2)) == 2
    pairs = [(card, replace(card, key_version=2, sealed=b"new")) for card in cards]
    assert await house.backlog.cards_by_key() == {1: 3}
    assert await house.backlog.store_rewrapped(pairs[:2]) == 2
    assert await house.backlog.cards_by_key() == {1: 1, 2: 2}
    assert await house.backlog.store_rewrapped(pairs[:2]) == 0
    assert await house.backlog.cards_not_under(2, 10) == cards[2:]
    assert await house.books.card(MERCHANT, "card_1") == pairs[1][1]


async def test_the_timeline_tells_every_fact_in_order(house: House) -> None:
    paid = await captured(house.books)

    steps = await house.reads.timeline(MERCHANT, paid.id)

    told = [step for step in steps if step.outcome == "recorded"]
    assert [(step.name, step.details["seq"]) for step in told] == [("payment.created", 1), ("payment.captured", 2)]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert {step.details["trace_id"] for step in told} == {origin().trace_id}


async def test_events_are_leased_read_in_order_and_marked(house: House) -> None:
    paid = [await captured(house.books) for _ in range(3)]
    lease = await house.backlog.lease_outbox("a", 16)
    assert set(lease.epochs) == set(range(16))
    waiting = await house.backlog.unpublished(lease, 100)
    assert [(row.subject_id, row.seq) for row in sorted(waiting, key=lambda row: (row.subject_id, row.seq))] == [
        (one.id, seq) for one in sorted(paid, key=lambda one: one.id) for seq in (1, 2)
    ]
    for one in paid:
        assert [row.seq for row in waiting if row.subject_id == one.id] == [1, 2]
    assert json.loads(waiting[0].event)["traceparent"] == waiting[0].traceparent == origin().traceparent
    assert await house.reads.outbox_oldest_s() > 0

    reports = [Published(row, 0, offset) for offset, row in enumerate(waiting)]
    assert await house.backlog.mark_published(lease, reports[:2]) == 2
    assert await house.backlog.mark_published(lease, reports) == 4
    assert await house.backlog.unpublished(lease, 100) == []
    assert await house.reads.outbox_oldest_s() == 0


async def test_a_lease_is_renewed_and_not_shared(house: House) -> None:
    first = await house.backlog.lease_outbox("a", 16)

    assert await house.backlog.lease_outbox("a", 16) == first
    assert await house.backlog.lease_outbox("b", 16) == Lease("b", {})


async def test_partitions_are_shared(house: House) -> None:
    first, second = await house.backlog.lease_outbox("a", 8), await house.backlog.lease_outbox("b", 8)

    assert len(first.epochs) == len(second.epochs) == 8
    assert not first.epochs.keys() & second.epochs.keys()


async def test_an_attempt_is_due_once_and_put_off(house: House) -> None:
    unit: Unit = intent()
    await house.books.record(unit)
    assert await house.backlog.due_attempts(10) == []
    await house.make_due()

    ((attempt, came_from),) = await house.backlog.due_attempts(10)

    assert unit.attempt is not None
    assert (attempt.key, attempt.tries, came_from) == (unit.attempt.key, 1, unit.origin)
    assert await house.backlog.due_attempts(10) == []


async def test_no_more_attempts_than_asked_for(house: House) -> None:
    for _ in range(3):
        await house.books.record(intent())
    await house.make_due()

    assert [len(await house.backlog.due_attempts(2)) for _ in range(3)] == [2, 1, 0]


async def test_a_settled_attempt_is_never_due(house: House) -> None:
    await captured(house.books)
    await house.make_due()

    assert await house.backlog.due_attempts(10) == []
