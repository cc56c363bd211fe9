"""Monitors' queries over what was received: each rule of Datadog's, by the document that says so."""

import pytest

from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import Values, values
from cleartill.telemetry.datadog.query import MonitorQuery, parse_monitor

NOW = 1_700_000_040
"""A whole minute, in Unix seconds."""


def heard_of(*said: tuple[int, str]) -> Heard:
    """Lines as DogStatsD is sent them, each with its second before or after NOW."""
    heard = Heard()
    for second, line in said:
        heard.receive(f"cleartill.{line}".encode(), NOW + second)
    return heard


def asked(query: str, heard: Heard, at: float = NOW) -> Values:
    parsed = parse_monitor(f"{query} > 1")
    assert isinstance(parsed, MonitorQuery)
    return values(parsed, heard, at)


def one(query: str, heard: Heard, at: float = NOW) -> float | None:
    return asked(query, heard, at)[()]


COUNT, ERRORS, TOTAL = (
    "sum:cleartill.kafka.failed{*}",
    "sum:cleartill.kafka.failed{*}",
    "sum:cleartill.kafka.produced{*}",
)
GAUGE, TIMES = "cleartill.outbox.pending{*}", "cleartill.books.commit{*}"


def test_a_window_ends_with_the_last_ten_seconds_that_were_sent() -> None:
    """extend/dogstatsd/data_aggregation: an agent sends every 10 s what it received since."""
    heard = heard_of(
        (-61, "kafka.failed:1|c"), (-60, "kafka.failed:2|c"), (-1, "kafka.failed:4|c"), (3, "kafka.failed:8|c")
    )
    query = f"sum(last_1m):{COUNT}.as_count()"
    assert [one(query, heard, at) for at in (NOW, NOW + 9.9, NOW + 10)] == [6, 6, 12]


def test_with_as_count_the_sums_are_divided() -> None:
    """monitors/guide/as-count-in-monitor-evaluations, its own example: 0.3, and 1.5 without."""
    said = [(10 * place - 50, f"kafka.failed:{place + 1}|c") for place in range(5)]
    said += [(10 * place - 50, "kafka.produced:10|c") for place in range(5)]
    heard = heard_of(*said)
    assert one(f"sum(last_5m):{ERRORS}.as_count() / {TOTAL}.as_count()", heard) == pytest.approx(0.3)
    assert one(f"sum(last_5m):{ERRORS}.as_rate() / {TOTAL}.as_rate()", heard) == pytest.approx(1.5)


def test_a_rate_is_per_second_and_point_by_point() -> None:
    heard = heard_of((-60, "kafka.failed:30|c"), (-55, "kafka.failed:20|c"), (-10, "kafka.failed:10|c"))
    assert one(f"avg(last_1m):{COUNT}.as_rate()", heard) == pytest.approx((5 + 1) / 2)
    assert one(f"max(last_1m):{COUNT}.as_rate()", heard) == 5
    assert one(f"min(last_1m):{COUNT}.as_rate()", heard) == 1


def test_what_is_divided_by_zero_or_has_no_other_side_is_left_out() -> None:
    """monitors/guide/monitor-arithmetic-and-sparse-metrics: 10/0 + 10/1 + 10/NaN = 10."""
    said = [(second, "outbox.pending:10|g") for second in (-30, -20, -10)]
    heard = heard_of(*said, (-30, "webhook.pending:0|g"), (-20, "webhook.pending:1|g"))
    ratio = "avg:cleartill.outbox.pending{*} / avg:cleartill.webhook.pending{*}"
    assert one(f"sum(last_1m):{ratio}", heard) == 10
    counts = heard_of((-5, "kafka.failed:3|c"), (-5, "kafka.produced:0|c"))
    assert one(f"sum(last_1m):{ERRORS}.as_count() / {TOTAL}.as_count()", counts) is None
    assert one(f"sum(last_1m):{ERRORS}.as_count() / (1 - 1)", counts) is None


