"""What our own books must keep: each check passes what is right, and finds what is wrong, by its name."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.domain.invariants import (
    FITS,
    KEYS_KEPT,
    Claimed,
    JournalSums,
    NumberedFacts,
    PaymentSums,
    StoredAnswer,
    TransferSums,
    check_answer,
    check_claim,
    check_journal,
    check_outbox,
    check_payment,
    check_seq,
    check_transfer,
)
from cleartill.domain.reconciliation import Discrepancy, Operation
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
OURS = Operation("mer_1", "pay_1.authorize.1", "pay_1", "authorize", "approved", 9999, "USD", NOON, NOON)
SECOND = timedelta(seconds=1)


def kinds(found: Iterable[Discrepancy]) -> list[str]:
    return [str(one.kind) for one in found]


# ── I2 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("holder", "since", "now", "is_found"),
    [
        ("pay_1.authorize.1", NOON, NOON, []),
        ("pay_2.authorize.1", NOON, NOON, ["charged_twice"]),
        (None, NOON, NOON, ["charged_twice"]),
        ("pay_2.authorize.1", NOON + KEYS_KEPT - SECOND, NOON, ["charged_twice"]),
        ("pay_2.authorize.1", NOON + KEYS_KEPT, NOON, []),
        (None, None, NOON + KEYS_KEPT - SECOND, ["claim_lost"]),
        (None, None, NOON + KEYS_KEPT, []),
    ],
)
def test_a_key_is_held_by_what_it_paid_for(
    holder: str | None, since: datetime | None, now: datetime, is_found: list[str]
) -> None:
    assert kinds(check_claim(Claimed(OURS, holder, since), now)) == is_found


# ── I3 and I5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(told: dict[str, Any], **other: Any) -> StoredAnswer:
    body = {"id": "pay_1", "merchant_id": "mer_1", "amount_minor": 9999, "currency": "USD", "status": "captured"} | told
    whole = StoredAnswer("mer_1", "process", "pay_1", None, json.dumps(body), "captured", 9999, "USD")
    return replace(whole, **other)


REFUND = {"id": "ref_1", "transaction_id": "pay_1", "status": "succeeded", "merchant_id": "mer_1"}


@pytest.mark.parametrize("now", ["captured", "partially_refunded", "refunded"])
def test_an_answer_that_is_true(now: str) -> None:
    assert kinds(check_answer(answer({}, status=now))) == []
    assert kinds(check_answer(answer(REFUND, refund_id="ref_1", status="succeeded"))) == []


@pytest.mark.parametrize(
    ("told", "other", "is_found"),
    [
        ({}, {"status": None}, ["answer_lost"]),
        ({}, {"status": "failed"}, ["answer_state"]),
        ({"status": "failed"}, {}, ["answer_state"]),
        ({"status": "processing"}, {}, ["answer_state"]),
        ({"status": None}, {}, ["answer_state"]),
        ({"status": ["captured"]}, {}, ["answer_state"]),
        ({"id": "pay_2"}, {}, ["answer_identity"]),
        ({"merchant_id": "mer_2"}, {}, ["answer_identity"]),
        ({"amount_minor": 9998}, {}, ["answer_identity"]),
        ({"currency": "EUR"}, {}, ["answer_identity"]),
        (REFUND | {"transaction_id": "pay_2"}, {"refund_id": "ref_1", "status": "succeeded"}, ["answer_identity"]),
        (REFUND, {"refund_id": "ref_1", "status": None}, ["answer_lost"]),
        (REFUND, {"refund_id": "ref_1", "status": "failed"}, ["answer_state"]),
        ({}, {"body": "{"}, ["answer_identity"]),
        ({}, {"body": "[]"}, ["answer_identity"]),
    ],
)
def test_an_answer_that_is_not(told: dict[str, Any], other: dict[str, Any], is_found: list[str]) -> None:
    assert kinds(check_answer(answer(told, **other))) == is_found


def test_what_fits_can_be_reached_and_what_is_open_was_never_final() -> None:
    """The table says less than the arrows do (an authorized payment does not fail), never more."""
    reach = {state: {state} for state in PAYMENT_STEPS}
    for _ in PAYMENT_STEPS:
        for state, known in reach.items():
            reach[state] = known | {after for one in known for after in PAYMENT_STEPS[one]}
    for told, now in FITS.items():
        if told in ("succeeded", "failed"):  # both of payments and refunds, or of refunds only
            assert now == {told}
        else:
            assert now <= reach[PaymentStatus(told)]
            assert told in now
    assert not FITS.keys() & {"processing", "in_doubt", "requires_action"}


# ── I4 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_is_balanced_and_has_its_fact() -> None:
    whole = JournalSums("mer_1", "evt_1", "pay_1", {}, True)
    assert kinds(check_journal(whole)) == []
    assert kinds(check_journal(replace(whole, off_minor={"USD": 1}))) == ["ledger_unbalanced"]
    assert kinds(check_journal(replace(whole, off_minor={"USD": 1, "EUR": -1}))) == ["ledger_unbalanced"]
    assert kinds(check_journal(replace(whole, known=False))) == ["ledger_orphan"]


# ── one payment ───────────────────────────────────────────────────────────────────────────────────────────────────────

PAID = PaymentSums(
    "mer_1", "pay_1", "partially_refunded", "USD", captured=100, refunded=30, reserved=20, refunds_succeeded=30,
    refunds_open=20, authorizations=1, releases=0, attempts_captured=100, attempts_refunded=30, ledger=70, seq=4,
    facts=4, first_seq=1, last_seq=4, without_event=0,
)  # fmt: skip
HELD = replace(
    PAID, status="authorized", captured=0, refunded=0, reserved=0, refunds_succeeded=0, refunds_open=0,
    attempts_captured=0, attempts_refunded=0, ledger=0,
)  # fmt: skip


@pytest.mark.parametrize(
    "sums", [PAID, HELD, replace(HELD, status="voided", releases=1), replace(HELD, authorizations=0)]
)
def test_a_payment_that_adds_up(sums: PaymentSums) -> None:
    assert kinds(check_payment(sums)) == []


@pytest.mark.parametrize(
    ("sums", "is_found"),
    [
        (replace(PAID, authorizations=2), ["charged_twice"]),
        (replace(PAID, ledger=71), ["ledger_sum"]),
        (replace(PAID, refunds_open=71), ["refunds_exceed"]),
        (replace(PAID, refunds_succeeded=81), ["refunds_exceed"]),
        (replace(PAID, attempts_refunded=101), ["refunds_exceed"]),
        (replace(PAID, reserved=71), ["refunds_exceed"]),
        (replace(PAID, attempts_captured=49), ["refunds_exceed"]),
        (replace(PAID, attempts_captured=99), ["sums"]),
        (replace(PAID, refunds_succeeded=29), ["sums"]),
        (replace(PAID, attempts_refunded=29), ["sums"]),
        (replace(PAID, refunds_open=19), ["sums"]),
        (replace(PAID, status="failed"), ["sums"]),
        (replace(PAID, releases=1), ["captured_and_voided"]),
        (replace(PAID, status="voided"), ["captured_and_voided"]),
        (replace(HELD, releases=1, attempts_captured=1), ["captured_and_voided"]),
        (replace(PAID, facts=3), ["seq_gap"]),
        (replace(PAID, last_seq=5, facts=5), ["seq_gap"]),
        (replace(PAID, first_seq=2), ["seq_gap"]),
        (replace(PAID, without_event=1), ["event_missing"]),
        (replace(PAID, ledger=0, without_event=2), ["ledger_sum", "event_missing"]),
    ],
)
def test_a_payment_that_does_not(sums: PaymentSums, is_found: list[str]) -> None:
    assert kinds(check_payment(sums)) == is_found


def test_facts_are_numbered_from_one() -> None:
    assert kinds(check_seq(NumberedFacts("mer_1", "mer_1", 0, 0, 0, 0))) == []
    assert kinds(check_seq(NumberedFacts("mer_1", "mer_1", 2, 2, 1, 2))) == []
    assert kinds(check_seq(NumberedFacts("mer_1", "mer_1", 2, 2, 1, 3))) == ["seq_gap"]
    assert kinds(check_seq(NumberedFacts("mer_1", "mer_1", 1, 0, 0, 0))) == ["seq_gap"]


# ── transfers, the outbox ─────────────────────────────────────────────────────────────────────────────────────────────

DEPOSIT = TransferSums("mer_1", "dep_1", "deposit", "pending", "USD", 50, 0, 0, 1, 1, 1, 1, 0)
WITHDRAWAL = replace(DEPOSIT, id="wdr_1", kind="withdrawal", reserved=50)


@pytest.mark.parametrize(
    "sums",
    [
        DEPOSIT,
        replace(DEPOSIT, status="succeeded", bank=-50),
        replace(DEPOSIT, status="failed"),
        WITHDRAWAL,
        replace(WITHDRAWAL, status="in_doubt"),
        replace(WITHDRAWAL, status="succeeded", bank=50, reserved=0),
        replace(WITHDRAWAL, status="failed", reserved=0),
    ],
)
def test_a_transfer_that_adds_up(sums: TransferSums) -> None:
    assert kinds(check_transfer(sums)) == []


@pytest.mark.parametrize(
    ("sums", "is_found"),
    [
        (replace(DEPOSIT, bank=-50), ["ledger_sum"]),
        (replace(DEPOSIT, status="succeeded", bank=50), ["ledger_sum"]),
        (replace(DEPOSIT, status="succeeded", bank=-100), ["ledger_sum"]),
        (replace(WITHDRAWAL, reserved=0), ["ledger_sum"]),
        (replace(WITHDRAWAL, status="failed"), ["ledger_sum"]),
        (replace(WITHDRAWAL, status="succeeded", bank=50), ["ledger_sum"]),
        (replace(DEPOSIT, seq=2), ["seq_gap"]),
        (replace(DEPOSIT, without_event=1), ["event_missing"]),
    ],
)
def test_a_transfer_that_does_not(sums: TransferSums, is_found: list[str]) -> None:
    assert kinds(check_transfer(sums)) == is_found


def test_events_that_are_late_are_told_of_together() -> None:
    assert kinds(check_outbox(0, 0.0)) == []
    (late,) = check_outbox(12, 90.4)
    assert (str(late.kind), late.subject_id, late.details) == (
        "unpublished",
        None,
        "12 events or more are late, the oldest by 90 s",
    )
