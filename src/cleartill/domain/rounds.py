"""Rounds of background workers, as operators see them: who works, when last, at what, how often it failed.

At the end of each round a worker says how many of its rounds have failed in a row, and in how many seconds it means to
begin the next. So one that hangs shows itself by being late, and one that fails by saying so, in each process alike.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cleartill.domain.histogram import Histogram
from cleartill.domain.minute import Gauge, Minute, Sums, last_gauges

OUTCOMES = ("done", "idle", "failed")
"""Of a round: it did something; there was nothing to do; it raised."""


def workers(minutes: Sequence[Minute], sums: Sums, alive: set[str], now: datetime) -> list[dict[str, Any]]:
    """By name. `sums`: of the window that counts and times are of. How they are now is said of processes that live; a
    worker that none of them runs has no `processes`."""
    living = [minute for minute in minutes if minute.instance in alive]
    next_s, failing = _by_worker(living, "worker.next_s"), _by_worker(living, "worker.failing")
    last = _by_worker(minutes, "worker.next_s")
    took = sums.latencies_by("worker.latency", "worker")
    return [
        {
            "name": name,
            "processes": len(next_s.get(name, ())),
            "rounds": {outcome: sums.count("worker.round", worker=name, outcome=outcome) for outcome in OUTCOMES},
            "done": sums.count("worker.done", worker=name),
            "failing": round(max((gauge.value for gauge in failing.get(name, ())), default=0)),
            "last_s": min((_since(gauge.at, now) for gauge in last[name]), default=None),
            "late_s": max((_since(gauge.at + gauge.value, now) for gauge in next_s.get(name, ())), default=None),
            "latency": took.get(name, Histogram()).view(),
        }
        for name in sorted(last)
    ]


def _by_worker(minutes: Sequence[Minute], name: str) -> dict[str, list[Gauge]]:
    found: dict[str, list[Gauge]] = {}
    for gauge in last_gauges(minutes, name):
        found.setdefault(gauge.tags["worker"], []).append(gauge)
    return found


def _since(at: float, now: datetime) -> float:
    return round(max(0.0, now.timestamp() - at), 3)
