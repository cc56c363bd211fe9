"""Two books, line by line: what is the same, what waits, what is wrong and how it is called."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.reconciliation import (
    COUNTERPARTS,
    INVARIANT_OF,
    OPERATOR,
    Discrepancy,
    Done,
    Kind,
    Line,
    Operation,
    Waiting,
    compare,
    latest,
)

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(hours=1), NOON + timedelta(seconds=1)
LINE = Line("pay_1.authorize.1", "authorization", Done.YES, 9999, "USD", EARLIER, times=1)
OURS = Operation("mer_1", "pay_1.authorize.1", "pay_1", "authorize", "approved", 9999, "USD", EARLIER, EARLIER)


def found(line: Line | None, ours: Operation | None) -> str:
    """The kind of what is wrong, `waits`, or `same`."""
    said = compare(line, ours, NOON)
    if said is None:
        return "same"
    return "waits" if isinstance(said, Waiting) else str(said.kind)


def ours(status: str, **other: object) -> Operation:
    return replace(OURS, status=status, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "word"), COUNTERPARTS.items())
def test_every_kind_of_operation_has_its_word_in_the_banks_book(kind: str, word: str) -> None:
    assert found(replace(LINE, kind=word), replace(OURS, kind=kind)) == "same"


@pytest.mark.parametrize(
    ("line", "operation", "is_found"),
    [
        (None, OURS, "missing_at_bank"),
        (LINE, None, "missing_here"),
        (replace(LINE, done=Done.NO), None, "missing_here"),
        (replace(LINE, amount_minor=9998), OURS, "amount"),
        (replace(LINE, currency="EUR"), OURS, "amount"),
        (replace(LINE, done=Done.NO, times=0), OURS, "state"),
        (replace(LINE, done=Done.OPEN, times=0), OURS, "state"),
        (LINE, ours("declined"), "state"),
        (LINE, ours("not_sent"), "state"),
        (replace(LINE, kind="refund"), OURS, "operation"),
        (replace(LINE, times=2), OURS, "duplicate"),
        (replace(LINE, kind="deposit", done=Done.OPEN, times=0), ours("declined", kind="deposit"), "state"),
        (replace(LINE, kind="withdrawal"), ours("approved", kind="deposit"), "operation"),
    ],
)
def test_what_differs_is_called_by_its_name(line: Line | None, operation: Operation | None, is_found: str) -> None:
    assert found(line, operation) == is_found


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        (None, ours("declined")),
        (None, ours("not_sent")),
        (replace(LINE, done=Done.NO, amount_minor=0, currency=""), ours("declined")),
        (replace(LINE, kind="cancel", done=Done.NO, amount_minor=0, currency=""), ours("declined")),
        (replace(LINE, kind="cancel", done=Done.NO, amount_minor=0, currency=""), None),
        (replace(LINE, kind="cheque"), None),
        (replace(LINE, done=Done.OPEN, times=0), ours("declined")),
    ],
    ids=[
        "declined",
        "not sent",
        "declined void",
        "tombstone",
        "stray tombstone",
        "not compared",
        "unanswered challenge",
    ],
)
def test_what_moved_no_money_on_either_side_is_the_same(line: Line | None, operation: Operation | None) -> None:
    assert found(line, operation) == "same"


@pytest.mark.parametrize("line", [None, LINE, replace(LINE, amount_minor=1), replace(LINE, times=2)])
def test_what_is_open_here_waits(line: Line | None) -> None:
    assert compare(line, ours("open", settled_at=None), NOON) == Waiting(EARLIER)


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        (None, replace(OURS, created_at=LATER, settled_at=LATER)),
        (None, replace(OURS, settled_at=LATER)),
        (replace(LINE, at=LATER), None),
        (replace(LINE, at=LATER, done=Done.NO), OURS),
        (replace(LINE, amount_minor=1), replace(OURS, settled_at=LATER)),
    ],
    ids=["made", "settled", "strange", "other", "amount"],
)
def test_what_is_newer_than_the_grace_time_waits(line: Line | None, operation: Operation | None) -> None:
    assert found(line, operation) == "waits"


def test_the_next_run_looks_from_the_oldest_word_on() -> None:
    assert compare(None, replace(OURS, settled_at=LATER), NOON) == Waiting(EARLIER)
    assert compare(LINE, replace(OURS, settled_at=LATER), NOON) is None


def test_what_is_exactly_as_old_as_the_grace_time_is_not_waited_for() -> None:
    assert found(None, replace(OURS, settled_at=NOON)) == "missing_at_bank"


def test_a_discrepancy_tells_both_stories() -> None:
    said = compare(replace(LINE, amount_minor=1, currency="JPY"), OURS, NOON)
    assert isinstance(said, Discrepancy)
    assert (said.merchant_id, said.subject_id, said.reference) == ("mer_1", "pay_1", "pay_1.authorize.1")
    assert said.details == "we: authorize of 99.99 USD, done; the bank: authorization of 1 JPY, done"


def test_a_strange_currency_can_be_told_of() -> None:
    said = compare(replace(LINE, currency="???"), None, NOON)
    assert isinstance(said, Discrepancy)
    assert said.details == "we: nothing; the bank: authorization of 9999 minor units of ???, done"


def test_the_last_word_counts_and_what_was_done_is_counted() -> None:
    asked = replace(LINE, done=Done.OPEN, times=0)
    other = replace(LINE, reference="pay_2.authorize.1")
    assert latest([asked, other, LINE]) == [other, LINE]
    assert latest([LINE, LINE]) == [replace(LINE, times=2)]
    assert latest([LINE, asked]) == [replace(asked, times=1)]
    assert latest([]) == []


def test_every_kind_breaks_exactly_one_invariant() -> None:
    assert INVARIANT_OF.keys() == set(Kind)
    assert sorted({*INVARIANT_OF.values()}) == ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I9"]


def test_its_fact_is_the_operators() -> None:
    fact = Discrepancy(Kind.STATE, "mer_1", "pay_1", "pay_1.authorize.1", "why").found("dis_1", NOON)
    assert (fact.type, fact.merchant_id, fact.subject_id, fact.seq) == ("reconciliation.mismatch", OPERATOR, "dis_1", 1)
    assert (fact.data["invariant"], fact.data["merchant_id"], fact.data["subject_id"]) == ("I1", "mer_1", "pay_1")
