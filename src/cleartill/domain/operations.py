"""What operators see, made of the minutes of all processes: rates, latencies, what waits, who lives.

Every part says how old it is (`age_s`), so that a part that nobody measures any more shows itself. Rates are of the
minutes since `window` ago, divided by the time that the oldest of them has counted for; percentiles are those of all
processes together, within `histogram.ERROR`. The authorization rate is that of `stats`: approved / (approved +
declined), each payment counted once, when it is decided.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cleartill.domain.events import timestamp
from cleartill.domain.histogram import ERROR, Histogram
from cleartill.domain.minute import MINUTE, Gauge, Minute, Sums, last_gauges, minute_of
from cleartill.domain.money import EXPONENTS, major
from cleartill.domain.rounds import workers
from cleartill.domain.stats import rate

HISTORY = 30
"""Minutes of the picture of the last half hour."""
ALIVE_S = 20.0
"""A process writes every 5 s; who has not for this long is not seen alive."""
SEEN_S = 600.0
"""For how long a process that is gone is still named."""
BREAKERS = ("closed", "half_open", "open")
_QUEUES = {
    "outbox": ("outbox.pending", "outbox.oldest_s"),
    "webhooks": ("webhook.pending", "webhook.oldest_s"),
    "transfers": ("transfer.pending", "transfer.dead"),
    "doubts": ("in_doubt.count", "in_doubt.oldest_s"),
    "audit": ("audit.unsealed", "audit.oldest_s", "audit.head"),
}
_ONE_SWEEP_S = 1.0
"""Gauges of one round of measuring lie no further apart."""


class Span(StrEnum):
    """How much of the past rates and percentiles are made of."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"

    @property
    def length(self) -> timedelta:
        return {"1m": MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": 60 * MINUTE}[self.value]


def reach(now: datetime, span: Span) -> tuple[datetime, datetime]:
    """From when on minutes are needed, and from when on with latencies."""
    latencies_from = minute_of(now) - span.length + MINUTE
    return min(latencies_from, minute_of(now) - (HISTORY - 1) * MINUTE), latencies_from


def operations(
    minutes: Sequence[Minute], reconciled: dict[str, Any] | None, now: datetime, span: Span
) -> dict[str, Any]:
    """The whole view; `reconciled`: the last report of a reconciliation."""
    _, from_ = reach(now, span)
    recent = [minute for minute in minutes if minute.minute >= from_]
    sums, alive = Sums(recent), {minute.instance for minute in minutes if minute.age_s <= ALIVE_S}
    begun = min((minute.began_at for minute in recent), default=now)
    seconds = max(1.0, (now - max(begun, from_)).total_seconds())
    gauges = _Gauges(minutes, alive, now)
    return {
        "as_of": timestamp(now),
        "window": str(span),
        "measured_s": round(seconds, 3),
        "age_s": _youngest(minutes),
        "precision": ERROR,
        "payments": _payments(sums, seconds),
        "latency": {
            "total": sums.latency("payment.latency").view(),
            "own": sums.latency("payment.overhead").view(),
            "http": sums.latency("http.request.latency").view(),
        },
        "hops": [{"name": name, **one.view()} for name, one in sums.latencies_by("hop", "name").items()],
        "providers": _providers(sums, gauges),
        "http": {
            "per_s": _per_s(sums.count("http.request"), seconds),
            "by_class": sums.counts_by("http.request", "status"),
        },
        "refusals": _refusals(sums),
        "outbox": {**gauges.queue("outbox"), "published": sums.count("outbox.published")},
        "webhooks": {
            **gauges.queue("webhooks"),
            "delivered": sums.count("webhook.delivered"),
            "failed": sums.count("webhook.failed"),
        },
        "transfers": {
            **gauges.queue("transfers"),
            "succeeded": sums.count("transfer.count", status="succeeded"),
            "failed": sums.count("transfer.count", status="failed"),
            "retried": sums.count("transfer.retried"),
        },
        "doubts": {**gauges.queue("doubts"), "money": gauges.doubted()},
        "reconciliation": _reconciliation(reconciled, now),
        "audit": gauges.queue("audit"),
        "workers": workers(minutes, sums, alive, now),
        "processes": _processes(minutes),
        "minutes": _history(minutes, now),
    }


def _payments(sums: Sums, seconds: float) -> dict[str, Any]:
    count = sums.count("payment.latency")
    return {
        "count": count,
        "per_s": _per_s(count, seconds),
        "authorization_rate": _authorized(sums),
        "by_status": sums.counts_by("payment.count", "status"),
        "by_provider": sums.counts_by("payment.latency", "provider"),
        "declined_by_category": {
            category: count
            for category, count in sums.counts_by("payment.count", "decline_category", status="failed").items()
            if category != "none"
        },
        "captured": [
            {"currency": currency, "amount": major(amount_minor, currency), "amount_minor": amount_minor}
            for currency, amount_minor in sums.counts_by("payment.amount", "currency", status="captured").items()
            if currency in EXPONENTS
        ],
    }


def _authorized(sums: Sums, **of: str) -> float | None:
    approved = sums.count("payment.decided", decision="approved", **of)
    return rate(approved, sums.count("payment.decided", decision="declined", **of))


def _providers(sums: Sums, gauges: "_Gauges") -> list[dict[str, Any]]:
    states, inflight = gauges.of_the_living("breaker.state"), gauges.of_the_living("guard.inflight")
    latencies = sums.latencies_by("provider.latency", "provider")
    names = {gauge.tags["provider"] for gauge in [*states, *inflight]} | {*latencies}
    return [
        {
            "provider": name,
            "breaker": _worst(states, name),
            "inflight": round(sum(gauge.value for gauge in inflight if gauge.tags["provider"] == name)),
            "calls": sums.counts_by("provider.call", "outcome", provider=name),
            "rejected": sums.count("guard.rejected", provider=name),
            "authorization_rate": _authorized(sums, provider=name),
            "latency": latencies.get(name, Histogram()).view(),
        }
        for name in sorted(names)
    ]


def _worst(states: Sequence[Gauge], provider: str) -> str | None:
    """Of the processes' breakers for a provider the one that lets least through."""
    values = [int(gauge.value) for gauge in states if gauge.tags["provider"] == provider]
    return BREAKERS[max(values)] if values else None


def _refusals(sums: Sums) -> dict[str, int]:
    return {
        "unauthorized": sums.count("auth.failed"),
        "rate_limited": sums.count("ratelimit.rejected"),
        "idempotency_replayed": sums.count("idempotency.replayed"),
        "idempotency_conflict": sums.count("idempotency.conflict"),
        "idempotency_in_progress": sums.count("idempotency.in_progress"),
        "books_conflict": sums.count("books.conflict"),
        "books_unavailable": sums.count("books.unavailable"),
        "invariant_breaches": sums.count("invariant.breach"),
    }


def _reconciliation(report: dict[str, Any] | None, now: datetime) -> dict[str, Any] | None:
    if report is None:
        return None
    ended_at = datetime.fromisoformat(report["ended_at"])
    return {
        "run": report["run"],
        "clean": report["clean"],
        "discrepancies": report["discrepancies"],
        "new": report["new"],
        "ended_at": report["ended_at"],
        "age_s": _age_s(now, ended_at.timestamp()),
    }


def _processes(minutes: Sequence[Minute]) -> list[dict[str, Any]]:
    """Those that live, then those that went away of late."""
    last: dict[str, Minute] = {}
    for minute in minutes:
        known = last.get(minute.instance)
        if known is None or minute.number > known.number:
            last[minute.instance] = minute
    seen = sorted(last.values(), key=lambda one: (one.age_s > ALIVE_S, one.role, one.started_at))
    return [
        {
            "instance": one.instance,
            "role": one.role,
            "alive": one.age_s <= ALIVE_S,
            "started_at": timestamp(one.started_at),
            "age_s": round(one.age_s, 3),
        }
        for one in seen
        if one.age_s <= SEEN_S
    ]


def _history(minutes: Sequence[Minute], now: datetime) -> list[dict[str, Any]]:
    """The last HISTORY minutes, the one that is under way last."""
    by_minute: dict[datetime, list[Minute]] = {}
    for minute in minutes:
        by_minute.setdefault(minute.minute, []).append(minute)
    shown = []
    for back in reversed(range(HISTORY)):
        at = minute_of(now) - back * MINUTE
        sums = Sums(by_minute.get(at, ()))
        shown.append(
            {
                "at": timestamp(at),
                "payments": sums.count("payment.latency"),
                "authorization_rate": _authorized(sums),
                "errors": sums.count("http.request", status="5xx"),
                "p95_ms": sums.latency("payment.latency").view()["p95_ms"],
                "own_p95_ms": sums.latency("payment.overhead").view()["p95_ms"],
            }
        )
    return shown


def _youngest(minutes: Sequence[Minute]) -> float | None:
    return min((round(minute.age_s, 3) for minute in minutes), default=None)


def _per_s(count: int, seconds: float) -> float:
    return round(count / seconds, 3)


def _age_s(now: datetime, at: float) -> float:
    return round(max(0.0, now.timestamp() - at), 3)


class _Gauges:
    """What was measured last, by whom."""

    def __init__(self, minutes: Sequence[Minute], alive: set[str], now: datetime) -> None:
        self._minutes, self._alive, self._now = minutes, alive, now

    def of_the_living(self, name: str) -> list[Gauge]:
        return last_gauges(self._minutes, name, lambda minute: minute.instance in self._alive)

    def queue(self, part: str) -> dict[str, Any]:
        """What waits there, as the worker that looked last saw it; None if none ever did."""
        shown: dict[str, Any] = {}
        ages = []
        for name in _QUEUES[part]:
            last = self._last(name)
            word = name.partition(".")[2]
            shown[word] = None if last is None else (round(last.value, 3) if word.endswith("_s") else round(last.value))
            if last is not None:
                ages.append(_age_s(self._now, last.at))
        return {**shown, "age_s": max(ages, default=None)}

    def doubted(self) -> list[dict[str, Any]]:
        """What the doubts are about: of the last round of measuring, since a currency without doubt is not measured."""
        measured = self._last("in_doubt.count")
        if measured is None or not measured.value:
            return []
        found = {
            gauge.tags["currency"]: round(gauge.value)
            for gauge in last_gauges(self._minutes, "in_doubt.amount")
            if gauge.instance == measured.instance and abs(gauge.at - measured.at) <= _ONE_SWEEP_S
        }
        return [
            {"currency": currency, "amount": major(amount_minor, currency), "amount_minor": amount_minor}
            for currency, amount_minor in sorted(found.items())
        ]

    def _last(self, name: str) -> Gauge | None:
        return max(last_gauges(self._minutes, name), key=lambda gauge: gauge.at, default=None)
