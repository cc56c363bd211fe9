"""Which queries `evaluate` computes: those whose meaning Datadog's documentation says, of metrics of our catalogue."""

from typing import Final

from cleartill.telemetry.catalog import METRICS, NAMESPACE
from cleartill.telemetry.datadog.query import PERCENTILES, MetricQuery, MonitorQuery, queries

_KINDS: Final = {"count": "c", "gauge": "g", "distribution": "d"}
_SIMPLE: Final = ("avg", "sum", "min", "max")


class Unsupported(ValueError):
    """A query beyond what is evaluated here."""


def check(query: MonitorQuery) -> None:
    """Raises Unsupported unless it can be computed, whatever is received."""
    asked = queries(query.formula)
    if not asked:
        raise Unsupported(f"no metric in it: {query}")
    for one in asked:
        check_metric(one)
    counts = [one.as_ == "count" for one in asked]
    if any(counts) and not (all(counts) and query.aggregation == "sum"):
        raise Unsupported(f"as_count() goes with the sum of nothing but as_count(): {query}")
    if query.aggregation == "percentile" and not isinstance(query.formula, MetricQuery):
        raise Unsupported(f"percentile goes with one query: {query}")
    if not any(counts) and any(kind_of(one.metric) == "d" and one.aggregator in ("sum", "count") for one in asked):
        raise Unsupported(f"how many, or how much, of a distribution needs as_count(): {query}")
    check_groups(asked)


def check_metric(query: MetricQuery) -> None:
    """Raises Unsupported for a metric that the catalogue does not have, or asks of its kind what it has not."""
    kind, by = kind_of(query.metric), f"{query.aggregator}:{query.metric}"
    if query.rollup is not None:  # monitors/guide/why-rollup-should-not-be-used-in-monitors
        raise Unsupported(f"rollup: {query}")
    if any(one.is_variable for one in query.filters):
        raise Unsupported(f"a template variable: {query}")
    if kind == "c" and (query.aggregator != "sum" or query.as_ is None):
        # Counts are stored as rates: without a modifier the number would be a per-second one (metrics/custom_metrics/
        # type_modifiers).
        raise Unsupported(f"a count is summed up, with as_count() or as_rate(): {query}")
    if kind == "g" and (query.aggregator not in _SIMPLE or query.as_ is not None):
        raise Unsupported(f"not of a gauge: {by}")
    if kind == "d" and (query.aggregator not in (*_SIMPLE, "count", *PERCENTILES) or query.as_ == "rate"):
        raise Unsupported(f"not of a distribution: {by}")
    if kind == "d" and (query.as_ == "count") and query.aggregator not in ("sum", "count"):
        raise Unsupported(f"as_count() of what is not counted: {query}")


def check_groups(asked: tuple[MetricQuery, ...]) -> None:
    """Raises Unsupported if they are split by different tags; those that are not split go with every group."""
    if len({one.by for one in asked if one.by}) > 1:
        raise Unsupported(f"split by different tags: {', '.join(map(str, asked))}")


def kind_of(metric: str) -> str:
    """As DogStatsD calls it, from the catalogue. Raises Unsupported for a metric that it does not have."""
    namespace, _, name = metric.partition(".")
    if namespace != NAMESPACE or name not in METRICS:
        raise Unsupported(f"no metric of ours: {metric}")
    return _KINDS[METRICS[name].kind]
