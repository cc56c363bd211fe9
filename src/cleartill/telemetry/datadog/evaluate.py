"""What a monitor's query comes to at a given time, computed from what DogStatsD received, as Datadog computes it.

Only what our monitors use, and only where Datadog's documentation says how it is done; anything else is Unsupported
and never guessed. The documents, below https://docs.datadoghq.com/:

- [flush] extend/dogstatsd/data_aggregation: the agent makes one point of 10 s, timed at their beginning: a count's sum,
  a gauge's last value, all values of a distribution. So nothing is seen before its 10 s are over.
- [as_count] monitors/guide/as-count-in-monitor-evaluations: with as_count() each query is summed over the window first
  and the arithmetic done once; without, the arithmetic is done point by point and then aggregated over the window.
  as_count() goes with sum alone.
- [sparse] monitors/guide/monitor-arithmetic-and-sparse-metrics: what is divided by zero, or has nothing on one side, is
  no value. Gaps in gauges are interpolated, linearly, up to 5 minutes; those in counts are not.
- [zero] dashboards/functions/interpolation: default_zero() puts 0 where there is no value, after interpolation.
- [metric] monitors/types/metric, monitors/guide/monitor_aggregators: avg, sum, min, max over the points; percentile
  over all values of the window.
- [distributions] metrics/distributions: percentiles over all values from everywhere (DDSketch: the value at rank
  q·(n-1), within 1 %; here exactly).
"""

import operator
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from cleartill.telemetry.datadog.datagrams import Heard, Series
from cleartill.telemetry.datadog.query import (
    Aggregation,
    Binary,
    Bound,
    Call,
    Filter,
    Formula,
    MetricQuery,
    MonitorQuery,
    Number,
    queries,
)
from cleartill.telemetry.datadog.supported import Unsupported, check, kind_of

FLUSH_S = 10
INTERPOLATED_S = 300
Group = tuple[str, ...]
"""The values of the tags that a query is split by, in order; empty when it is not split."""
Points = dict[int, float]
"""By the beginning of their ten seconds."""
Values = dict[Group, float | None]
COMPARATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_OVER: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "avg": lambda values: sum(values) / len(values), "sum": sum, "min": min, "max": max,
}  # fmt: skip


def flushed(at: float) -> int:
    """What an agent has sent by then ends here [flush]."""
    return int(at) // FLUSH_S * FLUSH_S


def values(query: MonitorQuery, heard: Heard, at: float) -> Values:
    """What is compared with the threshold, by group; None where there is no data. `at`: Unix seconds. Without groups
    there is one value, of the empty group. Raises Unsupported."""
    check(query)
    end = flushed(at)
    begin = end - query.window_s
    if query.aggregation == "percentile" or any(one.as_ == "count" for one in queries(query.formula)):
        return over(query.formula, heard, begin, end)
    points = {one: points_of(one, heard, begin, end) for one in queries(query.formula)}
    return {
        group: _in_time(
            query.aggregation,
            [
                formula_value(query.formula, lambda one, at=at, group=group: _at(points[one], one, group).get(at))  # type: ignore[misc]
                for at in range(begin, end, FLUSH_S)
            ],
        )
        for group in _groups(points)
    }


def over(formula: Formula, heard: Heard, begin: int, end: int) -> Values:
    """Each query over the whole time, then the arithmetic once [as_count]."""
    totals = {one: _totals(one, heard, begin, end) for one in queries(formula)}
    return {
        group: formula_value(formula, lambda one, group=group: totals[one].get(group if one.by else ()))  # type: ignore[misc]
        for group in _groups(totals)
    }


def formula_value(formula: Formula, value: Callable[[MetricQuery], float | None]) -> float | None:
    """None if what it needs is not there [sparse]."""
    match formula:
        case Number():
            return formula.value
        case MetricQuery():
            return value(formula)
        case Call():  # default_zero, the one there is [zero]
            found = formula_value(formula.argument, value)
            return 0.0 if found is None else found
        case Binary():
            left, right = formula_value(formula.left, value), formula_value(formula.right, value)
            if left is None or right is None or (formula.operator == "/" and right == 0):
                return None
            return _ARITHMETIC[formula.operator](left, right)
        case _:
            raise Unsupported(f"a name in place of a query: {formula}")


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


def _in_time(aggregation: Aggregation, points: list[float | None]) -> float | None:
    there = [point for point in points if point is not None]
    return _OVER[aggregation](there) if there else None


def _at(points: Mapping[Group, Points], query: MetricQuery, group: Group) -> Points:
    return points.get(group if query.by else (), {})


def _groups(found: Mapping[MetricQuery, Mapping[Group, object]]) -> list[Group]:
    """All groups there are, or the one of queries that are not split."""
    split = [by_group for one, by_group in found.items() if one.by]
    return sorted({group for by_group in split for group in by_group}) if split else [()]


