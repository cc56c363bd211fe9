"""Does every query of the assets ask for something that is emitted? Checked against `telemetry.catalog`."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from cleartill.telemetry.catalog import METRICS, NAMESPACE, Metric
from cleartill.telemetry.datadog.assets import Asset, expressions
from cleartill.telemetry.datadog.query import PERCENTILES, MetricQuery, Refused
from cleartill.telemetry.values import values_of

UNIFIED: Final = frozenset({"service", "env", "version"})
"""Tags that everything carries."""
SHOWN: Final = 12
"""Values that are named when another was asked for."""


class Finding(NamedTuple):
    """A defect: the file, the path in it, and what is wrong."""

    file: str
    path: str
    why: str


def unknown_in_queries(asset: Asset) -> Iterator[Finding]:
    """Queries that are not understood, metrics and tags that the catalogue does not have, aggregators that do not go
    with the kind of metric, values that a tag never has, template variables that the dashboard does not declare."""
    variables = template_variables(asset)
    for expression in expressions(asset):
        try:
            asked = expression.metric_queries()
        except Refused as refused:
            yield Finding(asset.file, expression.path, str(refused))
            continue
        for query in asked:
            for why in _wrong(query, variables):
                yield Finding(asset.file, expression.path, why)


def template_variables(asset: Asset) -> dict[str, str]:
    """With the dollar → the tag's key it filters by."""
    declared = asset.document.get("template_variables") if asset.kind == "dashboard" else None
    declared = declared if isinstance(declared, list) else []
    return {
        f"${variable.get('name')}": str(variable.get("prefix") or variable.get("name"))
        for variable in declared
        if isinstance(variable, dict)
    }


def _wrong(query: MetricQuery, variables: dict[str, str]) -> Iterator[str]:
    metric = METRICS.get(query.metric.removeprefix(f"{NAMESPACE}."))
    if metric is None or not query.metric.startswith(f"{NAMESPACE}."):
        yield f"{query.metric}: no such metric in the catalogue"
        return
    if why := misused(query, metric):
        yield f"{query.metric} is a {metric.kind}: {why}"
    keys = set(query.by)
    for filter in query.filters:
        if not filter.is_variable:
            keys.add(filter.key)
        elif filter.key not in variables:
            yield f"template variable {filter.key} is not declared by this dashboard"
        else:
            keys.add(variables[filter.key])
    yield from _impossible(query, metric)
    for key in sorted(keys - metric.tags - UNIFIED):
        yield f"{query.metric} has no tag {key}, only {', '.join(sorted(metric.tags | UNIFIED))}"


def _impossible(query: MetricQuery, metric: Metric) -> Iterator[str]:
    """Filters by a value that this metric never has; nothing would be found, or nothing kept out."""
    for filter in query.filters:
        possible = values_of(metric.name, filter.key)
        if possible is None:
            continue
        for value in filter.values:
            if not any(fnmatchcase(one, value) for one in possible):
                some = ", ".join([*sorted(possible)[:SHOWN], *["…"] * (len(possible) > SHOWN)])
                yield f"{query.metric} never has {filter.key}:{value}, only {some}"


def misused(query: MetricQuery, metric: Metric) -> str:
    """What does not go with this kind of metric; empty if all does.

    DogStatsD's counts are stored per second: without `.as_count()` or `.as_rate()` it is left to the widget which of
    the two is shown, so a count has to say it, and is summed.
    """
    if metric.kind == "distribution":
        summed = query.aggregator in ("sum", "count")
        return "" if query.as_ is None or summed else f"no .as_{query.as_}() of {query.aggregator}"
    if query.aggregator in PERCENTILES or query.aggregator == "histogram" or query.bound:
        return f"{query.aggregator} needs a distribution"
    if metric.kind == "gauge":
        if query.as_:
            return f"no .as_{query.as_}()"
        return "" if query.aggregator != "count" else "count would count reports"
    if query.aggregator != "sum":
        return f"sum it, {query.aggregator} mixes processes and time"
    return "" if query.as_ else "say .as_count() or .as_rate()"
