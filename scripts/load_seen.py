"""What `make load` saw, second by second, and what that means. No I/O lives here."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from load_profiles import Kind

from cleartill.domain.histogram import Histogram, merged

SECONDS_MAX = 4 * 3600 + 120


class Outcome(StrEnum):
    """What came of an arrival."""

    CAPTURED = "captured"
    DECLINED = "declined"
    REFUNDED = "refunded"
    IN_DOUBT = "in doubt"
    SHED = "503, try again"
    """With Retry-After: refused before anything was sent, which is what an overloaded service should do."""
    LIMITED = "429"
    REFUSED = "other 4xx"
    BROKEN = "5xx"
    UNANSWERED = "unanswered"


SERVED = (Outcome.CAPTURED, Outcome.DECLINED, Outcome.REFUNDED, Outcome.IN_DOUBT)
"""Latencies are of these only: refusals are quick, and would flatter."""
WRONG = (Outcome.REFUSED, Outcome.BROKEN, Outcome.UNANSWERED)
"""Nothing that was sent deserves these."""


def judge(kind: Kind, status: int, answer: bytes) -> tuple[Outcome, str]:
    """What an answer (head and body; status 0: none came) means, and the payment's id if it could be refunded."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if status == 0:
        return Outcome.UNANSWERED, ""
    if status == 503 and b"\r\nretry-after:" in head.lower():
        return Outcome.SHED, ""
    if status >= 500:
        return Outcome.BROKEN, ""
    if status == 429:
        return Outcome.LIMITED, ""
    if status not in (200, 201, 202):
        return Outcome.REFUSED, ""
    try:
        told = json.loads(body)
        became, id = told["status"], told["id"]
    except (ValueError, KeyError, TypeError):
        return Outcome.BROKEN, ""
    if became == "failed":
        return Outcome.DECLINED, ""
    if kind is Kind.REFUND:
        return (Outcome.REFUNDED if became == "succeeded" else Outcome.IN_DOUBT), ""
    return (Outcome.CAPTURED, id) if became == "captured" else (Outcome.IN_DOUBT, "")


@dataclass
class Second:
    """`arrived`: due in it. `outcomes` and `latency` are of what was answered in it; `in_flight` at its end."""

    arrived: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)
    in_flight: int = 0

    @property
    def served(self) -> int:
        return sum(self.outcomes[one] for one in SERVED)

    def view(self) -> dict[str, Any]:
        shown = {name: value for name, value in self.latency.view().items() if name != "count"}
        outcomes = {str(outcome): count for outcome, count in self.outcomes.items() if count}
        return {"arrived": self.arrived, "outcomes": outcomes, "in_flight": self.in_flight, **shown}


class Seen:
    """All of it. Times are in seconds from the beginning; latencies are from when an arrival was due, so that a
    generator or a service that is late does not flatter itself."""

    def __init__(self) -> None:
        self.seconds: list[Second] = []
        self.slow = Histogram()
        """Of the slow card, whose bank takes three seconds: kept apart, or p99 would be about nothing else."""
        self.dropped = 0
        """Arrivals that were not sent: too many connections were busy."""
        self.late_s = 0.0
        """The most that the generator was behind its own clock."""
        self.in_flight = 0

    def at(self, second: float) -> Second:
        place = min(max(0, int(second)), SECONDS_MAX)
        while len(self.seconds) <= place:
            if self.seconds:
                self.seconds[-1].in_flight = self.in_flight
            self.seconds.append(Second())
        return self.seconds[place]

    def arrived(self, due: float, now: float) -> None:
        self.at(due).arrived += 1
        self.in_flight += 1
        self.late_s = max(self.late_s, now - due)

    def was_dropped(self, due: float) -> None:
        self.at(due).arrived += 1
        self.dropped += 1

    def answered(self, now: float, kind: Kind, outcome: Outcome, took_s: float) -> None:
        second = self.at(now)
        second.outcomes[outcome] += 1
        self.in_flight -= 1
        if outcome in SERVED:
            (self.slow if kind is Kind.SLOW else second.latency).add(took_s * 1000)

    @property
    def outcomes(self) -> Counter[Outcome]:
        return sum((one.outcomes for one in self.seconds), Counter())

    def wrong(self) -> list[str]:
        """What makes a run fail: nothing, if it is well."""
        found = self.outcomes
        reasons = [f"{found[one]} × {one}" for one in WRONG if found[one]]
        if not any(found[one] for one in SERVED):
            reasons.append("nothing was served")
        return reasons

    def totals(self) -> dict[str, Any]:
        found = self.outcomes
        return {
            "arrived": sum(one.arrived for one in self.seconds),
            "outcomes": {str(outcome): found[outcome] for outcome in Outcome if found[outcome]},
            "latency": merged(one.latency for one in self.seconds).view(),
            "slow_card": self.slow.view(),
            "dropped": self.dropped,
            "generator_late_ms": round(self.late_s * 1000, 1),
        }


def gathered(seconds: Sequence[Second], most: int) -> list[tuple[int, Second]]:
    """At most so many, each of as many seconds, which it answers with it, as that takes: sums of counts, percentiles of
    all their latencies together."""
    width = max(1, -(-len(seconds) // most))
    found = []
    for begin in range(0, len(seconds), width):
        part = seconds[begin : begin + width]
        outcomes: Counter[Outcome] = sum((one.outcomes for one in part), Counter())
        latency = merged(one.latency for one in part)
        found.append((len(part), Second(sum(one.arrived for one in part), outcomes, latency, part[-1].in_flight)))
    return found
