"""The minutes of this process: what the metrics and the flight records say, added up in memory and written by a task.

Counting is a dictionary lookup and an addition under a lock: 0.5 µs a hop, about 1 µs a metric. Nothing that a payment
does waits for a database: a task writes the open minute every WRITE_EVERY_S, as one row that is replaced, so pictures
are seconds old, and a SIGKILL loses as much. While PostgreSQL is away WAITING_MAX ended minutes are kept for later,
then the oldest are lost; the payments never hear of it.

A minute ends when the task sees the clock in another one, whichever way it went: it is then a row of its own, whose
number no other row of this process has. What is counted in the instant between a minute's end and the task's waking
falls into the minute before.
"""

import asyncio
import logging
import threading
from collections import deque
from contextlib import suppress

from cleartill.domain.errors import Unavailable
from cleartill.domain.histogram import Histogram
from cleartill.domain.ids import new_id
from cleartill.domain.minute import MINUTE, Minute, minute_of, series
from cleartill.ports import Clock, Minutes, SystemClock
from cleartill.telemetry.flight import Flight

WRITE_EVERY_S = 5.0
WAITING_MAX = 60
"""Ended minutes that could not be written yet: an hour."""
LAST_WORDS_S = 3.0
"""The time that the last writing may take at the end."""
SERIES_MAX = 600
"""Of one row; what is beyond is counted under its name with no tags, so that sums stay right."""
KNOWN_MAX = 10_000
"""Names with their tags that are remembered; beyond, all are looked at anew."""

COUNTED: dict[str, tuple[str, ...]] = {
    "payment.count": ("provider", "currency", "status", "decline_category"),
    "payment.decided": ("provider", "decision"),
    "payment.amount": ("currency", "status"),
    "payment.failover": ("provider", "to"),
    "refund.count": ("provider", "currency", "status"),
    "refund.amount": ("currency", "status"),
    "provider.call": ("provider", "operation", "outcome"),
    "breaker.transition": ("provider", "to"),
    "breaker.degraded": (),
    "guard.rejected": ("provider", "reason"),
    "books.conflict": (),
    "books.unavailable": (),
    "books.requeued": (),
    "idempotency.replayed": (),
    "idempotency.conflict": (),
    "idempotency.in_progress": (),
    "auth.failed": (),
    "ratelimit.rejected": ("rule",),
    "ratelimit.degraded": (),
    "outbox.published": (),
    "kafka.produced": (),
    "kafka.failed": (),
    "webhook.delivered": (),
    "webhook.failed": ("reason",),
    "webhook.disabled": ("reason",),
    "transfer.count": ("kind", "currency", "status"),
    "transfer.retried": ("kind",),
    "invariant.breach": ("name",),
    "reconcile.mismatch": ("kind",),
    "http.request": ("status",),
    "worker.round": ("worker", "outcome"),
    "worker.done": ("worker",),
    "log.dropped": (),
    "telemetry.failed": (),
}
"""The counts that minutes keep, with the tags that they keep of them. Amounts are distributions elsewhere, sums here;
of an HTTP status its class is kept (`2xx`)."""
TIMED: dict[str, tuple[str, ...]] = {
    "payment.latency": ("provider", "status"),
    "payment.overhead": ("provider",),
    "provider.latency": ("provider",),
    "books.wait": (),
    "books.commit": (),
    "pool.wait": (),
    "http.request.latency": (),
    "webhook.first_try": (),
    "worker.latency": ("worker",),
}
"""The same for latencies. `payment.latency` is counted too: the minutes that are read without latencies need it."""
SHOWN = frozenset(
    {
        "breaker.state", "guard.inflight", "outbox.pending", "outbox.oldest_s", "webhook.pending", "webhook.oldest_s",
        "transfer.pending", "transfer.dead", "in_doubt.count", "in_doubt.oldest_s", "in_doubt.amount",
        "reconcile.unmatched", "audit.unsealed", "audit.oldest_s", "audit.head", "worker.failing", "worker.next_s",
    }
)  # fmt: skip
"""What minutes keep the last value of, with all its tags: gauges, and what is sampled."""

log = logging.getLogger(__name__)


