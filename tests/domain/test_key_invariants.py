"""What hangs on an idempotency key: one effect, and an answer that stays true."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.domain.key_invariants import (
    FITS,
    KEYS_KEPT,
    TRANSFER_FITS,
    Claimed,
    StoredAnswer,
    check_answer,
    check_claim,
)
from cleartill.domain.reconciliation import Discrepancy, Operation
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus
from cleartill.domain.transfer import FINAL, TRANSFER_STEPS, TransferStatus

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
    assert kinds(check_claim(Claimed(OURS, holder, since, NOON), now)) == is_found


TAKEN_ON = Operation("mer_1", "dep_1.transfer.2", "dep_1", "deposit", "open", 700, "USD", NOON, None)
LATER = NOON + KEYS_KEPT


@pytest.mark.parametrize(
    ("holder", "since", "ended_at", "is_found"),
    [
        ("dep_1", NOON, None, []),
        (None, None, None, ["claim_lost"]),
        (None, None, NOON + SECOND, ["claim_lost"]),
        (None, None, NOON, []),
        ("dep_2", NOON, None, ["charged_twice"]),
        ("dep_2", LATER, None, ["charged_twice"]),
        ("dep_2", LATER, NOON + SECOND, ["charged_twice"]),
        ("dep_2", LATER, NOON, []),
    ],
)
def test_a_transfer_holds_its_key_until_a_day_after_its_end(
    holder: str | None, since: datetime | None, ended_at: datetime | None, is_found: list[str]
) -> None:
    assert kinds(check_claim(Claimed(TAKEN_ON, holder, since, ended_at), LATER)) == is_found


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


def told_of(status: str, /, **other: Any) -> StoredAnswer:
    """What is stored for a deposit that a caller was told is in this state."""
    body = {"id": "dep_1", "merchant_id": "mer_1", "amount_minor": 700, "currency": "USD", "status": status}
    return replace(StoredAnswer("mer_1", "deposit", "dep_1", None, json.dumps(body), status, 700, "USD"), **other)


@pytest.mark.parametrize(
    ("told", "now", "retried"),
    [
        *[("pending", now, retried) for now in ("pending", "processing", "in_doubt") for retried in (False, True)],
        *[("failed", now, True) for now in TransferStatus],
        ("failed", "failed", False),
        ("succeeded", "succeeded", False),
        ("succeeded", "succeeded", True),
    ],
)
def test_what_a_caller_was_told_of_a_transfer_and_is_true(told: str, now: str, retried: bool) -> None:
    assert kinds(check_answer(told_of(told, status=now, retried=retried))) == []


@pytest.mark.parametrize(
    ("told", "other", "is_found"),
    [
        ("pending", {"status": "succeeded"}, ["answer_state"]),
        ("pending", {"status": "failed"}, ["answer_state"]),
        ("failed", {"status": "succeeded"}, ["answer_state"]),
        ("failed", {"status": "pending"}, ["answer_state"]),
        ("succeeded", {"status": "failed"}, ["answer_state"]),
        ("succeeded", {"status": "pending", "retried": True}, ["answer_state"]),
        ("captured", {"status": "pending"}, ["answer_state"]),
        ("pending", {"status": None}, ["answer_lost"]),
        ("pending", {"subject_id": "dep_2"}, ["answer_identity"]),
        ("pending", {"amount_minor": 701}, ["answer_identity"]),
        ("pending", {"body": ""}, ["answer_identity"]),
    ],
)
def test_what_a_caller_was_told_of_a_transfer_and_is_not(told: str, other: dict[str, Any], is_found: list[str]) -> None:
    assert kinds(check_answer(told_of(told, **other))) == is_found


def test_what_fits_a_transfer_can_be_reached() -> None:
    """Once it has ended, another answer has taken the place of the acknowledgement."""
    reach = {state: {state} for state in TRANSFER_STEPS}
    for _ in TRANSFER_STEPS:
        for state, known in reach.items():
            reach[state] = known | {after for one in known for after in TRANSFER_STEPS[one]}
    for told, now in TRANSFER_FITS.items():
        assert told in now <= reach[TransferStatus(told)]
    assert not TRANSFER_FITS["pending"] & FINAL
