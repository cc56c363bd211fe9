"""Monitors over time: when they begin to page, when they end, and what silence means."""

from typing import Any

import pytest

from cleartill.telemetry.datadog.alerts import Alert, State
from cleartill.telemetry.datadog.assets import load
from cleartill.telemetry.datadog.budgets import slo_of
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.supported import Unsupported

NOW = 1_700_000_040
GAUGE = "max(last_1m):max:cleartill.outbox.oldest_s{*} > 30"
COUNT = "sum(last_1m):sum:cleartill.kafka.failed{*}.as_count() > 5"


def alert(query: str, **options: Any) -> Alert:
    critical = float(query.rpartition(" ")[2])
    thresholds = {"critical": critical, **options.pop("thresholds", {})}
    return Alert({"name": "of a test", "query": query, "options": {"thresholds": thresholds, **options}}, {})


def story(of: Alert, said: dict[int, str], until: int) -> list[tuple[int, str, str]]:
    """What changes, looked at every ten seconds: second, group, state. `said`: what is sent, by second."""
    heard, told = Heard(), []
    for second in range(until + 1):
        if second in said:
            heard.receive(f"cleartill.{said[second]}".encode(), NOW + second)
        if second % 10 == 0:
            told += [(second, ",".join(one.group), str(one.state)) for one in of.look(heard, NOW + second)]
    return told


def gauge(*values: float) -> dict[int, str]:
    """One every ten seconds."""
    return {10 * place: f"outbox.oldest_s:{value}|g" for place, value in enumerate(values)}


def test_it_fires_and_ends_with_the_window() -> None:
    of = alert(GAUGE)
    assert story(of, gauge(0, 10, 31, 0, 0, 0, 0, 0, 0, 0, 0), 100) == [(30, "", "ALERT"), (90, "", "OK")]
    assert not of.pages


@pytest.mark.parametrize(
    ("comparator", "values", "expected"),
    [
        (">", (30, 31), [(20, "", "ALERT")]), (">=", (29, 30), [(20, "", "ALERT")]),
        ("<", (30, 29), [(20, "", "ALERT")]), ("<=", (31, 30), [(20, "", "ALERT")]),
    ],
)  # fmt: skip
def test_thresholds_are_passed_or_reached(
    comparator: str, values: tuple[float, ...], expected: list[tuple[int, str, str]]
) -> None:
    aggregation = "max" if ">" in comparator else "min"
    query = GAUGE.replace(">", comparator).replace("max(", f"{aggregation}(")
    assert story(alert(query), gauge(*values), 20) == expected


def test_what_has_fired_ends_at_the_recovery_threshold() -> None:
    """monitors/guide/recovery-thresholds: after > it must be <= that."""
    of = alert(GAUGE.replace("max(last_1m)", "min(last_1m)"), thresholds={"critical_recovery": 20})
    assert story(of, gauge(40, 31, 25, 21, 20, 25, 29), 60) == [(10, "", "ALERT"), (50, "", "OK")]
    assert story(alert(GAUGE.replace("max(last_1m)", "min(last_1m)")), gauge(40, 31, 25), 60) == [
        (10, "", "ALERT"),
        (30, "", "OK"),
    ]


def test_each_group_has_a_state_of_its_own() -> None:
    of = alert("sum(last_1m):default_zero(sum:cleartill.breaker.transition{to:open} by {provider}.as_count()) > 0")
    said = {
        5: "breaker.transition:1|c|#provider:bank,to:open",
        25: "breaker.transition:1|c|#provider:stripe,to:open",
        26: "breaker.transition:1|c|#provider:stripe,to:closed",
    }
    assert story(of, said, 120) == [
        (10, "bank", "ALERT"), (30, "stripe", "ALERT"), (70, "bank", "OK"), (90, "stripe", "OK"),
    ]  # fmt: skip


def test_a_new_group_is_left_alone_for_a_while() -> None:
    query = "sum(last_5m):sum:cleartill.breaker.transition{*} by {provider}.as_count() > 0"
    said = {5: "breaker.transition:1|c|#provider:bank,to:open"}
    assert story(alert(query, new_group_delay=60), said, 100) == [(70, "bank", "ALERT")]


def test_an_evaluation_may_be_late() -> None:
    assert story(alert(GAUGE, evaluation_delay=20), gauge(40), 40)[0] == (30, "", "ALERT")


@pytest.mark.parametrize(
    ("options", "expected", "pages"),
    [
        ({}, [(10, "ALERT")], True),
        ({"notify_no_data": False}, [(10, "ALERT")], True),
        ({"notify_no_data": False, "no_data_timeframe": 2}, [(10, "ALERT"), (180, "NO DATA")], False),
        ({"notify_no_data": True, "no_data_timeframe": 2}, [(10, "ALERT"), (180, "NO DATA")], True),
        ({"on_missing_data": "show_no_data"}, [(0, "NO DATA"), (10, "ALERT"), (70, "NO DATA")], False),
        ({"on_missing_data": "show_and_notify_no_data"}, [(0, "NO DATA"), (10, "ALERT"), (70, "NO DATA")], True),
        ({"on_missing_data": "resolve"}, [(10, "ALERT"), (70, "OK")], False),
        ({"on_missing_data": "default"}, [(10, "ALERT")], True),
    ],
)
def test_what_silence_means(options: dict[str, Any], expected: list[tuple[int, str]], pages: bool) -> None:
    """monitors/guide/on_missing_data. The last value is of the window until 60 s."""
    of = alert(GAUGE, **options)
    assert [(second, state) for second, _, state in story(of, gauge(40), 400)] == expected
    assert of.pages is pages


def test_by_default_missing_counts_are_zero() -> None:
    """ "If data is missing: evaluate as 0", for sums and counts."""
    assert story(alert(COUNT, on_missing_data="default"), {5: "kafka.failed:9|c"}, 90) == [
        (10, "", "ALERT"),
        (70, "", "OK"),
    ]
    assert story(alert(COUNT.replace("> 5", "< 1"), on_missing_data="default"), {}, 10) == [(0, "", "ALERT")]


def test_nothing_was_ever_heard() -> None:
    of = alert(GAUGE, notify_no_data=True, no_data_timeframe=1)
    assert story(of, {}, 90) == [(60, "", "NO DATA")]
    assert of.pages


@pytest.mark.parametrize(
    "options",
    [
        {"require_full_window": True}, {"thresholds": {"critical": 31}}, {"on_missing_data": "guess"},
        {"on_missing_data": "resolve", "notify_no_data": True}, {"scheduling_options": {}}, {"of_a_later_year": 1},
    ],
)  # fmt: skip
def test_options_that_would_change_what_fires_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        alert(GAUGE, **options)


def test_every_monitor_that_we_ship_can_be_evaluated() -> None:
    assets = load()
    slos = {one.name: slo_of(one.document) for one in assets if one.kind == "slo"}
    monitors = [Alert(one.document, slos) for one in assets if one.kind == "monitor"]
    assert len(monitors) >= 8
    for of in monitors:
        of.look(Heard(), NOW)
        assert State.ALERT not in of.states.values(), f"{of.name} fires over nothing"
