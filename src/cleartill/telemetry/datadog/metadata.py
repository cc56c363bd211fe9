"""What Datadog is told of each metric of the catalogue: type, unit, description, short name, and its tags.

Datadog makes a page of the metric out of it, puts the unit on every axis, and computes no p95 or p99 of a distribution
until its tag configuration says `include_percentiles`. That configuration is also the list of tags that can be asked
for (and are paid for), so it holds what the catalogue declares and nothing that an agent adds.
"""

from typing import Final

from cleartill.telemetry.catalog import METRICS, NAMESPACE, Kind, Metric
from cleartill.telemetry.datadog.assets import Asset
from cleartill.telemetry.datadog.catalogued import UNIFIED

PARTS: Final[tuple[str, ...]] = ("metadata", "tag_configuration")
"""Of a metric's document. Datadog keeps them apart, and each only once it has received the metric."""
_TYPES: Final[dict[Kind, str]] = {"count": "rate", "gauge": "gauge"}
"""Datadog's word for what DogStatsD's types become. Counts arrive per second: called a count, they would be added up as
if they were not. A distribution is one from its first point on, and cannot be told to be."""


def catalogued() -> tuple[Asset, ...]:
    """One for each metric, called `metrics/<name>`; there is no such file."""
    return tuple(Asset("metric", f"metrics/{metric.name}", _document(metric)) for metric in METRICS.values())


def _document(metric: Metric) -> dict[str, object]:
    """A unit that the catalogue leaves open (money, whose minor unit is the currency's) is left as Datadog has it."""
    told = {"description": metric.description, "short_name": _short(metric.name)}
    if metric.unit:
        told["unit"] = metric.unit
    if metric.kind in _TYPES:
        told["type"] = _TYPES[metric.kind]
    document: dict[str, object] = {"name": f"{NAMESPACE}.{metric.name}", "metadata": told}
    if metric.kind == "distribution":
        document["tag_configuration"] = {
            "tags": sorted(metric.tags | UNIFIED),
            "include_percentiles": True,
            "exclude_tags_mode": False,
        }
    return document


def _short(name: str) -> str:
    """`in_doubt.oldest_s` → `in doubt oldest`; the unit says the seconds."""
    return name.removesuffix("_s").replace(".", " ").replace("_", " ")
