"""The catalogue, its reference page and the assets that are made of it."""

from collections import Counter
from typing import Any

import pytest

from cleartill.telemetry.catalog import COMMON_TAGS, LOG_FIELDS, METRICS, PAYMENT_TAGS, SPANS
from cleartill.telemetry.datadog.assets import Asset, expressions, load
from cleartill.telemetry.datadog.query import BurnRate, MonitorQuery, parse_monitor
from cleartill.telemetry.reference import GROUPS, markdown

UNITS = {
    "", "transaction", "millisecond", "second", "request", "occurrence", "error", "unit", "connection", "event",
    "message", "item", "attempt", "operation", "row", "task",
}  # fmt: skip
"""Of Datadog's own list those that we use. Amounts have none: the currency's tag says what they are in."""
ASSETS = load()


def of(kind: str) -> dict[str, Asset]:
    return {asset.file.rpartition("/")[2].removesuffix(".json"): asset for asset in ASSETS if asset.kind == kind}


def asked(asset: Asset) -> set[str]:
    metrics = {query.metric for expression in expressions(asset) for query in expression.metric_queries()}
    return {metric.removeprefix("cleartill.") for metric in metrics}


def test_units_are_words_that_datadog_knows() -> None:
    assert {metric.unit for metric in METRICS.values()} <= UNITS


def test_a_unit_is_what_the_name_says() -> None:
    for name, metric in METRICS.items():
        assert name.endswith("_s") is (metric.unit == "second"), name
        assert not name.endswith(("latency", "overhead", "wait", "lag")) or metric.unit == "millisecond", name


def test_descriptions_are_sentences() -> None:
    for described in (*METRICS.values(), *SPANS.values()):
        assert described.description.endswith("."), described.name


def test_every_metric_is_in_one_group_of_the_page() -> None:
    words = Counter(word for group in GROUPS.values() for word in group)
    assert set(words) == {name.partition(".")[0] for name in METRICS}
    assert set(words.values()) == {1}


def test_the_page_is_complete() -> None:
    page = markdown()
    rows = Counter(line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| `"))
    assert rows == Counter(f"`{name}`" for name in (*METRICS, *SPANS, *LOG_FIELDS))
    for name, metric in METRICS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {metric.kind} | {metric.unit} |" in row
        assert metric.description in row
        assert all(f"`{tag}`" in row for tag in metric.tags)
    assert all(f"`{tag}`" in page for tag in COMMON_TAGS | PAYMENT_TAGS)


def test_every_metric_is_on_a_dashboard() -> None:
    shown = set[str]().union(*map(asked, of("dashboard").values()))
    assert shown == set(METRICS)


def test_dashboards_stand_in_order_and_take_any_environment() -> None:
    assert [asset.name for asset in of("dashboard").values()] == [
        f"Cleartill {number} · {what}"
        for number, what in enumerate(("Money", "Latency", "Bank", "Money safety", "Pipeline", "Saturation"), start=1)
    ]
    for asset in of("dashboard").values():
        for expression in expressions(asset):
            for query in expression.metric_queries():
                assert {"$env", "$service"} <= {filter.key for filter in query.filters}, expression


def laid_out(widgets: list[Any]) -> list[tuple[int, int]]:
    cells = []
    for widget in widgets:
        place = widget["layout"]
        assert place["x"] + place["width"] <= 12
        columns, rows = range(place["x"], place["x"] + place["width"]), range(place["y"], place["y"] + place["height"])
        cells += [(x, y) for x in columns for y in rows]
    return cells


@pytest.mark.parametrize("name", of("dashboard"))
def test_widgets_do_not_cover_each_other(name: str) -> None:
    groups = of("dashboard")[name].document["widgets"]
    for widgets in (groups, *(group["definition"]["widgets"] for group in groups)):
        cells = laid_out(widgets)
        assert len(cells) == len(set(cells))
    for group in groups:
        inner = max(y for _, y in laid_out(group["definition"]["widgets"])) + 1
        assert group["layout"]["height"] == inner + 1


@pytest.mark.parametrize("name", of("dashboard"))
def test_each_dashboard_says_how_to_read_it_and_lists_its_monitors(name: str) -> None:
    groups = of("dashboard")[name].document["widgets"]
    kinds = Counter(widget["definition"]["type"] for group in groups for widget in group["definition"]["widgets"])
    assert groups[0]["definition"]["widgets"][0]["definition"]["type"] == "note"
    assert kinds["manage_status"] == 1
    assert kinds["query_value"] + kinds["timeseries"] >= 8


@pytest.mark.parametrize("name", of("slo"))
def test_each_promise_has_its_three_burn_rates(name: str) -> None:
    slo = of("slo")[name]
    burns = [parse_monitor(asset.document["query"]) for asset in of("monitor").values()]
    mine = [burn for burn in burns if isinstance(burn, BurnRate) and burn.slo == slo.name]
    assert sorted((burn.threshold, burn.long_window_s, burn.short_window_s) for burn in mine) == [
        (1.0, 48 * 3600, 4 * 3600),
        (6.0, 6 * 3600, 30 * 60),
        (14.4, 3600, 5 * 60),
    ]


def test_what_is_promised() -> None:
    assert {name: slo.document["thresholds"][0]["target"] for name, slo in of("slo").items()} == {
        "availability": 99.9, "own_overhead": 99.0, "final_outcome": 99.95, "first_webhook": 99.0, "events": 99.9,
    }  # fmt: skip


PAGED = {
    "bank_slow", "bank_down", "declines_surge", "events_not_published", "redis_away", "postgres_away",
    "webhooks_failing", "doubt_piling_up",
}  # fmt: skip
"""What a drill expects: it must be told within a minute."""


def test_alerts_are_by_environment_and_those_of_parts_look_at_a_minute() -> None:
    quick = set()
    for name, asset in of("monitor").items():
        query = parse_monitor(asset.document["query"])
        if not isinstance(query, MonitorQuery):
            continue
        assert {"managed_by:cleartill", "team:payments", "service:cleartill"} <= set(asset.document["tags"])
        for expression in expressions(asset):
            for each in expression.metric_queries():
                assert "env" in each.by, name
                assert ("service", ("cleartill",)) in {(filter.key, filter.values) for filter in each.filters}, name
        if query.window_s == 60:
            quick.add(name)
        assert asset.document["options"]["new_group_delay"] == 0, f"{name} would keep silent of a group that is new"
    assert quick == PAGED
