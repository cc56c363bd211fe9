"""A unit that a widget is given is the one that its queries have."""

from typing import Any

import pytest

from cleartill.telemetry.datadog.assets import Asset
from cleartill.telemetry.datadog.units import misnamed_units
from cleartill.telemetry.datadog.validate import validate

LATENCY = "p95:cleartill.payment.latency{*}"
AGE = "max:cleartill.outbox.oldest_s{*}"
CALLS = "sum:cleartill.http.request{*}.as_count()"
RATE = "sum:cleartill.http.request{*}.as_rate()"
AMOUNT = "sum:cleartill.payment.amount{*}.as_count()"
COUNTED = "count:cleartill.payment.latency{*}.as_count()"


def found(formula: str, unit: dict[str, Any], **queries: str) -> list[str]:
    asked = [{"data_source": "metrics", "name": name, "query": query} for name, query in queries.items()]
    formulas = [{"formula": formula, "number_format": {"unit": unit}}]
    widget = {"type": "query_value", "requests": [{"queries": asked, "formulas": formulas}]}
    asset = Asset("dashboard", "dashboards/a.json", {"widgets": [{"definition": widget}]})
    findings = list(misnamed_units(asset))
    assert all(".requests[0].formulas[0].number_format.unit" in finding.path for finding in findings)
    return [finding.why for finding in findings]


def named(unit: str, per: str | None = None) -> dict[str, Any]:
    return {"type": "canonical_unit", "unit_name": unit, **({"per_unit_name": per} if per else {})}


@pytest.mark.parametrize(
    ("formula", "unit", "queries"),
    [
        ("a", named("millisecond"), {"a": LATENCY}),
        ("default_zero(a)", named("millisecond"), {"a": LATENCY}),
        ("a / 1000", named("second"), {"a": LATENCY}),
        ("a * 1000", named("millisecond"), {"a": AGE}),
        ("a + b", named("millisecond"), {"a": LATENCY, "b": LATENCY}),
        ("a + 20", named("request"), {"a": CALLS}),
        ("100 * default_zero(a) / (b + 20)", named("percent"), {"a": CALLS, "b": CALLS}),
        ("a / b", named("fraction"), {"a": CALLS, "b": CALLS}),
        ("a / (b * 1000)", named("fraction"), {"a": LATENCY, "b": AGE}),
        ("a", named("request", "second"), {"a": RATE}),
        ("a", {"type": "custom_unit_label", "label": "ms"}, {"a": LATENCY}),
        ("a", {"type": "custom_unit_label", "label": "cents"}, {"a": AMOUNT}),
    ],
)
def test_a_unit_that_fits(formula: str, unit: dict[str, Any], queries: dict[str, str]) -> None:
    assert found(formula, unit, **queries) == []


@pytest.mark.parametrize(
    ("formula", "unit", "queries", "why"),
    [
        ("a", named("second"), {"a": LATENCY}, "second: the formula comes to milliseconds"),
        (
            "a / 1000",
            named("millisecond"),
            {"a": LATENCY},
            "millisecond: the formula comes to 0.001 times milliseconds",
        ),
        ("a", named("millisecond"), {"a": AGE}, "millisecond: the formula comes to seconds"),
        ("a", named("error"), {"a": CALLS}, "error: its queries are in request, by the catalogue"),
        ("a", named("millisecond"), {"a": CALLS}, "millisecond: its queries are in request, by the catalogue"),
        ("a / b", named("percent"), {"a": CALLS, "b": CALLS}, "percent: the formula comes to fractions"),
        ("100 * a", named("percent"), {"a": CALLS}, "percent: its queries are in request, by the catalogue"),
        ("100 * a / b", named("request"), {"a": CALLS, "b": CALLS}, "request: its queries are in fraction"),
        ("a / b", named("fraction"), {"a": LATENCY, "b": AGE}, "the formula comes to 1000 times fractions"),
        ("a / b", named("fraction"), {"a": LATENCY, "b": CALLS}, "no unit that could be told"),
        ("a + b", named("millisecond"), {"a": LATENCY, "b": AGE}, "no unit that could be told"),
        ("a * b", named("millisecond"), {"a": LATENCY, "b": LATENCY}, "no unit that could be told"),
        ("a / 0", named("millisecond"), {"a": LATENCY}, "no unit that could be told"),
        ("a", named("transaction"), {"a": AMOUNT}, "no unit that could be told"),
        ("a", named("millisecond"), {"a": COUNTED}, "no unit that could be told"),
        ("a", named("request"), {"a": RATE}, "per second, as .as_rate() is"),
        ("a", named("request", "second"), {"a": CALLS}, "not per second"),
        ("a", {"type": "custom_unit_label", "label": "s"}, {"a": LATENCY}, "s: the formula comes to milliseconds"),
    ],
)
def test_a_unit_that_does_not(formula: str, unit: dict[str, Any], queries: dict[str, str], why: str) -> None:
    (told,) = found(formula, unit, **queries)

    assert why in told


@pytest.mark.parametrize(("unit", "wrong"), [("ms", False), ("s", True), ("%", True), ("payers", False)])
def test_a_unit_of_a_whole_widget_is_that_of_each_of_its_requests(unit: str, wrong: bool) -> None:
    widget = {"type": "query_value", "custom_unit": unit, "requests": [{"q": LATENCY}]}
    asset = Asset("dashboard", "dashboards/a.json", {"widgets": [{"definition": widget}]})

    assert [finding.path for finding in misnamed_units(asset)] == [".widgets[0].definition.custom_unit"] * wrong


def test_validate_tells_of_units(assets: tuple[Asset, ...]) -> None:
    formulas = assets[3].document["widgets"][0]["definition"]["requests"][0]["formulas"]
    formulas[0]["number_format"] = {"unit": named("percent")}

    assert [found.why for found in validate(assets)] == ["percent: the formula comes to fractions"]
