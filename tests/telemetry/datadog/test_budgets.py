"""How fast error budgets burn: of events, and of time."""

from typing import Any

import pytest

from cleartill.telemetry.datadog.alerts import Alert, is_burn_rate
from cleartill.telemetry.datadog.budgets import burning, slo_of
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.query import BurnRate, parse_monitor
from cleartill.telemetry.datadog.supported import Unsupported

NOW = 1_700_000_100
"""A whole five minutes, in Unix seconds."""
TARGET = [{"timeframe": "30d", "target": 99.9}]
REQUESTS: dict[str, Any] = {
    "name": "availability",
    "type": "metric",
    "thresholds": TARGET,
    "query": {
        "numerator": "sum:cleartill.http.request{!status:5*}.as_count()",
        "denominator": "sum:cleartill.http.request{*}.as_count()",
    },
}
FAST = 'burn_rate("{}").over("30d").long_window("1h").short_window("5m") > 14.4'


def slices(query: str, threshold: float = 50, interval_s: int = 60) -> dict[str, Any]:
    asked = {"formulas": [{"formula": "a"}], "queries": [{"data_source": "metrics", "name": "a", "query": query}]}
    condition = {"comparator": "<", "threshold": threshold, "query_interval_seconds": interval_s, "query": asked}
    return {
        "name": "overhead",
        "type": "time_slice",
        "thresholds": [{"timeframe": "30d", "target": 99.0}],
        "sli_specification": {"time_slice": condition},
    }


def burn(document: dict[str, Any], heard: Heard) -> float | None:
    query = parse_monitor(FAST.format(document["name"]))
    assert isinstance(query, BurnRate)
    return burning(query, slo_of(document), heard, NOW)


def requests(*said: tuple[int, str, int]) -> Heard:
    """Seconds before NOW, status, how many."""
    heard = Heard()
    for before, status, number in said:
        heard.receive(f"cleartill.http.request:{number}|c|#status:{status}".encode(), NOW - before)
    return heard


def test_the_error_rate_over_the_budget_of_both_windows() -> None:
    """(error rate of the window) ÷ (1 - target), the smaller of both."""
    assert burn(REQUESTS, requests((1000, "201", 980), (100, "503", 20))) == pytest.approx(20 / 1000 / 0.001)
    assert burn(REQUESTS, requests((1000, "503", 500), (100, "201", 99), (99, "500", 1))) == pytest.approx(10)
    assert burn(REQUESTS, requests((1000, "201", 1), (10, "422", 5))) == pytest.approx(0)


def test_none_good_is_all_bad_and_none_at_all_is_no_data() -> None:
    assert burn(REQUESTS, requests((10, "503", 5))) == pytest.approx(1000)
    assert burn(REQUESTS, requests((1000, "503", 5))) is None
    assert burn(REQUESTS, Heard()) is None


def test_bad_slices_of_all_slices_and_silence_is_good() -> None:
    """service_level_objectives/time_slice: missing data is always treated as uptime."""
    heard = Heard()
    for minute, p99 in ((1, 60), (2, 60), (3, 10), (30, 70)):
        heard.receive(f"cleartill.payment.overhead:{':'.join(['1'] * 60)}:{p99}:{p99}|d".encode(), NOW - 60 * minute)
    overhead = slices("p99:cleartill.payment.overhead{*}")
    assert burn(overhead, heard) == pytest.approx(3 / 60 / 0.01)
    assert burn(overhead, Heard()) == 0
    assert burn(slices("p99:cleartill.payment.overhead{*}", interval_s=300), heard) == pytest.approx(2 / 12 / 0.01)


def test_a_burn_rate_alert_fires_when_both_windows_burn() -> None:
    document = {"name": "a", "query": FAST.format("availability"), "options": {"thresholds": {"critical": 14.4}}}
    of = Alert(document, {"availability": slo_of(REQUESTS)})
    assert is_burn_rate(of)
    of.look(requests((2000, "201", 10_000), (10, "503", 100)), NOW)
    assert not of.pages
    of.look(requests((2000, "201", 1_000), (10, "503", 100)), NOW)
    assert of.pages
    of.look(requests((2000, "503", 1_000), (10, "201", 100)), NOW + 10)
    assert not of.pages


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "monitor"},
        {"query": {"numerator": "sum:cleartill.kafka.failed{*}", "denominator": "sum:cleartill.kafka.failed{*}"}},
        {"query": {"numerator": "sum:cleartill.kafka.failed{*}.as_rate()", "denominator": "1"}},
        {"query": REQUESTS["query"] | {"denominator": "sum:cleartill.http.request{*} by {route}.as_count()"}},
    ],
)
def test_other_slos_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        slo_of(REQUESTS | changed)
    with pytest.raises(Unsupported):
        slo_of(slices("avg:cleartill.outbox.pending{*}"))


@pytest.mark.parametrize("query", [FAST.replace("30d", "7d"), FAST.replace("14.4", "1001"), FAST.replace(">", "<")])
def test_alerts_that_could_never_be_are_refused(query: str) -> None:
    threshold = float(query.rpartition(" ")[2])
    document = {"name": "a", "query": query.format("availability"), "options": {"thresholds": {"critical": threshold}}}
    with pytest.raises(Unsupported):
        Alert(document, {"availability": slo_of(REQUESTS)})