def test_what_was_not_sent_is_no_data_and_default_zero_makes_it_zero() -> None:
    """dashboards/functions/interpolation, default_zero."""
    heard = heard_of((-5, "kafka.produced:20|c"))
    assert one(f"sum(last_1m):{ERRORS}.as_count()", heard) is None
    assert one(f"sum(last_1m):default_zero({ERRORS}.as_count())", heard) == 0
    assert one(f"sum(last_1m):{ERRORS}.as_count() + {TOTAL}.as_count()", heard) is None
    assert one(f"sum(last_1m):100 * default_zero({ERRORS}.as_count()) / ({TOTAL}.as_count() + 5)", heard) == 0
    assert one(f"sum(last_1m):default_zero({ERRORS}.as_count()) + {TOTAL}.as_count() * 2", heard) == 40
    assert one(f"sum(last_1m):default_zero({ERRORS}.as_count() / ({TOTAL}.as_count() - 20))", heard) == 0


def test_default_zero_fills_each_ten_seconds() -> None:
    heard = heard_of((-40, "kafka.failed:60|c"))
    assert one(f"avg(last_1m):default_zero({COUNT}.as_rate())", heard) == pytest.approx(1)
    assert one(f"avg(last_1m):{COUNT}.as_rate()", heard) == pytest.approx(6)


@pytest.mark.parametrize(("aggregation", "expected"), [("avg", 20 / 3), ("sum", 20), ("min", 2), ("max", 15)])
def test_a_gauges_points_are_the_last_values_of_ten_seconds(aggregation: str, expected: float) -> None:
    """extend/dogstatsd/data_aggregation; monitors/guide/monitor_aggregators."""
    heard = heard_of((-70, "outbox.pending:99|g"), (-60, "outbox.pending:50|g"), (-51, "outbox.pending:3|g"),
                     (-30, "outbox.pending:2|g"), (-1, "outbox.pending:15|g"), (2, "outbox.pending:99|g"))  # fmt: skip
    assert one(f"{aggregation}(last_1m):avg:{GAUGE}", heard) == pytest.approx(expected)


def test_a_gauge_that_falls_silent_is_not_carried_on() -> None:
    heard = heard_of((-61, "outbox.pending:50|g"))
    assert one(f"max(last_1m):max:{GAUGE}", heard) is None


def test_gaps_within_gauges_are_interpolated_before_they_are_added_up() -> None:
    """monitors/guide/monitor-arithmetic-and-sparse-metrics: linear, for 5 minutes; not beyond, and not at the ends."""
    heard = heard_of((-60, "in_doubt.amount:10|g|#currency:usd"), (-30, "in_doubt.amount:40|g|#currency:usd"),
                     *((second, "in_doubt.amount:1|g|#currency:eur") for second in range(-60, 0, 10)))  # fmt: skip
    summed = "sum:cleartill.in_doubt.amount{*}"
    assert one(f"max(last_1m):{summed}", heard) == 41
    assert one(f"sum(last_1m):{summed}", heard) == 10 + 20 + 30 + 40 + 6
    far = heard_of((-600, "in_doubt.amount:1|g|#currency:usd"), (-10, "in_doubt.amount:1|g|#currency:usd"),
                   (-300, "in_doubt.amount:5|g|#currency:eur"))  # fmt: skip
    assert one(f"sum(last_15m):{summed}", far) == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("percentile(last_1m):p95", 95), ("percentile(last_1m):p50", 50), ("percentile(last_1m):p99", 99),
        ("max(last_1m):max", 100), ("min(last_1m):min", 1), ("avg(last_1m):avg", (25.5 + 75.5) / 2),
        ("avg(last_1m):p50", (25 + 75) / 2), ("max(last_1m):p99", 99),
    ],
)  # fmt: skip
def test_distributions(query: str, expected: float) -> None:
    """metrics/distributions: over all values, wherever they came from. percentile(…) is of the whole window, p50 within
    avg(…) of each ten seconds. DDSketch takes the value at rank q·(n-1)."""
    low, high = (":".join(map(str, values)) for values in (range(1, 51), range(51, 101)))
    heard = heard_of((-40, f"books.commit:{low}|d"), (-20, f"books.commit:{high}|d"))
    assert one(f"{query}:{TIMES}", heard) == pytest.approx(expected)


