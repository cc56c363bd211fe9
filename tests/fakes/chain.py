"""The AuditChain port over memory. What is in `log` is committed, in that order."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cleartill.domain.audit_chain import AuditRow, Head, SealedRow, genesis
from cleartill.ports import Chain, Clock, Depth, SealLease

LEASE_S = 30.0
CHAIN = "chn_fake"


class FakeChain:
    """`log`: rows and, once they have one, their seals."""

    def __init__(self, clock: Clock, page: int = 500) -> None:
        self._clock, self._page = clock, page
        self.log: list[AuditRow] = []
        self.seals: dict[int, SealedRow] = {}
        self.head, self.began_at = Head(CHAIN, 0, genesis(CHAIN)), clock.now()
        self.owner, self.epoch, self.until = "", 0, clock.now()
        self._anchored, self._tried_at = 0, datetime.min.replace(tzinfo=self.began_at.tzinfo)

    async def lease(self, owner: str) -> SealLease | None:
        now = self._clock.now()
        if self.until > now and self.owner != owner:
            return None
        if self.until <= now:
            self.epoch += 1
        self.owner, self.until = owner, now + timedelta(seconds=LEASE_S)
        return SealLease(owner, self.epoch, self.head)

    def _waiting(self) -> list[AuditRow]:
        sealed = {(one.row.subject_id, one.row.seq) for one in self.seals.values()}
        return [row for row in self.log if (row.subject_id, row.seq) not in sealed]

    async def unsealed(self, limit: int) -> list[AuditRow]:
        return sorted(self._waiting(), key=lambda row: (row.recorded_at, row.merchant_id, row.subject_id, row.seq))[
            :limit
        ]

    async def seal(self, lease: SealLease, rows: Sequence[SealedRow]) -> bool:
        if (lease.owner, lease.epoch, lease.head.number) != (self.owner, self.epoch, self.head.number):
            return False
        self.seals.update((one.number, one) for one in rows)
        self.head = Head(CHAIN, rows[-1].number, rows[-1].seal, self._clock.now())
        return True

    async def chain(self) -> Chain:
        return Chain(self.head, self.began_at)

    async def sealed(self, after: int, upto: int) -> list[SealedRow]:
        numbers = sorted(number for number in self.seals if after < number <= upto)
        return [self.seals[number] for number in numbers if number < numbers[0] + self._page]

    async def strays(self) -> list[int]:
        return sorted(number for number in self.seals if not 0 < number <= self.head.number)

    async def anchor_due(self, every_s: float) -> Head | None:
        now = self._clock.now()
        if self.head.number <= self._anchored or (now - self._tried_at).total_seconds() < every_s:
            return None
        self._tried_at = now
        return self.head

    async def anchored(self, head: Head) -> None:
        self._anchored = max(self._anchored, head.number)

    async def depths(self) -> list[Depth]:
        waiting = self._waiting()
        now = self._clock.now()
        oldest_s = max(
            ((now - datetime.fromisoformat(row.recorded_at)).total_seconds() for row in waiting), default=0.0
        )
        return [
            Depth("audit.unsealed", float(len(waiting))),
            Depth("audit.oldest_s", oldest_s),
            Depth("audit.head", float(self.head.number)),
        ]
