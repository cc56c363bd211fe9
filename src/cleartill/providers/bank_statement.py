"""The bank's own book as it shows it (`GET /v1/statement`): pages of lines, and what they mean. Pure."""

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from cleartill.domain.outcome import Unknown
from cleartill.domain.reconciliation import Done, Line
from cleartill.ports import StatementPage
from cleartill.providers.wire import Reply

LINES = 500
REPLY_MAX = 4 * 1024 * 1024
"""Bytes of a page: a line with two addresses of 2 KiB in it fits LINES times, with some room."""
AMOUNT_MAX = 10**18

_DONE = {
    "approved": Done.YES,
    "succeeded": Done.YES,
    "declined": Done.NO,
    "failed": Done.NO,
    "cancelled": Done.NO,
    "pending": Done.OPEN,
    "requires_action": Done.OPEN,
}
"""The words for an operation's end in the bank's own book."""


def page_path(since: datetime | str) -> str:
    """The page from a time on, or past a place in the book."""
    after = since if isinstance(since, str) else since.isoformat()
    return f"/v1/statement?since={quote(after, safe='')}&limit={LINES}"


def page_of(reply: Reply) -> StatementPage | Unknown | None:
    """A page of the bank's book. One line that cannot be read makes all of it unreadable: what would be compared
    without it is not the bank's book."""
    if reply.status == HTTPStatus.NOT_FOUND:
        return None
    page = reply.body
    if reply.status != HTTPStatus.OK or not isinstance(page, dict) or not isinstance(page.get("entries"), list):
        return Unknown("unreadable")
    lines = [_line(entry) for entry in page["entries"]]
    end, more = page.get("next"), page.get("has_more")
    read = [line for line in lines if line is not None]
    if len(read) < len(lines) or type(end) is not int or not isinstance(more, bool):
        return Unknown("unreadable")
    return StatementPage(read, str(end) if more else None)


def _line(entry: Any) -> Line | None:
    if not isinstance(entry, dict):
        return None
    reference, kind = _text(entry.get("reference"), 255), _text(entry.get("kind"), 32)
    if kind == "transfer":
        kind = _text(entry.get("direction"), 32)
    done, amount, currency = _DONE.get(str(entry.get("status"))), entry.get("amount_minor"), entry.get("currency")
    at = _time(entry.get("settled_at") or entry.get("created_at"))
    if reference is None or kind is None or done is None or at is None:
        return None
    if type(amount) is not int or not 0 <= amount <= AMOUNT_MAX or not isinstance(currency, str) or len(currency) > 3:
        return None
    return Line(reference, kind, done, amount, currency, at)


def _time(said: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _text(said: Any, longest: int) -> str | None:
    return said if isinstance(said, str) and 0 < len(said) <= longest else None
