"""The files beside this one: loaded, and every query in them named by its place.

`dashboards/`, `monitors/` and `slos/` hold one object a file; what lies beside these folders is the definition of the
service, an entity of Datadog's catalogue. A place is a path into the JSON, as jq would take it:
`.widgets[0].definition.requests[0].queries[0].query`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cleartill.telemetry.datadog.query import (
    BurnRate,
    Formula,
    MetricQuery,
    MonitorQuery,
    parse_formula,
    parse_metric,
    parse_monitor,
    queries,
)

HERE: Final = Path(__file__).parent
Kind = Literal["dashboard", "monitor", "slo", "service", "metric"]
"""A metric has no file: `metadata` makes its document from the catalogue."""
FOLDERS: Final[dict[Kind, str]] = {"slo": "slos", "monitor": "monitors", "dashboard": "dashboards"}
"""In the order in which they refer to each other: monitors to SLOs, dashboards to both."""


class Unreadable(ValueError):
    """A file that is not one JSON object."""


@dataclass(frozen=True, slots=True)
class Asset:
    """`file` is relative to the folder of all assets."""

    kind: Kind
    file: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """What people call it, and `push` finds it by; empty if it has none or a blank one."""
        match self.kind:
            case "dashboard":
                name = self.document.get("title")
            case "service":
                metadata = self.document.get("metadata")
                name = metadata.get("name") if isinstance(metadata, dict) else None
            case _:
                name = self.document.get("name")
        return name if isinstance(name, str) and name.strip() else ""


@dataclass(frozen=True, slots=True)
class Expression:
    """A query as it is written in a file. A `metric` stands alone, a `formula` is over `names` or, without them, over
    queries in place, a `monitor` has a threshold."""

    role: Literal["metric", "formula", "monitor"]
    file: str
    path: str
    text: str
    names: frozenset[str] | None = None

    def parsed(self) -> Formula | MonitorQuery | BurnRate:
        """Raises Refused."""
        match self.role:
            case "metric":
                return parse_metric(self.text)
            case "formula":
                return parse_formula(self.text, self.names)
            case "monitor":
                return parse_monitor(self.text)

    def metric_queries(self) -> tuple[MetricQuery, ...]:
        """Those in it. Raises Refused."""
        parsed = self.parsed()
        if isinstance(parsed, BurnRate):
            return ()
        return queries(parsed.formula if isinstance(parsed, MonitorQuery) else parsed)


def load(folder: Path = HERE) -> tuple[Asset, ...]:
    """All there is, by kind and file: SLOs, monitors, dashboards, the service. Raises Unreadable."""
    found = [
        Asset(kind, str(path.relative_to(folder)), _document(path))
        for kind, name in FOLDERS.items()
        for path in sorted((folder / name).glob("*.json"))
    ]
    found += [Asset("service", path.name, _document(path)) for path in sorted(folder.glob("*.json"))]
    return tuple(found)


def expressions(asset: Asset) -> Iterator[Expression]:
    """Every query of metrics in it, wherever it stands."""
    if asset.kind == "monitor":
        if isinstance(query := asset.document.get("query"), str):
            yield Expression("monitor", asset.file, ".query", query)
    elif asset.kind != "service":
        yield from _within(asset.file, "", asset.document, None)


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value within `value`, itself included, with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}[{index}]")


def _within(file: str, path: str, value: Any, names: frozenset[str] | None) -> Iterator[Expression]:
    """Queries have a data source; formulas stand near a list of `queries` whose names they use; old requests have `q`;
    an SLO of events has a numerator and a denominator."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _within(file, f"{path}[{index}]", inner, names)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("queries"), list):
        names = frozenset(str(query.get("name")) for query in value["queries"] if isinstance(query, dict))
    for key, inner in value.items():
        here = f"{path}.{key}"
        if not isinstance(inner, str):
            yield from _within(file, here, inner, names)
        elif key == "query" and value.get("data_source") == "metrics":
            yield Expression("metric", file, here, inner)
        elif key == "formula":
            yield Expression("formula", file, here, inner, names or frozenset())
        elif key in ("q", "numerator", "denominator"):
            yield Expression("formula", file, here, inner)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path.name}: {error}") from None
    if not isinstance(document, dict):
        raise Unreadable(f"{path.name}: one JSON object expected")
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice would hide what it says first."""
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{sorted({key for key in keys if keys.count(key) > 1})} more than once in one object")
    return document
