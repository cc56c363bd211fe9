"""How fast an SLO's error budget burns, from its own numerator and denominator or its time slices.

As https://docs.datadoghq.com/service_management/service_level_objectives/ has it: an alert when the error rate of the
long window *and* that of the short one, each divided by (1 - target), stand so to the threshold (burn_rate); the error
rate is 1 - good ÷ total (metric), or the share of slices in which the condition did not hold, slices without data being
good (time_slice). Of windows that reach back beyond what was received, only what was received counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import COMPARATORS, flushed, over
from cleartill.telemetry.datadog.query import (
    Binary,
    BurnRate,
    Call,
    Comparator,
    Formula,
    MetricQuery,
    Name,
    parse_formula,
    parse_metric,
    queries,
)
from cleartill.telemetry.datadog.supported import Unsupported, check_groups, check_metric, kind_of


@dataclass(frozen=True, slots=True)
class Slices:
    """Good is each `interval_s` in which the formula stands so to the threshold."""

    formula: Formula
    comparator: Comparator
    threshold: float
    interval_s: int


@dataclass(frozen=True, slots=True)
class Shares:
    """How many events were good, of how many."""

    good: Formula
    total: Formula


@dataclass(frozen=True, slots=True)
class Slo:
    """`targets`: the share that is to be good (0 to 1), by days."""

    name: str
    measure: Slices | Shares
    targets: Mapping[int, float]


def slo_of(document: Mapping[str, Any]) -> Slo:
    """From its file. Raises Unsupported for another kind of SLO, Refused for a query that cannot be read."""
    targets = {int(one["timeframe"].removesuffix("d")): one["target"] / 100 for one in document["thresholds"]}
    measure: Slices | Shares
    match document:
        case {"type": "metric", "query": {"numerator": str(good), "denominator": str(total)}}:
            measure = Shares(parse_formula(good), parse_formula(total))
            formulas = [measure.good, measure.total]
        case {"type": "time_slice", "sli_specification": {"time_slice": condition}}:
            measure = _slices(condition)
            formulas = [measure.formula]
        case _:
            raise Unsupported(f"an SLO of type {document.get('type')}: {document['name']}")
    for one in (query for formula in formulas for query in queries(formula)):
        check_metric(one)
        check_groups((one,))
        if one.by or (kind_of(one.metric) == "g") or (isinstance(measure, Shares) and one.as_ != "count"):
            raise Unsupported(f"an SLO of a gauge, of groups, or of shares without as_count(): {one}")
    return Slo(document["name"], measure, targets)


def check_burn(query: BurnRate, slo: Slo) -> None:
    """Raises Unsupported if the alert cannot be: no such target, or a rate that 100 % of errors would not reach."""
    target = slo.targets.get(query.over_d)
    if target is None or not 0 < query.threshold <= 1 / (1 - target) or query.comparator not in (">", ">="):
        raise Unsupported(f"{query}: no target of {query.over_d} days, or a rate that no errors reach")


def burning(query: BurnRate, slo: Slo, heard: Heard, at: float) -> float | None:
    """The smaller of both windows' burn rates: it passes the threshold when both do. None where there is no data."""
    end, budget = flushed(at), 1 - slo.targets[query.over_d]
    rates = [
        _error_rate(slo.measure, heard, end - window_s, end) for window_s in (query.long_window_s, query.short_window_s)
    ]
    return None if None in rates else min(rate for rate in rates if rate is not None) / budget


def _error_rate(measure: Slices | Shares, heard: Heard, begin: int, end: int) -> float | None:
    if isinstance(measure, Shares):
        total = over(measure.total, heard, begin, end)[()]
        good = over(measure.good, heard, begin, end)[()]
        # Events of which none was good are no missing data: the total is there.
        return None if not total else 1 - (good or 0.0) / total
    first = begin // measure.interval_s * measure.interval_s
    slices = range(first, end - measure.interval_s + 1, measure.interval_s)
    since = min((one for query in queries(measure.formula) if (one := heard.since(query.metric))), default=end)
    meets = COMPARATORS[measure.comparator]
    bad = 0
    for at in slices:
        if at + measure.interval_s > since:  # before, there is nothing
            value = over(measure.formula, heard, at, at + measure.interval_s)[()]
            bad += value is not None and not meets(value, measure.threshold)
    return bad / len(slices) if slices else None


def _slices(condition: Mapping[str, Any]) -> Slices:
    asked = condition["query"]
    if len(asked["formulas"]) != 1 or any(one["data_source"] != "metrics" for one in asked["queries"]):
        raise Unsupported("an SLO's slice has one formula over metrics")
    named = {one["name"]: parse_metric(one["query"]) for one in asked["queries"]}
    formula = _put_in(parse_formula(asked["formulas"][0]["formula"], frozenset(named)), named)
    return Slices(formula, condition["comparator"], condition["threshold"], condition["query_interval_seconds"])


def _put_in(formula: Formula, named: Mapping[str, MetricQuery]) -> Formula:
    """The queries in place of their names."""
    match formula:
        case Name():
            return named[formula.name]
        case Call():
            return Call(formula.function, _put_in(formula.argument, named))
        case Binary():
            return Binary(formula.operator, _put_in(formula.left, named), _put_in(formula.right, named))
        case _:
            return formula
