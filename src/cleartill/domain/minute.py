"""A minute of one process: what it counted and timed, in a form that adds up with other minutes and other processes.

A series is a name with its tags in one string, `provider.call|operation=refund|outcome=approved|provider=bank`: what
JSON can key, and what a reader can take apart.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cleartill.domain.histogram import Histogram, merged

MINUTE = timedelta(minutes=1)


def minute_of(at: datetime) -> datetime:
    """The minute that a moment is in."""
    return at.replace(second=0, microsecond=0)


def series(name: str, tags: Iterable[tuple[str, str]] = ()) -> str:
    return "|".join([name, *(f"{tag}={value}" for tag, value in sorted(tags))])


def name_and_tags(series: str) -> tuple[str, dict[str, str]]:
    """What `series` put together."""
    name, *tags = series.split("|")
    return name, dict(tag.split("=", 1) for tag in tags)


@dataclass(slots=True)
class Minute:
    """One row. `number` counts the rows of an instance (a process from its start to its end): a minute that comes
    twice, since the clock was set back, is two rows, and nothing is counted twice or lost. `revision` counts the times
    the row was written. `gauges`: the last value of each, and when it was taken (Unix seconds). `age_s`: when read,
    how long ago it was written, by the database's clock."""

    instance: str
    number: int
    role: str
    minute: datetime
    started_at: datetime
    """When the process did."""
    began_at: datetime
    """From when on this row has counted."""
    revision: int = 0
    counts: dict[str, float] = field(default_factory=dict)
    latencies: dict[str, Histogram] = field(default_factory=dict)
    gauges: dict[str, tuple[float, float]] = field(default_factory=dict)
    age_s: float = 0.0

    def copy(self) -> "Minute":
        """As it is now, whatever is counted afterwards."""
        return Minute(
            self.instance,
            self.number,
            self.role,
            self.minute,
            self.started_at,
            self.began_at,
            self.revision,
            self.counts.copy(),
            {name: one.copy() for name, one in self.latencies.items()},
            self.gauges.copy(),
        )


class Sums:
    """Minutes of any processes, added up. A question names a metric and the tags it is about; the others are summed."""

    def __init__(self, minutes: Iterable[Minute]) -> None:
        self._counts: dict[str, list[tuple[dict[str, str], float]]] = {}
        self._latencies: dict[str, list[tuple[dict[str, str], Histogram]]] = {}
        for minute in minutes:
            for key, value in minute.counts.items():
                name, tags = name_and_tags(key)
                self._counts.setdefault(name, []).append((tags, value))
            for key, histogram in minute.latencies.items():
                name, tags = name_and_tags(key)
                self._latencies.setdefault(name, []).append((tags, histogram))

    def count(self, name: str, **tags: str) -> int:
        return round(sum(value for of, value in self._counts.get(name, ()) if tags.items() <= of.items()))

    def counts_by(self, name: str, tag: str, **tags: str) -> dict[str, int]:
        """In alphabetical order; what was counted without the tag stands under "other"."""
        found: dict[str, float] = {}
        for of, value in self._counts.get(name, ()):
            if tags.items() <= of.items():
                word = of.get(tag, "other")
                found[word] = found.get(word, 0) + value
        return {word: round(value) for word, value in sorted(found.items())}

    def latency(self, name: str, **tags: str) -> Histogram:
        return merged(one for of, one in self._latencies.get(name, ()) if tags.items() <= of.items())

    def latencies_by(self, name: str, tag: str) -> dict[str, Histogram]:
        found: dict[str, list[Histogram]] = {}
        for of, one in self._latencies.get(name, ()):
            found.setdefault(of.get(tag, "other"), []).append(one)
        return {word: merged(parts) for word, parts in sorted(found.items())}


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value, when it was taken, and by whom."""

    tags: dict[str, str]
    value: float
    at: float
    instance: str


def last_gauges(minutes: Iterable[Minute], name: str, fits: Callable[[Minute], Any] = lambda _: True) -> list[Gauge]:
    """The last value of each series of that name from each process."""
    found: dict[tuple[str, str], Gauge] = {}
    for minute in minutes:
        if not fits(minute):
            continue
        for key, (value, at) in minute.gauges.items():
            if key == name or key.startswith(f"{name}|"):
                known = found.get((minute.instance, key))
                if known is None or known.at <= at:
                    found[minute.instance, key] = Gauge(name_and_tags(key)[1], value, at, minute.instance)
    return list(found.values())
