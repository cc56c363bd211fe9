"""Does a widget call its numbers what they are? Units that are given by hand are held against the catalogue's.

A unit is followed through a formula: default_zero, sums and numbers as factors keep it, a division of like by like is a
ratio, a hundred of them per cent. Where several units meet in a way that makes none, none may be given.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from cleartill.telemetry.catalog import METRICS, NAMESPACE
from cleartill.telemetry.datadog.assets import Asset, walk
from cleartill.telemetry.datadog.catalogued import Finding
from cleartill.telemetry.datadog.query import (
    Binary,
    Call,
    Formula,
    MetricQuery,
    Name,
    Number,
    Refused,
    parse_formula,
    parse_metric,
)

RATIO: Final = "fraction"
_SECONDS: Final = {
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_SHARES: Final = {RATIO: 1.0, "percent": 0.01}
_ABBREVIATED: Final = {
    "µs": "microsecond", "us": "microsecond", "ms": "millisecond", "s": "second", "sec": "second", "min": "minute",
    "h": "hour", "d": "day", "%": "percent",
}  # fmt: skip
_KNOWN: Final = frozenset({*_SECONDS, *_SHARES, *(metric.unit for metric in METRICS.values())} - {""})


class Quantity(NamedTuple):
    """A number that is `factor` times the quantity in `unit`, and per second if it is a rate."""

    unit: str
    factor: float = 1.0
    per_second: bool = False


def misnamed_units(asset: Asset) -> Iterator[Finding]:
    """Units of formulas (`number_format`) and of whole widgets (`custom_unit`) that are not those of their queries."""
    for path, value in walk(asset.document) if asset.kind == "dashboard" else ():
        if not isinstance(value, dict):
            continue
        for here, formula, quantity in _formulas(path, value):
            given = (formula.get("number_format") or {}).get("unit") or {}
            if why := _misnamed(given.get("unit_name") or given.get("label"), given.get("per_unit_name"), quantity):
                yield Finding(asset.file, f"{here}.number_format.unit", why)
        if isinstance(value.get("custom_unit"), str):
            for inner, request in walk(value.get("requests")):
                for _, _, quantity in _formulas(inner, request) if isinstance(request, dict) else ():
                    if why := _misnamed(value["custom_unit"], None, quantity):
                        yield Finding(asset.file, f"{path}.custom_unit", why)


def _formulas(path: str, request: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Quantity | None]]:
    """Those of one request that can be understood, with what they come to; an old one is a formula in itself."""
    asked = request.get("queries")
    names = {
        str(query.get("name")): query["query"]
        for query in (asked if isinstance(asked, list) else ())
        if isinstance(query, dict) and isinstance(query.get("query"), str)
    }
    formulas = request.get("formulas")
    for index, formula in enumerate(formulas if isinstance(formulas, list) else ()):
        try:
            queries = {name: parse_metric(text) for name, text in names.items()}
            parsed = parse_formula(formula["formula"], frozenset(queries))
        except (Refused, KeyError, TypeError):
            continue  # told elsewhere
        yield f"{path}.formulas[{index}]", formula, quantity_of(parsed, queries)
    if isinstance(request.get("q"), str):
        try:
            yield path, {}, quantity_of(parse_formula(request["q"]), {})
        except Refused:
            return


def quantity_of(formula: Formula, queries: Mapping[str, MetricQuery]) -> Quantity | None:
    """What it comes to, a number being of the unit ""; None if its parts make no one unit."""
    match formula:
        case Number(value):
            return Quantity("", value)
        case Name(name):
            return _of_query(queries[name])
        case Call(_, argument):
            return quantity_of(argument, queries)
        case Binary(operator, left, right):
            return _of_both(operator, quantity_of(left, queries), quantity_of(right, queries), left, right)
        case MetricQuery():
            return _of_query(formula)


def _of_query(query: MetricQuery) -> Quantity | None:
    """How many values a distribution has is a number of what nobody has named."""
    metric = METRICS.get(query.metric.removeprefix(f"{NAMESPACE}."))
    if metric is None or query.aggregator == "count" or not metric.unit:
        return None
    return Quantity(metric.unit, 1.0, query.as_ == "rate")


def _of_both(operator: str, a: Quantity | None, b: Quantity | None, left: Formula, right: Formula) -> Quantity | None:
    if a is None or b is None or (operator == "/" and not b.factor):
        return None
    if operator in "+-":
        return a if a == b or isinstance(right, Number) else b if isinstance(left, Number) else None
    if operator == "*":
        if a.unit and b.unit:
            return None
        return Quantity(a.unit or b.unit, a.factor * b.factor, a.per_second or b.per_second)
    if not b.unit:
        return a._replace(factor=a.factor / b.factor)
    if a.per_second != b.per_second or not a.unit or (a.unit in _SECONDS) != (b.unit in _SECONDS):
        return None
    scale = _SECONDS.get(b.unit, 1.0) / _SECONDS.get(a.unit, 1.0)
    return Quantity(RATIO, scale * a.factor / b.factor)


def _misnamed(given: Any, per: Any, quantity: Quantity | None) -> str:
    """Why this is no name for it; empty if it is one, or a word that is no unit."""
    if not isinstance(given, str):
        return ""
    word = given.strip()
    unit = _ABBREVIATED.get(word, word.lower().removesuffix("s") if word.lower() not in _KNOWN else word.lower())
    if unit not in _KNOWN:
        return ""
    if quantity is None:
        return f"{given}: its queries have no unit that could be told"
    if (per == "second") != quantity.per_second:
        return f"{given}: {'per second, as .as_rate() is' if quantity.per_second else 'not per second'}"
    for scale in (_SECONDS, _SHARES):
        if unit in scale and quantity.unit in scale:
            same = abs(quantity.factor * scale[unit] / scale[quantity.unit] - 1) < 1e-9
            return "" if same else f"{given}: the formula comes to {_times(quantity.factor)}{quantity.unit}s"
    if unit == quantity.unit and quantity.factor == 1:
        return ""
    return f"{given}: its queries are in {quantity.unit or 'plain numbers'}, by the catalogue"


def _times(factor: float) -> str:
    return "" if factor == 1 else f"{factor:g} times "
