"""What our own books must keep: each check passes what is right, and finds what is wrong, by its name."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from cleartill.domain.invariants import (
    AccountSums,
    JournalSums,
    NumberedFacts,
    PaymentSums,
    TransferSums,
    check_account,
    check_journal,
    check_outbox,
    check_payment,
    check_seq,
    check_transfer,
)
from cleartill.domain.reconciliation import Discrepancy


def kinds(found: Iterable[Discrepancy]) -> list[str]:
    return [str(one.kind) for one in found]


# ── I4 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_is_balanced_and_has_its_fact() -> None:
    whole = JournalSums("mer_1", "evt_1", "pay_1", {}, True)
    assert kinds(check_journal(whole)) == []
    assert kinds(check_journal(replace(whole, off_minor={"USD": 1}))) == ["ledger_unbalanced"]
    assert kinds(check_journal(replace(whole, off_minor={"USD": 1, "EUR": -1}))) == ["ledger_unbalanced"]
    assert kinds(check_journal(replace(whole, known=False))) == ["ledger_orphan"]


def test_an_account_stands_at_what_its_entries_sum_to() -> None:
    whole = AccountSums("mer_1", "merchant", "USD", 700, 700)
    assert kinds(check_account(whole)) == []
    (wrong,) = check_account(replace(whole, stands=701))
    assert (str(wrong.kind), wrong.merchant_id, wrong.subject_id) == ("balance_sum", "mer_1", None)
    assert (wrong.reference, wrong.details) == ("merchant USD", "it stands at 7.01 USD, its entries sum to 7.00 USD")


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
