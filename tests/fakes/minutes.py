"""The Minutes and Stats ports over memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.minute import Minute
from cleartill.domain.stats import Step, Tally, point_of
from cleartill.ports import TooMany
from cleartill.ports.minutes import MINUTES_MAX
from cleartill.ports.stats import COUNT_MAX
from fakes.memory import FakeClock, Memory


class FakeMinutes:
    """`away`: nothing can be written or read. `rows`: by instance and number, and when each was written."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock, self.away = clock, False
        self.rows: dict[tuple[str, int], tuple[Minute, datetime]] = {}

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    async def write(self, minutes: Sequence[Minute]) -> None:
        self._reach()
        for minute in minutes:
            key = (minute.instance, minute.number)
            if key not in self.rows or self.rows[key][0].revision < minute.revision:
                self.rows[key] = (minute.copy(), self._clock.now())

    async def since(self, at: datetime, latencies_from: datetime) -> list[Minute]:
        self._reach()
        now = self._clock.now()
        found = [
            replace(
                minute.copy(),
                latencies=minute.copy().latencies if minute.minute >= latencies_from else {},
                age_s=(now - written_at).total_seconds(),
            )
            for minute, written_at in self.rows.values()
            if minute.minute >= at
        ]
        return sorted(found, key=lambda minute: minute.minute, reverse=True)[:MINUTES_MAX]

    async def forget(self, older_than_s: float, limit: int) -> int:
        self._reach()
        edge = self._clock.now() - timedelta(seconds=older_than_s)
        old = [key for key, (minute, at) in self.rows.items() if minute.minute < edge and at < edge]
        for key in sorted(old, key=lambda key: self.rows[key][0].minute)[:limit]:
            del self.rows[key]
        return min(len(old), limit)


class FakeStats:
    """Counts one by one what the memory holds. `most`: of payments, and of refunds."""

    def __init__(self, memory: Memory, most: int = COUNT_MAX) -> None:
        self._memory, self.most, self.away, self.asked = memory, most, False, 0

    async def tallies(self, merchant_id: str, since: datetime, until: datetime, step: Step) -> list[Tally]:
        self.asked += 1
        if self.away:
            raise BooksUnavailable("The books are away")
        counts: Counter[tuple[str, datetime, str, str, str | None]] = Counter()
        moved: Counter[tuple[str, datetime, str, str, str | None]] = Counter()
        for kind, table in (("payment", self._memory.payments), ("refund", self._memory.refunds)):
            made = [
                one
                for (merchant, _), one in table.items()  # type: ignore[attr-defined]
                if merchant == merchant_id and since <= one.created_at < until
            ]
            if len(made) > self.most:
                raise TooMany
            for one in made:
                code = one.decline.code if kind == "payment" and one.decline else None
                key = (kind, point_of(one.created_at, step), str(one.status), one.currency, code)
                counts[key] += 1
                moved[key] += one.amount_captured_minor if kind == "payment" else one.amount_minor
        return [Tally(*key, count, moved[key]) for key, count in counts.items()]
