"""The acquirer's rules: what it approves, declines and refuses, and what it remembers for ever."""

import secrets
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from cleartill.simulator.book import Book
from cleartill.simulator.cards import APPROVED, EXPIRED_CARD, card_behaviour
from cleartill.simulator.orders import Card, Kind, Order

INVALID_TRANSACTION = "12"
INVALID_AMOUNT = "13"
NO_SUCH_RECORD = "25"

STATEMENT_PAGE = 1000


class RefusalError(Exception):
    """The bank did nothing: `status` is for HTTP, `code` is expired, cancelled, reference_reused, …"""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book and of the statement: what was asked, and the answer, byte for byte.

    `position` counts lines from 1; `status` is the answer's HTTP status.
    """

    position: int
    reference: str
    asked: str
    status: int
    answer: bytes
    created_at: datetime


@dataclass(slots=True)
class Hold:
    """What is left of an approved authorization, in minor units of its currency."""

    currency: str
    authorized: int
    captured: int = 0
    refunded: int = 0
    voided: bool = False


class Acquirer:
    """The bank behind the wire. Each order is judged and booked in one step without `await`."""

    def __init__(self, book: Book, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Reads the book back. Raises `BookError` (see `Book`)."""
        self.book = book
        self.holds: dict[str, Hold] = {}
        self.pending_transfers: dict[str, dict[str, Any]] = {}
        self._clock = clock
        self._entries: list[Entry] = []
        self._latest: dict[str, Entry] = {}
        self._first: dict[str, Entry] = {}
        for record in book.replay():
            self._remember(record["asked"], record["status"], record["answer"], orjson.dumps(record["answer"]))

    async def perform(self, order: Order) -> Entry:
        """Do what is asked, once per reference; return when it is on disk. A repeat returns the first entry.

        Raises `RefusalError`: `expired` (410) after `expires_at`, `cancelled` (409) over a tombstone,
        `reference_reused` (409) if the reference was used for something else.
        """
        entry = self._perform(order)
        await self.book.durable(entry.position)
        return entry

    async def cancel(self, reference: str) -> Entry:
        """The operation's latest entry if it was done, else a new tombstone that refuses a late original."""
        entry = self._latest.get(reference)
        if entry is None:
            answer = self._answer(Kind.CANCEL, reference, "cancelled", None, 0, "")
            entry = self._write(Kind.CANCEL, 200, answer)
        await self.book.durable(entry.position)
        return entry

    async def operation(self, reference: str) -> Entry | None:
        """The latest entry under a reference, tombstones included; None means: nothing known *so far*."""
        entry = self._latest.get(reference)
        if entry is not None:
            await self.book.durable(entry.position)
        return entry

    async def statement(self, since: int | datetime, limit: int) -> tuple[list[Entry], int, bool]:
        """A page of the book past a position or from a time on, oldest first; its end; whether more follows.

        A transfer appears again when it is settled: the last entry under a reference counts.
        """
        if isinstance(since, datetime):
            start = bisect_left(self._entries, since, key=lambda entry: entry.created_at)
        else:
            start = min(since, len(self._entries))
        page = self._entries[start : start + min(limit, STATEMENT_PAGE)]
        end = start + len(page)
        await self.book.durable(end)
        return page, end, end < len(self._entries)

    async def settle_transfer(self, reference: str, succeeded: bool) -> Entry:
        """Bring a pending transfer to its end; settled before: the entry that did it."""
        pending = self.pending_transfers.get(reference)
        if pending is None:
            entry = self._latest[reference]
        else:
            status, code = ("succeeded", APPROVED) if succeeded else ("failed", INVALID_TRANSACTION)
            settled = pending | {
                "status": status,
                "response_code": code,
                "settled_at": self._clock().isoformat(),
            }
            entry = self._write(self._latest[reference].asked, 200, settled)
        await self.book.durable(entry.position)
        return entry

    def _perform(self, order: Order) -> Entry:
        known = self._first.get(order.reference)
        if known is not None:
            if known.asked == Kind.CANCEL:
                raise RefusalError(409, "cancelled", "this reference was cancelled before it arrived")
            if known.asked != order.asked:
                raise RefusalError(409, "reference_reused", "this reference was used for another operation")
            return known
        if order.expires_at is not None and self._clock() >= order.expires_at:
            raise RefusalError(410, "expired", "the request arrived after its expires_at")
        if order.card is not None:
            return self._authorize(order, order.card)
        if order.kind is Kind.TRANSFER:
            return self._transfer(order)
        return self._follow_up(order)

    def _authorize(self, order: Order, card: Card) -> Entry:
        behaviour = card_behaviour(card.number)
        code = behaviour.response_code
        today = self._clock()
        if (card.expiry_year, card.expiry_month) < (today.year, today.month):
            code = EXPIRED_CARD
        answer = self._answer(order.kind, order.reference, _verdict(code), code, order.amount_minor, order.currency)
        answer["auth_code"] = secrets.token_hex(3).upper() if code == APPROVED else None
        answer["avs_result"] = behaviour.avs
        answer["cvc_result"] = behaviour.cvc
        answer["capture"] = order.capture
        return self._write(order.asked, _http_status(code), answer)

    def _follow_up(self, order: Order) -> Entry:
        hold = self.holds.get(order.authorization_id or "")
        amount, currency = order.amount_minor, order.currency
        if hold is not None and order.kind is Kind.VOID:
            amount, currency = hold.authorized, hold.currency
        code = NO_SUCH_RECORD if hold is None else _judge(order.kind, hold, amount, currency)
        answer = self._answer(order.kind, order.reference, _verdict(code), code, amount, currency)
        answer["authorization_id"] = order.authorization_id
        return self._write(order.asked, _http_status(code), answer)

    def _transfer(self, order: Order) -> Entry:
        answer = self._answer(order.kind, order.reference, "pending", None, order.amount_minor, order.currency)
        answer["direction"] = order.direction
        return self._write(order.asked, 202, answer)

    def _answer(
        self, kind: Kind, reference: str, status: str, code: str | None, amount_minor: int, currency: str
    ) -> dict[str, Any]:
        return {
            "reference": reference,
            "operation_id": "bnk_" + secrets.token_hex(12),
            "kind": kind,
            "status": status,
            "response_code": code,
            "auth_code": None,
            "avs_result": None,
            "cvc_result": None,
            "amount_minor": amount_minor,
            "currency": currency,
            "created_at": self._clock().isoformat(),
        }

    def _write(self, asked: str, status: int, answer: dict[str, Any]) -> Entry:
        body = orjson.dumps(answer)
        self.book.append(b'{"asked":%b,"status":%d,"answer":%b}' % (orjson.dumps(asked), status, body))
        return self._remember(asked, status, answer, body)

    def _remember(self, asked: str, status: int, answer: dict[str, Any], body: bytes) -> Entry:
        """Take a booked line into memory; the same for a new line and for one read back at the start."""
        written_at = datetime.fromisoformat(answer.get("settled_at") or answer["created_at"])
        entry = Entry(len(self._entries) + 1, answer["reference"], asked, status, body, written_at)
        self._entries.append(entry)
        self._latest[entry.reference] = entry
        self._first.setdefault(entry.reference, entry)
        if answer["kind"] == Kind.TRANSFER:
            if answer["status"] == "pending":
                self.pending_transfers[entry.reference] = answer
            else:
                self.pending_transfers.pop(entry.reference, None)
        elif answer["status"] == "approved":
            self._move(answer)
        return entry

    def _move(self, answer: dict[str, Any]) -> None:
        amount = answer["amount_minor"]
        if answer["kind"] == Kind.AUTHORIZATION:
            captured = amount if answer["capture"] else 0
            self.holds[answer["operation_id"]] = Hold(answer["currency"], amount, captured)
            return
        hold = self.holds[answer["authorization_id"]]
        if answer["kind"] == Kind.CAPTURE:
            hold.captured += amount
        elif answer["kind"] == Kind.REFUND:
            hold.refunded += amount
        else:
            hold.voided = True


def _judge(kind: Kind, hold: Hold, amount_minor: int, currency: str) -> str:
    """The response code of a capture, void or refund: captured ≤ authorized, refunded ≤ captured."""
    if currency != hold.currency:
        return INVALID_TRANSACTION
    if kind is Kind.VOID:
        return INVALID_TRANSACTION if hold.voided or hold.captured else APPROVED
    if kind is Kind.CAPTURE:
        if hold.voided:
            return INVALID_TRANSACTION
        return APPROVED if hold.captured + amount_minor <= hold.authorized else INVALID_AMOUNT
    return APPROVED if hold.refunded + amount_minor <= hold.captured else INVALID_AMOUNT


def _verdict(code: str) -> str:
    return "approved" if code == APPROVED else "declined"


def _http_status(code: str) -> int:
    return 201 if code == APPROVED else 200