class MinuteRecorder:
    """Any thread may count. `start` begins to write; without it everything stays in memory, which is bounded."""

    def __init__(self, role: str, clock: Clock | None = None) -> None:
        self._clock, self._role = clock or SystemClock(), role
        self._lock = threading.Lock()
        self._series: dict[object, str | None] = {}
        self._hops: dict[str, str] = {}
        self._instance, self._started_at = new_id("prc"), self._clock.now()
        self._open = self._begun(1)
        self._ended: deque[Minute] = deque(maxlen=WAITING_MAX)
        self._port: Minutes | None = None
        self._task: asyncio.Task[None] | None = None
        self._away = False

    # ── counting ──────────────────────────────────────────────────────────────────────────────────────────────────

    def count(self, name: str, value: float, tags: dict[str, str]) -> None:
        key = self._key(name, tags, COUNTED)
        if key is not None:
            with self._lock:
                self._add(key, value)

    def observe(self, name: str, value: float, tags: dict[str, str]) -> None:
        """A latency in milliseconds, an amount, or a sample of what is shown by its last value."""
        if name in SHOWN:
            self.gauge(name, value, tags)
            return
        if name in COUNTED:
            self.count(name, value, tags)
            return
        key = self._key(name, tags, TIMED)
        if key is not None:
            with self._lock:
                self._time(key, value)
                if name == "payment.latency":
                    self._add(key, 1)

    def gauge(self, name: str, value: float, tags: dict[str, str]) -> None:
        if name in SHOWN:
            key, at = series(name, tags.items()), self._clock.now().timestamp()
            with self._lock:
                gauges = self._open.gauges
                if key in gauges or len(gauges) < SERIES_MAX:
                    gauges[key] = (value, at)

    def render(self, flight: Flight) -> None:
        """The hops of a flight that has ended, by name."""
        hops = self._hops
        with self._lock:
            for leg in flight.hops:
                if leg.end_ns:
                    key = hops.get(leg.name)
                    if key is None:
                        key = hops[leg.name] = series("hop", [("name", leg.name)])
                    self._time(key, (leg.end_ns - leg.start_ns) / 1e6)

    def _key(self, name: str, tags: dict[str, str], kept: dict[str, tuple[str, ...]]) -> str | None:
        """The series that this is counted under; None: it is not kept."""
        asked = (name, *tags.items())
        try:
            return self._series[asked]
        except KeyError:
            pass
        if len(self._series) >= KNOWN_MAX:
            self._series.clear()
        key = None
        if name in kept:
            told = {tag: tags[tag] for tag in kept[name] if tag in tags}
            if name == "http.request":
                told["status"] = f"{told['status'][:1]}xx"
            key = series(name, told.items())
        self._series[asked] = key
        return key

    def _add(self, key: str, value: float) -> None:
        counts = self._open.counts
        if key not in counts and len(counts) >= SERIES_MAX:
            key = key.partition("|")[0]
        counts[key] = counts.get(key, 0) + value

    def _time(self, key: str, value_ms: float) -> None:
        latencies = self._open.latencies
        histogram = latencies.get(key)
        if histogram is None:
            if len(latencies) >= SERIES_MAX:
                key = key.partition("|")[0]
            histogram = latencies.setdefault(key, Histogram())
        histogram.add(value_ms)

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, port: Minutes) -> None:
        self._port = port
        self._task = asyncio.create_task(self._write_now_and_then(), name="minutes.write")

    async def close(self) -> None:
        """What was counted last is written, within LAST_WORDS_S."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(TimeoutError):
            await asyncio.wait_for(self.write(), LAST_WORDS_S)

    async def write(self) -> None:
        """Write the open minute, and those that have ended and are not written yet. Raises nothing."""
        if self._port is None:
            return
        rows = self._to_write()
        try:
            await self._port.write(rows)
        except Exception as error:  # whatever it is: pictures must not harm what they show
            if not self._away:
                why = str(error) if isinstance(error, Unavailable) else type(error).__name__
                log.warning("this process's minutes cannot be written now: %s", why)
            self._away = True
            return
        self._away = False
        written = {row.number for row in rows}
        with self._lock:
            self._ended = deque((one for one in self._ended if one.number not in written), WAITING_MAX)

    def _to_write(self) -> list[Minute]:
        with self._lock:
            if minute_of(self._clock.now()) != self._open.minute:
                self._open.revision += 1
                self._ended.append(self._open)
                self._open = self._begun(self._open.number + 1)
            self._open.revision += 1
            return [*self._ended, self._open.copy()]

    def _begun(self, number: int) -> Minute:
        now = self._clock.now()
        return Minute(self._instance, number, self._role, minute_of(now), self._started_at, now)

    async def _write_now_and_then(self) -> None:
        while True:
            now = self._clock.now()
            left_s = (minute_of(now) + MINUTE - now).total_seconds()
            await asyncio.sleep(min(WRITE_EVERY_S, left_s + 0.001))
            await self.write()
