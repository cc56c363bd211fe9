"""What DogStatsD received: datagrams parsed, and their values kept by second, for as long as a monitor looks back.

The protocol is v1.0 to v1.3 of https://docs.datadoghq.com/extend/dogstatsd/datagram_shell: several metrics a datagram,
one a line; several values a metric (`1:2:3|d`); sample rates; times of counts and gauges (`|T1656581400`). Only the
types that our catalogue has are taken (c, g, d); others are Malformed, not guessed at.
"""

import math
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["c", "g", "d"]
Tags = frozenset[str]
"""`key:value`, as Datadog stores them."""

KEEP_S = 7200
"""Two hours: the longest window of a monitor is one, and what there is of an SLO's longer ones is all in a game day."""
MAX_SERIES = 20_000
MAX_TAG = 200
_STRANGE: Final = re.compile(r"[^a-z0-9_\-:./]+")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")


class Malformed(ValueError):
    """Not a metric that DogStatsD would take, or of a type that we do not send."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a datagram. `rate`: the share that was sent of what happened; `at`: Unix seconds, if it says."""

    name: str
    kind: Kind
    values: tuple[float, ...]
    tags: Tags
    rate: float = 1.0
    at: int | None = None


def parse(datagram: bytes) -> list[Sample]:
    """All the metrics in it, in order. Raises Malformed; then none of it is to be used."""
    try:
        text = datagram.decode()
    except UnicodeDecodeError as error:
        raise Malformed(str(error)) from None
    return [_sample(line) for line in text.split("\n") if line]


def tag(written: str) -> str:
    """A tag as Datadog stores it: lower case, letters, digits and `_-:./`, anything else an underscore, none of them at
    the end, at most 200 characters (https://docs.datadoghq.com/getting_started/tagging/#define-tags)."""
    return re.sub("__+", "_", _STRANGE.sub("_", written.lower()))[:MAX_TAG].rstrip("_:")


def _sample(line: str) -> Sample:
    head, *fields = line.split("|")
    name, _, packed = head.partition(":")
    if not (_NAME.fullmatch(name) and packed and fields):
        raise Malformed(f"no metric: {line[:100]}")
    kind = fields[0]
    if kind not in ("c", "g", "d"):
        raise Malformed(f"type {kind[:10]!r} is not one that we send: {name}")
    rate, tags, at = 1.0, Tags(), None
    for one in fields[1:]:
        if one.startswith("@"):
            rate = _number(one[1:])
        elif one.startswith("#"):
            tags = Tags(tag(written) for written in one[1:].split(",") if written)
        elif one.startswith("T") and one[1:].isdecimal() and kind != "d":
            at = int(one[1:])
        elif not one.startswith(("c:", "e:", "card:")):  # where it came from; says nothing about the value
            raise Malformed(f"field {one[:20]!r} of {name}")
    if not 0 < rate <= 1:
        raise Malformed(f"sample rate {rate} of {name}")
    values = tuple(map(_number, packed.split(":")))
    return Sample(name, kind, values, tags, rate, at)  # type: ignore[arg-type]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Malformed(f"not a number: {text[:20]!r}") from None
    if not math.isfinite(value):
        raise Malformed(f"not a number: {text[:20]!r}")
    return value


@dataclass(slots=True)
class Series:
    """One metric with one set of tags, in order of time. Of a second: a count's sum, a gauge's last value, all values
    of a distribution, each with what it stands for in `weights` unless that is one."""

    tags: Tags
    seconds: list[int] = field(default_factory=list)
    values: "list[array[float]]" = field(default_factory=list)
    weights: "dict[int, array[float]]" = field(default_factory=dict)

    def add(self, sample: Sample, second: int) -> None:
        place = self._place(second)
        if sample.kind == "g":
            self.values[place][:] = array("d", sample.values[-1:])
        elif sample.kind == "c":
            self.values[place][:] = array("d", [sum(self.values[place]) + sum(sample.values) / sample.rate])
        else:
            if sample.rate != 1 or second in self.weights:
                known = self.weights.setdefault(second, array("d", [1.0] * len(self.values[place])))
                known.extend([1 / sample.rate] * len(sample.values))
            self.values[place].extend(sample.values)

    def _place(self, second: int) -> int:
        """The index of a second, made if it is new. What comes late (or says when it was) goes where it belongs."""
        place = bisect_left(self.seconds, second)
        if place < len(self.seconds) and self.seconds[place] == second:
            return place
        self.seconds.insert(place, second)
        self.values.insert(place, array("d"))
        return place

    def forget(self, before: int) -> None:
        old = bisect_left(self.seconds, before)
        for second in self.seconds[:old]:
            self.weights.pop(second, None)
        del self.seconds[:old], self.values[:old]

    def within(self, begin: int, end: int) -> "Iterator[tuple[int, array[float], array[float] | None]]":
        """Second, values and their weights (None: one each), for begin ≤ second < end, in order of time."""
        for place in range(bisect_left(self.seconds, begin), bisect_left(self.seconds, end)):
            second = self.seconds[place]
            yield second, self.values[place], self.weights.get(second)


class Heard:
    """What was received, by metric and tags; what is older than `keep_s` is forgotten. One thread at a time."""

    def __init__(self, keep_s: int = KEEP_S, max_series: int = MAX_SERIES) -> None:
        self._keep_s, self._max_series = keep_s, max_series
        self._kinds: dict[str, Kind] = {}
        self._series: dict[str, dict[Tags, Series]] = {}
        self._count = 0

    def receive(self, datagram: bytes, now: float) -> None:
        """Keep what a datagram says; `now`: Unix seconds. Raises Malformed, also for a metric that changes its type
        and for more series than can be kept."""
        for sample in parse(datagram):
            if self._kinds.setdefault(sample.name, sample.kind) != sample.kind:
                raise Malformed(f"{sample.name} was of type {self._kinds[sample.name]}, and is {sample.kind} now")
            series = self._series.setdefault(sample.name, {})
            one = series.get(sample.tags)
            if one is None:
                if self._count >= self._max_series:
                    raise Malformed(f"more than {self._max_series} series")
                self._count += 1
                one = series[sample.tags] = Series(sample.tags)
            one.add(sample, int(now) if sample.at is None else sample.at)
            one.forget(int(now) - self._keep_s)

    def kind(self, metric: str) -> Kind | None:
        """None: nothing of that name was ever received."""
        return self._kinds.get(metric)

    def series(self, metric: str) -> list[Series]:
        """All of a metric's that were ever received, though they may be empty by now."""
        return list(self._series.get(metric, {}).values())

    def since(self, metric: str) -> int | None:
        """The second of the oldest value that is kept."""
        return min((one.seconds[0] for one in self.series(metric) if one.seconds), default=None)

    def forget(self) -> None:
        """Start anew: what was received until now was before the beginning. Names and tags stay known."""
        for series in self._series.values():
            for one in series.values():
                one.forget(1 << 62)