def test_percentiles_are_over_all_series_and_weigh_what_was_sampled() -> None:
    heard = heard_of((-9, "vault.latency:" + ":".join(["1"] * 90) + "|d|#operation:encrypt"),
                     (-9, "vault.latency:7|d|@0.1|#operation:decrypt"))  # fmt: skip
    everywhere = "cleartill.vault.latency{*}"
    assert one(f"percentile(last_1m):p90:{everywhere}", heard) == 1
    assert one(f"percentile(last_1m):p95:{everywhere}", heard) == 7
    assert one(f"sum(last_1m):count:{everywhere}.as_count()", heard) == 100
    assert one(f"sum(last_1m):count(v: v<=1):{everywhere}.as_count()", heard) == 90
    assert one(f"sum(last_1m):sum:{everywhere}.as_count()", heard) == pytest.approx(160)


def test_none_within_a_bound_is_zero_where_there_are_others() -> None:
    heard = heard_of((-9, "books.commit:80|d"))
    assert one(f"sum(last_1m):count(v: v<50):{TIMES}.as_count() / count:{TIMES}.as_count()", heard) == 0


def split() -> Heard:
    """Calls to two providers, and to one of them in vain."""
    tags = "provider.call:{}|c|#provider:{},operation:{},outcome:{}".format
    return heard_of(
        (-9, tags(3, "bank", "authorize", "unknown")),
        (-9, tags(6, "bank", "refund", "approved")),
        (-9, tags(1, "bank", "authorize", "not_sent")),
        (-9, tags(5, "stripe", "authorize", "approved")),
    )


@pytest.mark.parametrize(
    ("filters", "total"),
    [
        ("*", 15), ("provider:bank", 10), ("!provider:bank", 5), ("provider:bank,outcome:unknown", 3),
        ("operation:authorize,!outcome:approved", 4), ("operation:auth*", 9), ("!operation:auth*", 6),
        ("outcome IN (approved,unknown) AND provider:bank", 9), ("outcome NOT IN (approved,unknown)", 1),
        ("provider:nobody", None), ("!nothing:here", 15),
    ],
)  # fmt: skip
def test_filters(filters: str, total: float | None) -> None:
    assert one(f"sum(last_1m):sum:cleartill.provider.call{{{filters}}}.as_count()", split()) == total


def test_each_group_has_its_value() -> None:
    calls, by = "sum:cleartill.provider.call", "by {provider}"
    heard = split()
    assert asked(f"sum(last_1m):{calls}{{*}} {by}.as_count()", heard) == {("bank",): 10, ("stripe",): 5}
    ratio = f"sum(last_1m):{calls}{{outcome:unknown}} {by}.as_count() / {calls}{{*}} {by}.as_count()"
    assert asked(ratio, heard) == {("bank",): 0.3, ("stripe",): None}
    filled = f"sum(last_1m):default_zero({calls}{{outcome:unknown}} {by}.as_count()) / {calls}{{*}} {by}.as_count()"
    assert asked(filled, heard) == {("bank",): 0.3, ("stripe",): 0}
    shares = f"sum(last_1m):{calls}{{*}} {by}.as_count() / {calls}{{*}}.as_count()"
    assert asked(shares, heard) == {("bank",): 10 / 15, ("stripe",): 5 / 15}
    both = asked(f"sum(last_1m):{calls}{{provider:bank}} by {{provider,operation}}.as_count()", heard)
    assert both == {("bank", "authorize"): 4, ("bank", "refund"): 6}


def test_a_group_that_falls_silent_is_still_one_and_zero_if_that_is_the_default() -> None:
    query, heard = "sum:cleartill.provider.call{*} by {provider}.as_count()", split()
    later = NOW + 120
    assert asked(f"sum(last_1m):{query}", heard, later) == {("bank",): None, ("stripe",): None}
    assert asked(f"sum(last_1m):default_zero({query})", heard, later) == {("bank",): 0, ("stripe",): 0}
    assert asked(f"sum(last_1m):default_zero({query})", Heard()) == {}


def test_gauges_and_distributions_by_group() -> None:
    latencies = heard_of((-5, "provider.latency:9:5|d|#provider:bank"), (-5, "provider.latency:7|d|#provider:stripe"))
    assert asked("max(last_1m):p50:cleartill.provider.latency{*} by {provider}", latencies) == {
        ("bank",): 5,
        ("stripe",): 7,
    }
    doubts = heard_of((-9, "in_doubt.amount:4|g|#currency:USD"), (-8, "in_doubt.amount:6|g|#currency:EUR"))
    assert asked("min(last_1m):max:cleartill.in_doubt.amount{*} by {currency}", doubts) == {("usd",): 4, ("eur",): 6}
