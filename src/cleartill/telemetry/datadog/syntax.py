"""What a Datadog query says: a small tree of frozen dataclasses. `query` parses text into it, `str` writes it back."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, get_args

Simple = Literal["avg", "sum", "min", "max", "count"]
Percentile = Literal["p50", "p75", "p90", "p95", "p99"]
Raw = Literal["histogram"]
Aggregator = Simple | Percentile | Raw
"""`histogram` is every value of a distribution, for heat maps and distribution widgets."""
Aggregation = Literal["avg", "sum", "min", "max", "percentile"]
Comparator = Literal["<", "<=", ">", ">="]
Operator = Literal["+", "-", "*", "/"]
Function = Literal["default_zero"]
As = Literal["count", "rate"]

PERCENTILES: Final[frozenset[str]] = frozenset(get_args(Percentile))
MAX_WINDOW_S = 3600


@dataclass(frozen=True, slots=True)
class Filter:
    """Series with one of `values` for the tag, or (`negated`) with none of them. A value may end in `*`, which stands
    for any rest. One value is `key:value`, several are `key IN (…)`. A dashboard's template variable has its name with
    the dollar as `key` and no values."""

    key: str
    values: tuple[str, ...] = ()
    negated: bool = False

    @property
    def is_variable(self) -> bool:
        return self.key.startswith("$")


@dataclass(frozen=True, slots=True)
class Bound:
    """`count(v: v<=50):` counts the values of a distribution within the bound."""

    comparator: Comparator
    value: float

    def __str__(self) -> str:
        return f"(v: v{self.comparator}{number(self.value)})"


@dataclass(frozen=True, slots=True)
class Rollup:
    """One point per `period_s`, or per what Datadog picks for the width of the picture (None)."""

    method: Simple
    period_s: int | None = None

    def __str__(self) -> str:
        return f".rollup({self.method})" if self.period_s is None else f".rollup({self.method}, {self.period_s})"


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """`metric` with its namespace; no filters is `{*}`; `by` are the tag keys it is split by; `bound` only with the
    aggregator count."""

    aggregator: Aggregator
    metric: str
    filters: tuple[Filter, ...] = ()
    by: tuple[str, ...] = ()
    as_: As | None = None
    rollup: Rollup | None = None
    bound: Bound | None = None

    def __str__(self) -> str:
        by = f" by {{{','.join(self.by)}}}" if self.by else ""
        as_ = f".as_{self.as_}()" if self.as_ else ""
        return (
            f"{self.aggregator}{self.bound or ''}:{self.metric}{{{_filters(self.filters)}}}{by}{as_}{self.rollup or ''}"
        )


@dataclass(frozen=True, slots=True)
class Number:
    value: float

    def __str__(self) -> str:
        return number(self.value)


@dataclass(frozen=True, slots=True)
class Name:
    """A query of the same widget, by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call:
    """`default_zero(x)`: zero where x has no points."""

    function: Function
    argument: "Formula"

    def __str__(self) -> str:
        return f"{self.function}({self.argument})"


@dataclass(frozen=True, slots=True)
class Binary:
    operator: Operator
    left: "Formula"
    right: "Formula"

    def __str__(self) -> str:
        """With no more parentheses than are needed to keep the tree."""
        own = _RANK[self.operator]
        left, right = str(self.left), str(self.right)
        if isinstance(self.left, Binary) and _RANK[self.left.operator] < own:
            left = f"({left})"
        if isinstance(self.right, Binary) and _RANK[self.right.operator] <= own:
            right = f"({right})"
        return f"{left} {self.operator} {right}"


Formula = Number | Name | MetricQuery | Call | Binary


@dataclass(frozen=True, slots=True)
class MonitorQuery:
    """Alerts when `aggregation` of the formula's points in the last `window_s` seconds stands so to `threshold`.
    The aggregation `percentile` goes with a percentile query alone: the percentile of the whole window."""

    aggregation: Aggregation
    window_s: int
    formula: Formula
    comparator: Comparator
    threshold: float

    def __str__(self) -> str:
        window = "1h" if self.window_s == MAX_WINDOW_S else f"{self.window_s // 60}m"
        return f"{self.aggregation}(last_{window}):{self.formula} {self.comparator} {number(self.threshold)}"


@dataclass(frozen=True, slots=True)
class BurnRate:
    """Alerts when the SLO's error budget of `over_d` days burns faster than `threshold` times the even rate, over both
    windows. `slo` is its id, or in our files its name."""

    slo: str
    over_d: int
    long_window_s: int
    short_window_s: int
    comparator: Comparator
    threshold: float

    def __str__(self) -> str:
        windows = f'.long_window("{_span(self.long_window_s)}").short_window("{_span(self.short_window_s)}")'
        return f'burn_rate("{self.slo}").over("{self.over_d}d"){windows} {self.comparator} {number(self.threshold)}'


def queries(formula: Formula) -> tuple[MetricQuery, ...]:
    """The metric queries in it, from left to right."""
    match formula:
        case MetricQuery():
            return (formula,)
        case Call():
            return queries(formula.argument)
        case Binary():
            return queries(formula.left) + queries(formula.right)
        case _:
            return ()


def number(value: float) -> str:
    """As Datadog writes it: no exponent, no `.0`."""
    written = format(Decimal(repr(float(value))), "f")
    return written.removesuffix(".0")


_RANK: Final = {"+": 1, "-": 1, "*": 2, "/": 2}


def _filters(filters: tuple[Filter, ...]) -> str:
    """With words where one of them needs IN, with `,` and `!` otherwise."""
    if not filters:
        return "*"
    if not any(len(filter.values) > 1 for filter in filters):
        return ",".join(f"{'!' if filter.negated else ''}{_pair(filter)}" for filter in filters)
    return " AND ".join(_worded(filter) for filter in filters)


def _worded(filter: Filter) -> str:
    if len(filter.values) > 1:
        return f"{filter.key} {'NOT IN' if filter.negated else 'IN'} ({','.join(filter.values)})"
    return f"{'NOT ' if filter.negated else ''}{_pair(filter)}"


def _pair(filter: Filter) -> str:
    return f"{filter.key}:{filter.values[0]}" if filter.values else filter.key


def _span(seconds: int) -> str:
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds // 60}m"
