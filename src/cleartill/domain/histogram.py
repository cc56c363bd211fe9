"""Latency histograms that can be added up: across minutes, across processes, in any order.

Buckets grow by a constant factor (the layout of DDSketch, Masson, Rim and Lee, VLDB 2019): whatever value is put in,
the middle of its bucket is at most ERROR away from it, relative to it. So a percentile of a merged histogram is within
ERROR of the one that sorting all values would have found, and merging is nothing but adding counts.
"""

from collections.abc import Iterable, Sequence
from math import ceil, log
from typing import Any

ERROR = 0.02
"""The greatest relative error of a percentile between LEAST_MS and MOST_MS."""
LEAST_MS, MOST_MS = 0.001, 10_000_000.0
"""What is shorter or longer counts as this: a microsecond, and almost three hours."""
_FACTOR = (1 + ERROR) / (1 - ERROR)
_PER_E = 1 / log(_FACTOR)
_LAST = ceil(log(MOST_MS / LEAST_MS) * _PER_E)
BUCKETS = _LAST + 1
"""There are never more than these, so a histogram has a size."""
_MIDDLES = [LEAST_MS, *(LEAST_MS * _FACTOR**index * 2 / (1 + _FACTOR) for index in range(1, BUCKETS))]


class Histogram:
    """Milliseconds, counted. `sum_ms` is exact, as far as floating point is."""

    __slots__ = ("counts", "sum_ms", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total, self.sum_ms = 0, 0.0

    def add(self, value_ms: float) -> None:
        """A time below zero (a clock was set back meanwhile) counts as the shortest."""
        if value_ms <= LEAST_MS:
            index, value_ms = 0, max(0.0, value_ms)
        elif value_ms >= MOST_MS:
            index = _LAST
        else:
            index = ceil(log(value_ms / LEAST_MS) * _PER_E)
        counts = self.counts
        counts[index] = counts.get(index, 0) + 1
        self.total += 1
        self.sum_ms += value_ms

    def merge(self, other: "Histogram") -> None:
        """Afterwards this one has seen what the other has."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.total += other.total
        self.sum_ms += other.sum_ms

    def percentile(self, percent: float) -> float | None:
        """The smallest value that `percent` of all (nearest rank) do not exceed, give or take ERROR; None of none."""
        if not self.total:
            return None
        rank, seen = max(1, ceil(self.total * percent / 100)), 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                return _MIDDLES[index]
        raise AssertionError("more values than counted")

    def view(self) -> dict[str, Any]:
        """How many there are, and their percentiles in milliseconds."""
        shown: dict[str, Any] = {"count": self.total}
        for percent in (50, 95, 99):
            found = self.percentile(percent)
            shown[f"p{percent}_ms"] = None if found is None else round(found, 3)
        return shown

    def copy(self) -> "Histogram":
        made = Histogram()
        made.counts, made.total, made.sum_ms = self.counts.copy(), self.total, self.sum_ms
        return made

    def written(self) -> list[float]:
        """As JSON keeps it: the sum, then bucket and count by turns."""
        flat: list[float] = [round(self.sum_ms, 6)]
        for index, count in sorted(self.counts.items()):
            flat += (index, count)
        return flat

    @classmethod
    def read(cls, flat: Sequence[float]) -> "Histogram":
        """What `written` made."""
        made = cls()
        made.sum_ms = flat[0]
        made.counts = {int(index): int(count) for index, count in zip(flat[1::2], flat[2::2], strict=True)}
        made.total = sum(made.counts.values())
        return made


def merged(parts: Iterable[Histogram]) -> Histogram:
    """All of them in a new one."""
    made = Histogram()
    for part in parts:
        made.merge(part)
    return made
