"""Double entry: every journal sums to zero, and only facts that move money have one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain import events
from cleartill.domain.events import Fact
from cleartill.domain.ledger import journals

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


@pytest.mark.parametrize(
    "kind", [kind for kind in _subclasses(Fact) if kind not in (events.PaymentCaptured, events.RefundSucceeded)]
)
def test_no_other_fact_moves_money(kind: type[Fact]) -> None:
    assert journals([fact(kind)]) == []


@given(st.lists(st.tuples(st.sampled_from([events.PaymentCaptured, events.RefundSucceeded]), st.integers(1, 10**12))))
def test_every_journal_sums_to_zero(moves: list[tuple[type[Fact], int]]) -> None:
    made = journals([fact(kind, amount) for kind, amount in moves])

    assert len(made) == len(moves)
    assert {sum(entry.amount_minor for entry in journal.entries) for journal in made} <= {0}
    assert all(entry.amount_minor for journal in made for entry in journal.entries)
