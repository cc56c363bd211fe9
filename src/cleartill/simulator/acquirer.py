"""The acquirer's rules: what it approves, declines and refuses, and what it remembers for ever."""

import secrets
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from cleartill.simulator.book import Book
from cleartill.simulator.cards import APPROVED, EXPIRED_CARD, TestCard, card_behaviour
from cleartill.simulator.holds import NO_SUCH_RECORD, Hold
from cleartill.simulator.orders import Card, Kind, Order, read_time

STATEMENT_PAGE = 1000
CHALLENGE_LASTS = timedelta(minutes=15)
"""How long the payer may take to answer on the bank's page."""


class RefusalError(Exception):
    """The bank did nothing: `status` is for HTTP, `code` is expired, cancelled, reference_reused, …"""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book and of the statement: what was asked, and the answer, byte for byte.

    `position` counts the book's lines from 1; `status` is the answer's HTTP status.
    """

    position: int
    reference: str
    asked: str
    status: int
    answer: bytes
    created_at: datetime


class Acquirer:
    """The bank behind the wire. Each order is judged and booked in one step without `await`."""

    def __init__(self, book: Book, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Reads the book back. Raises `BookError` (see `Book`)."""
        self.book = book
        self.holds: dict[str, Hold] = {}
        self.pending: dict[str, dict[str, Any]] = {}
        """The answers under each reference whose end is still to come: a transfer, or a challenge of the payer."""
        self.challenges: dict[str, dict[str, Any]] = {}
        """The answer that opened each challenge there ever was, by its operation_id."""
        self.unreported: dict[str, Entry] = {}
        """The ends of what was pending that no callback has told of yet, by event id."""
        self._clock = clock
        self._entries: list[Entry] = []
        self._latest: dict[str, Entry] = {}
        self._first: dict[str, Entry] = {}
        for position, record in enumerate(book.replay(), start=1):
            if "reported" in record:
                self.unreported.pop(record["reported"], None)
            else:
                answer = record["answer"]
                self._remember(position, record["asked"], record["status"], answer, orjson.dumps(answer))

    async def perform(self, order: Order) -> Entry:
        """Do what is asked, once per reference; return when it is on disk. A repeat returns the first entry.

        Raises `RefusalError`: `expired` (410) after `expires_at`, `cancelled` (409) over a tombstone,
        `reference_reused` (409) if the reference was used for something else.
        """
        entry = self._perform(order)
        await self.book.durable(entry.position)
        return entry

    async def cancel(self, reference: str) -> Entry:
        """The operation's latest entry if it was done, else a new tombstone that refuses a late original.

        A challenge that the payer has not answered was not done: the tombstone closes it.
        """
        if reference not in self._latest or self._is_challenge(reference):
            self._bury(reference)
        entry = self._latest[reference]
        await self.book.durable(entry.position)
        return entry

    async def operation(self, reference: str) -> Entry | None:
        """The latest entry under a reference, tombstones included; None means: nothing known *so far*."""
        self._lapse(reference)
        entry = self._latest.get(reference)
        if entry is not None:
            await self.book.durable(entry.position)
        return entry

    async def statement(self, since: int | datetime, limit: int) -> tuple[list[Entry], int, bool]:
        """A page of the book past a position or from a time on, oldest first; its end; whether more follows.

        What was pending appears again when it is settled: the last entry under a reference counts.
        """
        if isinstance(since, datetime):
            start = bisect_left(self._entries, since, key=lambda entry: entry.created_at)
        else:
            start = min(since, len(self._entries))
        page = self._entries[start : start + min(limit, STATEMENT_PAGE)]
        end = start + len(page)
        await self.book.durable(page[-1].position if page else 0)
        return page, end, end < len(self._entries)

    async def settle(self, reference: str, status: str, code: str) -> Entry:
        """Bring a pending transfer or challenge to its end, once; ended before: the entry that did it."""
        self._lapse(reference)
        pending = self.pending.get(reference)
        if pending is None:
            entry = self._latest[reference]
        else:
            settled = pending | {"status": status, "response_code": code, "settled_at": self._clock().isoformat()}
            if status == "approved":
                settled["auth_code"] = _auth_code()
            entry = self._write(self._latest[reference].asked, 200, settled)
        await self.book.durable(entry.position)
        return entry

    def reported(self, event_id: str) -> None:
        """The callback about an end has arrived: it is not sent again by a later life of the bank."""
        if self.unreported.pop(event_id, None) is not None:
            self.book.append(b'{"reported":%b}' % orjson.dumps(event_id))

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
        elif behaviour.challenged:
            return self._challenge(order, behaviour)
        answer = self._authorization(order, behaviour, _verdict(code), code)
        answer["auth_code"] = _auth_code() if code == APPROVED else None
        return self._write(order.asked, _http_status(code), answer)

    def _challenge(self, order: Order, behaviour: TestCard) -> Entry:
        answer = self._authorization(order, behaviour, "requires_action", behaviour.response_code)
        answer["redirect_url"] = f"{order.public_url}/3ds/{answer['operation_id']}"
        answer["return_url"] = order.return_url
        answer["expires_at"] = (self._clock() + CHALLENGE_LASTS).isoformat()
        return self._write(order.asked, 200, answer)

    def _authorization(self, order: Order, behaviour: TestCard, status: str, code: str) -> dict[str, Any]:
        answer = self._answer(order.kind, order.reference, status, code, order.amount_minor, order.currency)
        return answer | {"avs_result": behaviour.avs, "cvc_result": behaviour.cvc, "capture": order.capture}

    def _follow_up(self, order: Order) -> Entry:
        hold = self.holds.get(order.authorization_id or "")
        amount, currency = order.amount_minor, order.currency
        if hold is not None and order.kind is Kind.VOID:
            amount, currency = hold.authorized, hold.currency
        code = NO_SUCH_RECORD if hold is None else hold.judge(order.kind, amount, currency)
        answer = self._answer(order.kind, order.reference, _verdict(code), code, amount, currency)
        answer["authorization_id"] = order.authorization_id
        return self._write(order.asked, _http_status(code), answer)

    def _transfer(self, order: Order) -> Entry:
        answer = self._answer(order.kind, order.reference, "pending", None, order.amount_minor, order.currency)
        answer["direction"] = order.direction
        return self._write(order.asked, 202, answer)

    def _is_challenge(self, reference: str) -> bool:
        """Whether the payer's answer to a challenge is still to come."""
        pending = self.pending.get(reference)
        return pending is not None and pending["kind"] == Kind.AUTHORIZATION

    def _lapse(self, reference: str) -> None:
        """Close a challenge whose time is over."""
        if self._is_challenge(reference) and self._clock() >= read_time(self.pending[reference]["expires_at"]):
            self._bury(reference)

    def _bury(self, reference: str) -> None:
        """Put a tombstone: what is under the reference will not happen any more."""
        self._write(Kind.CANCEL, 200, self._answer(Kind.CANCEL, reference, "cancelled", None, 0, ""))

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
        position = self.book.append(b'{"asked":%b,"status":%d,"answer":%b}' % (orjson.dumps(asked), status, body))
        return self._remember(position, asked, status, answer, body)

    def _remember(self, position: int, asked: str, status: int, answer: dict[str, Any], body: bytes) -> Entry:
        """Take a booked line into memory; the same for a new line and for one read back at the start."""
        settled_at = answer.get("settled_at")
        written_at = datetime.fromisoformat(settled_at or answer["created_at"])
        entry = Entry(position, answer["reference"], asked, status, body, written_at)
        self._entries.append(entry)
        self._latest[entry.reference] = entry
        self._first.setdefault(entry.reference, entry)
        if answer["status"] in ("pending", "requires_action"):
            self.pending[entry.reference] = answer
            if answer["kind"] == Kind.AUTHORIZATION:
                self.challenges[answer["operation_id"]] = answer
            return entry
        self.pending.pop(entry.reference, None)
        if settled_at is not None:
            self.unreported[event_id(answer)] = entry
        if answer["status"] == "approved":
            self._move(answer)
        return entry

    def _move(self, answer: dict[str, Any]) -> None:
        amount = answer["amount_minor"]
        if answer["kind"] == Kind.AUTHORIZATION:
            captured = amount if answer["capture"] else 0
            self.holds[answer["operation_id"]] = Hold(answer["currency"], amount, captured)
        else:
            self.holds[answer["authorization_id"]].move(Kind(answer["kind"]), amount)


def event_id(settled: dict[str, Any]) -> str:
    """The name of an end for callbacks: the same however often it is reported."""
    return f"{settled['operation_id']}:{settled['status']}"


def _auth_code() -> str:
    return secrets.token_hex(3).upper()


def _verdict(code: str) -> str:
    return "approved" if code == APPROVED else "declined"


def _http_status(code: str) -> int:
    return 201 if code == APPROVED else 200