def _totals(query: MetricQuery, heard: Heard, begin: int, end: int) -> Values:
    """A count's sum, or a distribution's statistic over all its values; a gauge has neither."""
    totals: Values = {}
    for group, series in matching(query, heard).items():
        if kind_of(query.metric) == "c":
            sums = [sum(of_second) for one in series for _, of_second, _ in one.within(begin, end)]
            total = sum(sums) if sums else None
            totals[group] = total if total is None or query.as_ == "count" else total / (end - begin)
        elif kind_of(query.metric) == "d":
            totals[group] = _statistic(query, [pair for one in series for pair in _weighed(one, begin, end)])
        else:
            raise Unsupported(f"a gauge over a window, without points: {query}")
    return totals


def points_of(query: MetricQuery, heard: Heard, begin: int, end: int) -> dict[Group, Points]:
    """One point for each ten seconds in which there was something, of each group."""
    kind = kind_of(query.metric)
    if kind == "g":
        return {
            group: _together(query, [_last_values(one, begin, end) for one in series])
            for group, series in matching(query, heard).items()
        }
    grouped: dict[Group, Points] = {}
    for group, series in matching(query, heard).items():
        points = grouped[group] = {}
        for at in range(begin, end, FLUSH_S):
            pairs = [pair for one in series for pair in _weighed(one, at, at + FLUSH_S)]
            if kind == "c" and pairs:
                points[at] = sum(value for value, _ in pairs) / FLUSH_S  # as_rate()
            elif kind == "d" and (found := _statistic(query, pairs)) is not None:
                points[at] = found
    return grouped


def matching(query: MetricQuery, heard: Heard) -> dict[Group, list[Series]]:
    """The series that pass the filters, by group. Raises Unsupported if one lacks a tag that it should be split by, or
    if the metric was sent as another kind than the catalogue says."""
    sent, kind = heard.kind(query.metric), kind_of(query.metric)
    if sent is not None and sent != kind:
        raise Unsupported(f"{query.metric} is {kind} in the catalogue, and was sent as {sent}")
    grouped: dict[Group, list[Series]] = {} if query.by else {(): []}
    for series in heard.series(query.metric):
        by_key: dict[str, set[str]] = defaultdict(set)
        for one in series.tags:
            key, _, value = one.partition(":")
            by_key[key].add(value)
        if not all(_passes(one, by_key.get(one.key, set())) for one in query.filters):
            continue
        if any(len(by_key.get(key, ())) != 1 for key in query.by):
            raise Unsupported(
                f"{query.metric} was sent without one value for each of {query.by}: {sorted(series.tags)}"
            )
        grouped.setdefault(tuple(next(iter(by_key[key])) for key in query.by), []).append(series)
    return grouped


def _passes(wanted: Filter, sent: set[str]) -> bool:
    found = any(value[:-1] == one[: len(value) - 1] if value.endswith("*") else value == one
                for value in wanted.values for one in sent)  # fmt: skip
    return found is not wanted.negated


def _last_values(series: Series, begin: int, end: int) -> Points:
    """A gauge's last value in each ten seconds [flush]. Nothing is carried in from before, or beyond the last one."""
    points: Points = {}
    for second, of_second, _ in series.within(begin, end):
        points[second // FLUSH_S * FLUSH_S] = of_second[-1]
    return points


def _together(query: MetricQuery, series: list[Points]) -> Points:
    """Several series of a gauge as one, the gaps within each interpolated first, so that one that is silent for a
    moment is not missed in a sum [sparse]."""
    filled = [_interpolated(one) for one in series] if len(series) > 1 else series
    combined: dict[int, list[float]] = defaultdict(list)
    for points in filled:
        for at, value in points.items():
            combined[at].append(value)
    return {at: _OVER[query.aggregator](there) for at, there in combined.items()}


def _interpolated(points: Points) -> Points:
    filled, times = dict(points), sorted(points)
    for left, right in pairwise(times):
        if right - left <= INTERPOLATED_S:
            slope = (points[right] - points[left]) / (right - left)
            filled |= {at: points[left] + slope * (at - left) for at in range(left + FLUSH_S, right, FLUSH_S)}
    return filled


def _weighed(series: Series, begin: int, end: int) -> list[tuple[float, float]]:
    """Values, and how many each stands for."""
    return [
        pair
        for _, of_second, weights in series.within(begin, end)
        for pair in zip(of_second, weights or array("d", [1.0]) * len(of_second), strict=True)
    ]


def _statistic(query: MetricQuery, pairs: list[tuple[float, float]]) -> float | None:
    """What a query asks of values [distributions]; None if there are none. How many are within a bound is 0 where there
    are others."""
    if not pairs:
        return None
    count = sum(weight for _, weight in pairs)
    match query.aggregator:
        case "count":
            return sum(weight for value, weight in pairs if _within(query.bound, value))
        case "sum" | "avg":
            total = sum(value * weight for value, weight in pairs)
            return total if query.aggregator == "sum" else total / count
        case "min" | "max":
            return _OVER[query.aggregator]([value for value, _ in pairs])
        case percentile:
            rank, below = int(percentile[1:]) / 100 * (count - 1), 0.0
            for value, weight in sorted(pairs):
                below += weight
                if below > rank:
                    return value
            return max(pairs)[0]


def _within(bound: Bound | None, value: float) -> bool:
    return bound is None or COMPARATORS[bound.comparator](value, bound.value)
