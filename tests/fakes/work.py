"""The Backlog and Publisher ports over memory."""

import asyncio
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from cleartill.domain.attempt import Attempt, AttemptStatus
from cleartill.domain.backoff import delay_s
from cleartill.domain.card import SealedCard
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Lease, Origin, OutboxRow, Published
from fakes.memory import FakeClock, Memory

PARTITIONS = 16
LEASE_S = 30.0


class FakeBacklog:
    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock

    async def due_attempts(self, limit: int) -> list[tuple[Attempt, Origin]]:
        now, memory = self._clock.now(), self._memory
        due = []
        for key, attempt in memory.attempts.items():
            if attempt.status is AttemptStatus.OPEN and memory.resolve_at[key] <= now and len(due) < limit:
                attempt.tries += 1
                memory.resolve_at[key] = now + timedelta(seconds=delay_s(attempt.tries, base_s=5.0))
                due.append((replace(attempt), memory.origins[key]))
        return due

    async def due_holds(self, limit: int) -> list[tuple[str, str]]:
        now = self._clock.now()
        due = [
            (key, payment)
            for key, payment in self._memory.payments.items()
            if payment.status is PaymentStatus.AUTHORIZED and payment.lapses_at and payment.lapses_at <= now
        ][:limit]
        for _, payment in due:
            payment.lapses_at = now + timedelta(minutes=1)
        return [key for key, _ in due]

    async def lease_outbox(self, owner: str, share: int) -> Lease:
        now, until = self._clock.now(), self._clock.now() + timedelta(seconds=LEASE_S)
        mine: dict[int, int] = {}
        for partition in range(PARTITIONS):
            holder, epoch, ends = self._memory.leases.get(partition, ("", 0, now))
            ours = holder == owner and ends > now
            if ours or (ends <= now and len(mine) < share):
                mine[partition] = epoch if ours else epoch + 1
                self._memory.leases[partition] = (owner, mine[partition], until)
        return Lease(owner, mine)

    async def unpublished(self, lease: Lease, limit: int) -> list[OutboxRow]:
        memory = self._memory
        waiting = [
            at for at in sorted(memory.outbox) if at not in memory.published and partition_of(at[1]) in lease.epochs
        ]
        return [memory.outbox[at] for at in waiting[:limit]]

    async def mark_published(self, lease: Lease, reports: Sequence[Published]) -> int:
        marked = 0
        for report in reports:
            at, partition = (report.row.merchant_id, report.row.subject_id, report.row.seq), 0
            partition = partition_of(report.row.subject_id)
            if self._memory.leases[partition][1] == lease.epochs[partition] and at not in self._memory.published:
                self._memory.published[at] = report
                self._memory.published_at[at] = self._clock.now()
                marked += 1
        return marked

    async def cards_not_under(self, key_version: int, limit: int) -> list[SealedCard]:
        return [card for card in self._memory.cards.values() if card.key_version != key_version][:limit]

    async def cards_by_key(self) -> dict[int, int]:
        return Counter(card.key_version for card in self._memory.cards.values())

    async def store_rewrapped(self, cards: Sequence[tuple[SealedCard, SealedCard]]) -> int:
        stored = 0
        for old, new in cards:
            if self._memory.cards.get((old.merchant_id, old.token)) == old:
                self._memory.cards[(old.merchant_id, old.token)] = new
                stored += 1
        return stored


def partition_of(subject_id: str) -> int:
    return zlib.crc32(subject_id.encode()) % PARTITIONS


class FakePublisher:
    """`away`: nothing is reported. `refused`: subjects whose rows fail."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.away = False
        self.refused: set[str] = set()

    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        await asyncio.sleep(0)
        reports = []
        for row in rows:
            if not self.away and row.subject_id not in self.refused:
                self.rows.append(row)
                reports.append(Published(row, partition_of(row.subject_id), len(self.rows)))
        return reports

    async def ping(self) -> None:
        if self.away:
            raise ConnectionError
