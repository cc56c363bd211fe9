"""Datadog's query language, as much of it as our assets use, parsed exactly; anything more is Refused.

A metric query is `sum:cleartill.payment.count{status:failed,!provider:mock} by {brand}.as_count().rollup(sum, 60)`; a
formula puts numbers, + - * / and parentheses around queries (monitors) or around names of queries (widgets); a
monitor's query is `sum(last_5m):<formula> > 5` or a burn rate of an SLO. What is parsed is the tree of
`syntax`, whose names can be had from here, and `str()` writes it back: `parse(str(parsed)) == parsed`.

Metric names stand as on the wire, namespace included (`cleartill.payment.count`). Tag keys and values are lower case,
as Datadog stores them whatever was sent. A filter list is all `,` and `!`, or all AND, NOT and IN: Datadog forbids a
mixture. All filters of a list must hold; OR is refused.
"""

import re
from typing import Final, cast, get_args

from cleartill.telemetry.datadog.scanner import Refused, Scanner
from cleartill.telemetry.datadog.syntax import (
    MAX_WINDOW_S,
    PERCENTILES,
    Aggregation,
    Aggregator,
    As,
    Binary,
    Bound,
    BurnRate,
    Call,
    Comparator,
    Filter,
    Formula,
    Function,
    MetricQuery,
    MonitorQuery,
    Name,
    Number,
    Operator,
    Percentile,
    Raw,
    Rollup,
    Simple,
    queries,
)

__all__ = [
    "PERCENTILES", "Aggregation", "Aggregator", "As", "Binary", "Bound", "BurnRate", "Call", "Comparator", "Filter",
    "Formula", "Function", "MetricQuery", "MonitorQuery", "Name", "Number", "Operator", "Percentile", "Raw", "Refused",
    "Rollup", "Simple", "parse_formula", "parse_metric", "parse_monitor", "queries",
]  # fmt: skip

MAX_DEPTH = 20
"""Parentheses within parentheses."""


def parse_metric(text: str) -> MetricQuery:
    """One metric query and nothing around it. Raises Refused."""
    reader = _Reader(text)
    query = reader.metric()
    reader.end()
    return query


def parse_formula(text: str, names: frozenset[str] | None = None) -> Formula:
    """A formula over metric queries written in place, or over `names` alone when they are given (a widget's
    `formulas`). Raises Refused."""
    reader = _Reader(text, names)
    formula = reader.formula()
    reader.end()
    return formula


def parse_monitor(text: str) -> MonitorQuery | BurnRate:
    """A monitor's `query`. Raises Refused."""
    reader = _Reader(text)
    alert = reader.burn_rate() if reader.sees(r"burn_rate\b") else reader.threshold_alert()
    reader.end()
    return alert


def _one_of(words: object) -> str:
    return "|".join(map(re.escape, sorted(get_args(words), key=len, reverse=True)))


