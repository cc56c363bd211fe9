"""Double entry: every journal sums to zero, and only facts that move money have one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain import events
from cleartill.domain.events import Fact
from cleartill.domain.ledger import Fees, journals

AT = datetime(2026, 1, 1, tzinfo=UTC)


def fact(kind: type[Fact], amount_minor: int = 0, currency: str = "USD") -> Fact:
    return kind("m_1", "pay_1", 1, AT, {"currency": currency}, amount_minor)


def test_a_capture_credits_the_merchant() -> None:
    captured = fact(events.PaymentCaptured, 9_999)
    (journal,) = journals([captured])

    assert {entry.account: entry.amount_minor for entry in journal.entries} == {"merchant": 9_999, "acquirer": -9_999}
    assert (journal.fact_id, journal.merchant_id, journal.subject_id, journal.currency) == (
        captured.id,
        "m_1",
        "pay_1",
        "USD",
    )


def test_a_refund_debits_the_merchant() -> None:
    (journal,) = journals([fact(events.RefundSucceeded, 1, "JPY")])

    assert {entry.account: entry.amount_minor for entry in journal.entries} == {"merchant": -1, "acquirer": 1}
    assert journal.currency == "JPY"


def _subclasses(kind: type[Fact]) -> list[type[Fact]]:
    return [found for sub in kind.__subclasses__() for found in (sub, *_subclasses(sub))]


MOVES: dict[type[Fact], tuple[str, str]] = {
    events.PaymentCaptured: ("acquirer", "merchant"),
    events.RefundSucceeded: ("merchant", "acquirer"),
    events.DepositSucceeded: ("bank", "merchant"),
    events.WithdrawalCreated: ("merchant", "merchant_reserved"),
    events.WithdrawalRetried: ("merchant", "merchant_reserved"),
    events.WithdrawalSucceeded: ("merchant_reserved", "bank"),
    events.WithdrawalFailed: ("merchant_reserved", "merchant"),
}


@pytest.mark.parametrize("kind", MOVES)
def test_where_each_fact_moves_its_amount(kind: type[Fact]) -> None:
    (journal,) = journals([fact(kind, 70)])
    taken, given_to = MOVES[kind]
    assert {entry.account: entry.amount_minor for entry in journal.entries} == {taken: -70, given_to: 70}


@pytest.mark.parametrize("kind", [kind for kind in _subclasses(Fact) if kind not in MOVES])
def test_no_other_fact_moves_money(kind: type[Fact]) -> None:
    assert journals([fact(kind, 70)]) == []


@pytest.mark.parametrize("kind", MOVES)
def test_a_fact_that_moved_nothing_has_no_journal(kind: type[Fact]) -> None:
    assert journals([fact(kind, 0)]) == []


# ── fees ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fees", "amount", "fee"),
    [
        (Fees(), 10_000, 0),
        (Fees(290, 30), 10_000, 320),
        (Fees(150), 33, 0),
        (Fees(150), 34, 1),
        (Fees(fixed_minor=30), 25, 25),
        (Fees(10_000, 1), 7, 7),
    ],
)
def test_the_fee_of_a_capture(fees: Fees, amount: int, fee: int) -> None:
    (journal,) = journals([fact(events.PaymentCaptured, amount)], fees)
    sums = {entry.account: entry.amount_minor for entry in journal.entries}
    expected = {"acquirer": -amount, "merchant": amount - fee, "fees": fee}
    assert sums == {account: moved for account, moved in expected.items() if moved}
    assert sum(sums.values()) == 0


def test_only_captures_cost_a_fee() -> None:
    for kind in MOVES.keys() - {events.PaymentCaptured}:
        (journal,) = journals([fact(kind, 1_000)], Fees(290, 30))
        assert "fees" not in {entry.account for entry in journal.entries}


@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES, key=lambda kind: kind.type)), st.integers(1, 10**12))))
def test_every_journal_sums_to_zero(moves: list[tuple[type[Fact], int]]) -> None:
    made = journals([fact(kind, amount) for kind, amount in moves], Fees(275, 10))

    assert len(made) == len(moves)
    assert {sum(entry.amount_minor for entry in journal.entries) for journal in made} <= {0}
    assert all(entry.amount_minor for journal in made for entry in journal.entries)
