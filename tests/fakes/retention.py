"""The Retention port over memory."""

from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from typing import Any

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.retention import Perishable
from cleartill.domain.transfer import FINAL
from cleartill.ports import Purged
from fakes.memory import FakeClock, Held, Memory
from fakes.webhooks import FakeWebhooks

SLACK = timedelta(minutes=1)
_Row = tuple[datetime, Any, bool]
"""Its age counts from there, its key, whether it may go."""


class FakeRetention:
    """`away`: the kinds that cannot be purged now. `asked`: for what, and from where on."""

    def __init__(self, memory: Memory, clock: FakeClock, webhooks: FakeWebhooks) -> None:
        self._memory, self._clock, self._webhooks = memory, clock, webhooks
        self.away: set[Perishable] = set()
        self.asked: list[tuple[Perishable, datetime | None]] = []

    async def purge(self, what: Perishable, kept: timedelta, beyond: datetime | None, limit: int) -> Purged:
        self.asked.append((what, beyond))
        if what in self.away:
            raise BooksUnavailable("The books are away")
        before = self._clock.now() - kept - SLACK
        table, rows = self._rows(what, before)
        old = sorted(((at, key, free) for at, key, free in rows if at <= before), key=lambda row: row[0])
        seen = [row for row in old if beyond is None or row[0] >= beyond][:limit]
        gone = [key for _, key, free in seen if free]
        for key in gone:
            del table[key]
        if len(seen) < limit:
            return Purged(len(gone), None)
        last = seen[-1][0]
        return Purged(len(gone), last if beyond is None or last > beyond else last + timedelta(microseconds=1))

    def _rows(self, what: Perishable, before: datetime) -> tuple[MutableMapping[Any, Any], list[_Row]]:
        memory, deliveries = self._memory, self._webhooks.waiting
        match what:
            case Perishable.IDEMPOTENCY_KEYS:
                return self._claims(False, lambda held: self._final(held, before))
            case Perishable.CALLBACKS:
                return self._claims(True, lambda _: True)
            case Perishable.EVENTS:
                published = [(at, key) for key, at in memory.published_at.items() if key in memory.outbox]
                return memory.outbox, [(at, key, self._webhooks.fanned_out(key)) for at, key in published]
            case Perishable.DELIVERIES:
                return deliveries, [(row.at, key, True) for key, row in deliveries.items() if not row.pending]

            case Perishable.SESSIONS:
                return memory.sessions, [(kept.over_at, digest, True) for digest, kept in memory.sessions.items()]

    def _claims(self, heard: bool, free: Callable[[Held], bool]) -> tuple[MutableMapping[Any, Any], list[_Row]]:
        claims = self._memory.claims
        ours = [(key, held) for key, held in claims.items() if key[1].startswith("callback:") is heard]
        return claims, [(held.created_at, key, free(held)) for key, held in ours]

    def _final(self, held: Held, before: datetime) -> bool:
        merchant_id = held.claim.merchant_id
        attempt = self._memory.attempts.get((merchant_id, held.attempt_key or ""))
        transfer = self._memory.transfers.get((merchant_id, held.payment_id))
        return (
            held.answer is not None
            and held.answer.status != 202
            and held.answered_at is not None
            and held.answered_at <= before
            and (attempt is None or attempt.status is not AttemptStatus.OPEN)
            and (transfer is None or transfer.status in FINAL)
        )