_AGGREGATORS: Final = (*get_args(Simple), *get_args(Percentile), *get_args(Raw))
_AGGREGATOR: Final = re.compile(f"({'|'.join(_AGGREGATORS)})(?=[:(])")
_FUNCTION: Final = re.compile(f"({_one_of(Function)})(?=\\()")
_COMPARATOR: Final = re.compile(_one_of(Comparator))
_AGGREGATION: Final = re.compile(f"({_one_of(Aggregation)})(?=\\(last_)")
_METRIC: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_KEY: Final = re.compile(r"[a-z][a-z0-9_.\-/]*")
_VALUE: Final = re.compile(r"[a-z0-9_./:\-]+\*?|\*")
_VARIABLE: Final = re.compile(r"\$[a-z][a-z0-9_]*")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class _Reader(Scanner):
    """One method for each part of the language."""

    def __init__(self, text: str, names: frozenset[str] | None = None) -> None:
        super().__init__(text)
        self._names, self._depth = names, 0

    # formulas

    def formula(self) -> Formula:
        left = self.product()
        while operator := self.operator("+-"):
            left = Binary(operator, left, self.product())
        return left

    def product(self) -> Formula:
        left = self.operand()
        while operator := self.operator("*/"):
            left = Binary(operator, left, self.operand())
        return left

    def operator(self, among: str) -> Operator | None:
        self.space()
        return cast(Operator | None, self.take(f"[{re.escape(among)}]"))

    def operand(self) -> Formula:
        self.space()
        if self.sees(r"\("):
            return self.parenthesised()
        if function := self.take(_FUNCTION):
            return Call(cast(Function, function), self.parenthesised())
        if self.sees(_NUMBER):
            return Number(self.number())
        if self._names is None:
            return self.metric()
        start = self.at
        name = self.need(_NAME, "a name of a query, a number, default_zero( or (")
        if name not in self._names:
            self.at = start
            raise self.refusal(f"no query is called {name}")
        return Name(name)

    def parenthesised(self) -> Formula:
        self.need(r"\(", "(")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.refusal(f"more than {MAX_DEPTH} parentheses within each other")
        formula = self.formula()
        self.space()
        self.need(r"\)", ")")
        self._depth -= 1
        return formula

    def number(self) -> float:
        return float(self.need(_NUMBER, "a number"))

    # metric queries

    def metric(self) -> MetricQuery:
        self.space()
        aggregator = self.need(_AGGREGATOR, f"an aggregator, one of {', '.join(_AGGREGATORS)},")
        bound = self.bound() if aggregator == "count" and self.sees(r"\(") else None
        self.need(":", ":")
        metric = self.need(_METRIC, "a metric's name, namespace included,")
        self.need(r"\{", "{")
        filters = self.filters()
        self.need(r"\}", "}")
        by = self.by() if self.take(r" by \{") else ()
        as_, rollup = self.suffixes()
        return MetricQuery(cast(Aggregator, aggregator), metric, filters, by, as_, rollup, bound)

    def bound(self) -> Bound:
        self.need(r"\(v: v", "(v: v")
        comparator = cast(Comparator, self.need(_COMPARATOR, "a comparison"))
        bound = Bound(comparator, self.number())
        self.need(r"\)", ")")
        return bound

    def by(self) -> tuple[str, ...]:
        keys = [self.need(_KEY, "a tag's key")]
        while self.take(", ?"):
            keys.append(self.need(_KEY, "a tag's key"))
            if keys[-1] in keys[:-1]:
                raise self.refusal(f"{keys[-1]} stands twice")
        self.need(r"\}", "}")
        return tuple(keys)

    def suffixes(self) -> tuple[As | None, Rollup | None]:
        """In either order, each at most once."""
        as_: As | None = None
        rollup: Rollup | None = None
        while self.sees(r"\."):
            if as_ is None and (found := self.take(r"\.as_(count|rate)\(\)")):
                as_ = "count" if "count" in found else "rate"
            elif rollup is None and self.take(r"\.rollup\("):
                method = cast(Simple, self.need(_one_of(Simple), "avg, sum, min, max or count"))
                period = self.need("[1-9][0-9]{0,6}", "seconds") if self.take(", ?") else None
                self.need(r"\)", ")")
                rollup = Rollup(method, int(period) if period else None)
            else:
                raise self.refusal("one .as_count() or .as_rate() and one .rollup(method, seconds) at most expected")
        return as_, rollup

    # filters

    def filters(self) -> tuple[Filter, ...]:
        if self.take(r"\*"):
            return ()
        worded = self.sees(r"NOT |[^,}]* (AND|IN|NOT IN) ")
        filters = [self.worded_filter() if worded else self.signed_filter()]
        while self.take(" AND " if worded else ", ?"):
            filters.append(self.worded_filter() if worded else self.signed_filter())
        return tuple(filters)

    def signed_filter(self) -> Filter:
        if variable := self.take(_VARIABLE):
            return Filter(variable)
        negated = self.take("!") is not None
        return self.pair(self.key(), negated)

    def worded_filter(self) -> Filter:
        if variable := self.take(_VARIABLE):
            return Filter(variable)
        negated = self.take("NOT ") is not None
        key = self.key()
        if negated or self.sees(":"):
            return self.pair(key, negated)
        negated = self.take(r" NOT(?= IN )") is not None
        self.need(r" IN \(", ": or IN (")
        values = [self.value()]
        while self.take(", ?"):
            values.append(self.value())
        self.need(r"\)", ")")
        return Filter(key, tuple(values), negated)

    def key(self) -> str:
        return self.need(_KEY, "a tag's key in lower case")

    def pair(self, key: str, negated: bool) -> Filter:
        self.need(":", ":")
        return Filter(key, (self.value(),), negated)

    def value(self) -> str:
        return self.need(_VALUE, "a tag's value in lower case")

    # monitors

    def threshold_alert(self) -> MonitorQuery:
        aggregation = cast(Aggregation, self.need(_AGGREGATION, "avg, sum, min, max or percentile of (last_…)"))
        self.need(r"\(last_", "(last_")
        window_s = self.window_s()
        self.need(r"\):", "):")
        start = self.at
        formula = self.formula()
        percentile = isinstance(formula, MetricQuery) and formula.aggregator in PERCENTILES
        if aggregation == "percentile" and not percentile:
            self.at = start
            raise self.refusal("percentile goes with one percentile query alone")
        return MonitorQuery(aggregation, window_s, formula, *self.condition())

    def burn_rate(self) -> BurnRate:
        self.need(r'burn_rate\("', 'burn_rate("')
        slo = self.need(r'[^"\\]+', "an SLO")
        self.need(r'"\)\.over\("', '").over("')
        over_d = int(self.need("7|30|90", "7, 30 or 90 days"))
        self.need(r'd"\)\.long_window\("', 'd").long_window("')
        long_window_s = self.window_s(max_s=48 * 3600)
        self.need(r'"\)\.short_window\("', '").short_window("')
        short_window_s = self.window_s(max_s=long_window_s - 1)
        self.need(r'"\)', '")')
        return BurnRate(slo, over_d, long_window_s, short_window_s, *self.condition())

    def window_s(self, max_s: int = MAX_WINDOW_S) -> int:
        start = self.at
        count = int(self.need("[1-9][0-9]{0,3}(?=[mh])", "a number of minutes (m) or hours (h)"))
        window_s = count * (60 if self.need("[mh]", "m or h") == "m" else 3600)
        if window_s > max_s:
            self.at = start
            raise self.refusal(f"at most {max_s} seconds expected")
        return window_s

    def condition(self) -> tuple[Comparator, float]:
        self.space()
        comparator = cast(Comparator, self.need(_COMPARATOR, "<, <=, > or >="))
        self.space()
        sign = -1 if self.take("-") else 1
        return comparator, sign * self.number()
