"""Each defect that can be planted into assets is found, where it is; those we ship have none."""

from typing import Any

import pytest

from cleartill.telemetry.datadog.assets import Asset, load
from cleartill.telemetry.datadog.validate import validate

WIDGET = ".widgets[0].definition"
REQUEST = f"{WIDGET}.requests[0]"
QUERY = f"{REQUEST}.queries[0].query"
GROUP = ".widgets[1].definition.widgets"


def plant(assets: tuple[Asset, ...], file: str, path: str, value: Any) -> None:
    """Sets the value at a path; None takes it away."""
    at: Any = next(asset.document for asset in assets if asset.file == file)
    *steps, last = [
        int(step[:-1]) if step.endswith("]") else step for step in path.lstrip(".").replace("[", ".").split(".")
    ]
    for step in steps:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value


def test_the_assets_we_ship_have_no_defects() -> None:
    assets = load()

    assert {asset.kind for asset in assets} == {"dashboard", "monitor", "slo", "service"}
    assert validate(assets) == []


def test_the_assets_of_these_tests_have_none(assets: tuple[Asset, ...]) -> None:
    assert validate(assets) == []


BANK, BURN = "monitors/bank_slow.json", "monitors/events_burn.json"
SLO, DASHBOARD = "slos/events.json", "dashboards/all.json"
RATE = 'burn_rate("{}").over("{}d").long_window("1h").short_window("5m") > 14.4'
PLANTED: list[tuple[str, str, Any, str, str]] = [
    # what the API would not take
    (DASHBOARD, f"{REQUEST}.bogus", 1, "", "unknown key"),
    (DASHBOARD, f"{WIDGET}.legend", True, "", "unknown key"),
    (DASHBOARD, f"{GROUP}[0].definition.bogus", True, "", "unknown key"),
    (DASHBOARD, f"{REQUEST}.display_type", "lines", "", "must be one of area, bars, line, overlay"),
    (DASHBOARD, f"{WIDGET}.type", "timeserie", WIDGET, "fits none"),
    (DASHBOARD, f"{REQUEST}.queries[0].data_source", "metric", f"{REQUEST}.queries[0]", "fits none"),
    (DASHBOARD, f"{WIDGET}.requests", {}, "", "must be a list"),
    (DASHBOARD, ".id", "abc-def", "", "Datadog's to set"),
    (DASHBOARD, ".layout_type", None, ".", "layout_type is missing"),
    (DASHBOARD, ".tags", ["team:a"] * 6, "", "number of items"),
    (BANK, ".options.thresholds.criticl", 5, "", "unknown key"),
    (BANK, ".options.notify_no_data", "no", "", "must be of type bool"),
    (BANK, ".priority", True, "", "must be of type"),
    (BANK, ".options.min_failure_duration", 9999, "", "less than or equal"),
    (SLO, ".query.denominator", None, ".query", "denominator is missing"),
    ("entity.datadog.json", ".spec.owner", "me", "", "unknown key"),
    ("entity.datadog.json", ".kind", "servise", ".", "fits none"),
    # queries that are not fed
    (DASHBOARD, QUERY, "sum:cleartill.payment.counts{*}.as_count()", "", "no such metric"),
    (DASHBOARD, QUERY, "sum:payment.count{*}.as_count()", "", "no such metric"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{bin:411111}.as_count()", "", "has no tag bin"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{status NOT IN (a,b) AND bin:4}.as_count()", "", "has no tag bin"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{*} by {merchant}.as_count()", "", "has no tag merchant"),
    (DASHBOARD, QUERY, "p99:cleartill.payment.count{*}", "", "p99 needs a distribution"),
    (DASHBOARD, QUERY, "count(v: v<5):cleartill.outbox.pending{*}", "", "count needs a distribution"),
    (DASHBOARD, QUERY, "histogram:cleartill.outbox.pending{*}", "", "histogram needs a distribution"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{*}", "", "say .as_count() or .as_rate()"),
    (DASHBOARD, QUERY, "avg:cleartill.payment.count{*}.as_count()", "", "sum it"),
    (DASHBOARD, QUERY, "sum:cleartill.outbox.pending{*}.as_count()", "", "no .as_count()"),
    (DASHBOARD, QUERY, "count:cleartill.outbox.pending{*}", "", "would count reports"),
    (DASHBOARD, QUERY, "p99:cleartill.payment.latency{*}.as_count()", "", "no .as_count() of p99"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{$envs}.as_count()", "", "$envs is not declared"),
    (DASHBOARD, ".template_variables[0].prefix", "region", QUERY, "has no tag region"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{*", "", "} expected, at character 29"),
    (DASHBOARD, f"{REQUEST}.formulas[0].formula", "failed / alles", "", "no query is called alles"),
    (DASHBOARD, f"{GROUP}[3].definition.requests[0].q", "max:cleartill.nothing{*}", "", "no such metric"),
    # filters that nothing ever matches
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{status:faild}.as_count()", "", "faild, only authorized"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{!status:faild}.as_count()", "", "never has status:faild"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{status IN (failed,faild)}.as_count()", "", "has status:faild"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{status:succeeded}.as_count()", "", "never has status:succeeded"),
    (DASHBOARD, QUERY, "sum:cleartill.refund.count{status:captured}.as_count()", "", "never has status:captured"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{decline_category:harsh}.as_count()", "", "only data, hard, none"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{brand:vissa}.as_count()", "", "never has brand:vissa"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.count{currency:euro}.as_count()", "", "never has currency:euro"),
    (DASHBOARD, QUERY, "sum:cleartill.payment.decided{decision:failed}.as_count()", "", "only approved, declined"),
    (DASHBOARD, QUERY, "sum:cleartill.outbox.published{in_time:true}.as_count()", "", "only no, yes"),
    (DASHBOARD, QUERY, "p95:cleartill.provider.latency{outcome:timeout}", "", "never has outcome:timeout"),
    (DASHBOARD, QUERY, "sum:cleartill.provider.call{operation:auth}.as_count()", "", "never has operation:auth"),
    (DASHBOARD, QUERY, "sum:cleartill.guard.rejected{reason:bulkhead}.as_count()", "", "never has reason:bulkhead"),
    (DASHBOARD, QUERY, "sum:cleartill.breaker.transition{to:opened}.as_count()", "", "only closed, half_open, open"),
    (DASHBOARD, QUERY, "sum:cleartill.http.request{status:6*}.as_count()", "", "never has status:6*"),
    (DASHBOARD, QUERY, "sum:cleartill.work.count{name:webhook.delivery}.as_count()", "", "has name:webhook.delivery"),
    (DASHBOARD, QUERY, "sum:cleartill.transfer.count{kind:payout}.as_count()", "", "only deposit, withdrawal"),
    (BANK, ".query", "sum(last_5m):sum:cleartill.payment.count{status:faild}.as_count() > 3000", "", "status:faild"),
    (SLO, ".query.numerator", "sum:cleartill.payment.count{status:faild}.as_count()", "", "never has status:faild"),
    (SLO, ".query.numerator", "sum:cleartill.nothing{*}.as_count()", "", "no such metric"),
    (BANK, ".query", "sum(last_5m):sum:cleartill.nothing{*}.as_count() > 3000", "", "no such metric"),
    # our rules for monitors
    (BANK, ".name", None, "", "is missing"),
    (BANK, ".name", "Events burn", ".", "another monitor is called"),
    (BANK, ".tags", [], "", "missing"),
    (BANK, ".priority", 6, "", "from 1 to 5"),
    (BANK, ".message", "## What to look at\nx\n## What to do\ny", "", "'What it means' is missing"),
    (BANK, ".message", "## What it means\nx\n## What to do\ny", "", "'What to look at' is missing"),
    (BANK, ".message", "What it means: x\nWhat to look at: y", "", "'What to do' is missing"),
    (BANK, ".message", "What it means: x\n# What to look at\n\nWhat to do: y", "", "'What to look at' says nothing"),
    (BANK, ".message", "What it means: {{env.name}}\nWhat to look at: y\nWhat to do: z", "", "not split by env"),
    (BANK, ".options.thresholds.critical", 3001, "", "must be the query's threshold, 3000"),
    (BANK, ".options.thresholds.critical", None, "", "must be the query's threshold, 3000"),
    (BANK, ".options.thresholds.warning", 3000, "", "must be below 3000"),
    (BANK, ".options.thresholds.critical_recovery", 3500, "", "must be below 3000"),
    (BANK, ".options.thresholds.warning_recovery", 1600, "", "must be below 1500"),
    (BANK, ".options.notify_no_data", None, ".options", "say what no data means"),
    (BANK, ".options.on_missing_data", "resolve", ".options", "say what no data means"),
    (BANK, ".options.notify_no_data", True, ".options.no_data_timeframe", "is missing"),
    (BANK, ".type", "slo alert", "", "type query alert"),
    (BURN, ".type", "query alert", "", "type slo alert"),
    (BURN, ".query", RATE.format("Nope", 30), "", "no SLO is called"),
    (BURN, ".query", RATE.format("Events in time", 7), "", "7 days"),
    (BURN, ".options.thresholds.critical", 14, "", "must be the query's threshold, 14.4"),
    # for SLOs, dashboards and the service
    (SLO, ".description", "", "", "is missing"),
    (SLO, ".tags", [], "", "is missing"),
    (SLO, ".type", "monitor", "", "must be metric or time_slice"),
    (SLO, ".type", "time_slice", ".sli_specification", "is missing"),
    (SLO, ".thresholds[0].target", 100.0, "", "between 0 and 100"),
    (SLO, ".thresholds[0].warning", 99.0, "", "above the target, 99.9"),
    (DASHBOARD, ".title", " ", "", "is missing"),
    (DASHBOARD, ".description", "", "", "is missing"),
    (DASHBOARD, f"{WIDGET}.title", None, "", "is missing"),
    (DASHBOARD, f"{GROUP}[3].definition.title", "", "", "is missing"),
    (DASHBOARD, f"{GROUP}[0].definition.slo_id", "Nope", "", "no slo is called 'Nope'"),
    (DASHBOARD, f"{GROUP}[0].definition.slo_id", "Events burn", "", "no slo is called 'Events burn'"),
    (DASHBOARD, f"{GROUP}[1].definition.alert_id", "Nope", "", "no monitor is called 'Nope'"),
    (DASHBOARD, f"{GROUP}[2].definition.query", "tag:service:other", "", "no monitor has the tags"),
    (DASHBOARD, f"{GROUP}[2].definition.query", "muted:false", "", "nothing else expected"),
    ("entity.datadog.json", ".metadata.name", " ", "", "is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "path", "value", "place", "why"), PLANTED)
def test_a_planted_defect_is_found_in_its_place(
    assets: tuple[Asset, ...], file: str, path: str, value: Any, place: str, why: str
) -> None:
    plant(assets, file, path, value)

    found = [finding for finding in validate(assets) if finding.file == file]

    assert any(finding.path == (place or path) and why in finding.why for finding in found), found


def test_each_of_several_defects_in_a_widget_is_named(assets: tuple[Asset, ...]) -> None:
    plant(assets, DASHBOARD, f"{REQUEST}.bogus", 1)
    plant(assets, DASHBOARD, f"{REQUEST}.display_type", "lines")

    assert [found.path for found in validate(assets)] == [f"{REQUEST}.bogus", f"{REQUEST}.display_type"]


def test_a_data_source_that_nobody_checks_is_refused(assets: tuple[Asset, ...]) -> None:
    logs = {"data_source": "logs", "name": "failed", "compute": {"aggregation": "count"}}
    plant(assets, DASHBOARD, f"{REQUEST}.queries[0]", logs)

    assert [(found.path, found.why) for found in validate(assets)] == [
        (f"{REQUEST}.queries[0].data_source", "logs: nothing here can tell whether that is fed")
    ]


def test_a_falling_threshold_has_its_warning_above(assets: tuple[Asset, ...]) -> None:
    plant(assets, BANK, ".query", "max(last_5m):max:cleartill.guard.inflight{*} by {provider} < 3000")

    assert [found.why for found in validate(assets)] == ["must be above 3000"]
