"""The bank's own book as it shows it: what its lines mean, and that nothing unclear passes for a book."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.outcome import Unknown
from cleartill.domain.reconciliation import Done, Line
from cleartill.ports import StatementPage
from cleartill.providers.bank_statement import page_of, page_path
from cleartill.providers.wire import Reply

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
ENTRY = {
    "reference": "pay_1.authorize.1", "kind": "authorization", "status": "approved", "amount_minor": 9999,
    "currency": "USD", "created_at": AT.isoformat(), "operation_id": "bnk_1", "response_code": "00",
}  # fmt: skip
LINE = Line("pay_1.authorize.1", "authorization", Done.YES, 9999, "USD", AT)


def page(*entries: Any, status: int = 200, **other: Any) -> StatementPage | Unknown | None:
    return page_of(Reply(status, {"entries": list(entries), "next": 7, "has_more": False, **other}))


def test_a_page_and_where_the_next_one_begins() -> None:
    assert page(ENTRY) == StatementPage([LINE], None)
    assert page(ENTRY, has_more=True) == StatementPage([LINE], "7")
    assert page() == StatementPage([], None)


def test_a_page_is_asked_for_by_time_or_by_place() -> None:
    assert page_path(AT) == "/v1/statement?since=2026-01-15T12%3A00%3A00%2B00%3A00&limit=500"
    assert page_path("7") == "/v1/statement?since=7&limit=500"


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("approved", Done.YES),
        ("succeeded", Done.YES),
        ("declined", Done.NO),
        ("failed", Done.NO),
        ("cancelled", Done.NO),
        ("pending", Done.OPEN),
        ("requires_action", Done.OPEN),
    ],
)
def test_how_an_operation_ended(status: str, done: Done) -> None:
    found = page(ENTRY | {"status": status})
    assert isinstance(found, StatementPage)
    assert found.lines[0].done is done


def test_what_was_settled_later_is_of_that_time() -> None:
    later = datetime(2026, 1, 15, 13, tzinfo=UTC)
    found = page(ENTRY | {"settled_at": later.isoformat()})
    assert isinstance(found, StatementPage)
    assert found.lines[0].at == later


def test_a_transfer_goes_by_its_direction() -> None:
    found = page(ENTRY | {"kind": "transfer", "direction": "deposit"})
    assert isinstance(found, StatementPage)
    assert found.lines[0].kind == "deposit"


def test_a_bank_without_such_a_path_shows_no_book() -> None:
    assert page_of(Reply(404, {"code": "not_found"})) is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        ENTRY | {"reference": None},
        ENTRY | {"reference": "x" * 256},
        ENTRY | {"kind": 7},
        ENTRY | {"status": "maybe"},
        ENTRY | {"status": ["approved"]},
        ENTRY | {"amount_minor": "9999"},
        ENTRY | {"amount_minor": 99.99},
        ENTRY | {"amount_minor": True},
        ENTRY | {"amount_minor": -1},
        ENTRY | {"amount_minor": 10**30},
        ENTRY | {"currency": None},
        ENTRY | {"currency": "DOLLARS"},
        ENTRY | {"created_at": "noon"},
        ENTRY | {"created_at": "2026-01-15T12:00:00"},
        ENTRY | {"created_at": None},
        ENTRY | {"kind": "transfer"},
    ],
)
def test_one_line_that_cannot_be_read_makes_the_page_unreadable(entry: Any) -> None:
    assert page(ENTRY, entry) == Unknown("unreadable")


@pytest.mark.parametrize("other", [{"next": None}, {"next": "7"}, {"has_more": 1}, {"entries": {}}, {"status": 400}])
def test_a_page_without_its_frame_is_unreadable(other: dict[str, Any]) -> None:
    assert page(ENTRY, **other) == Unknown("unreadable")


@pytest.mark.parametrize("body", [None, [], "page", {}])
def test_what_is_no_page_is_unreadable(body: Any) -> None:
    assert page_of(Reply(200, body)) == Unknown("unreadable")
