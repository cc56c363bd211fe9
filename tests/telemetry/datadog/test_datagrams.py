"""DogStatsD's datagrams: read as the agent reads them, kept by second, and no longer than they are needed."""

import pytest

from cleartill.telemetry.datadog.datagrams import Heard, Malformed, Sample, parse, tag

NOW = 1_700_000_000.0


def kept(heard: Heard, metric: str) -> dict[int, list[float]]:
    """By the second, counted from NOW; of the one series there is."""
    [series] = heard.series(metric)
    return {second - int(NOW): list(values) for second, values, _ in series.within(0, 1 << 40)}


def test_name_values_type_rate_and_tags() -> None:
    [sample] = parse(b"cleartill.vault.latency:1.5:2:3e-1|d|@0.5|#operation:encrypt,env:test")
    assert sample == Sample(
        "cleartill.vault.latency", "d", (1.5, 2.0, 0.3), frozenset({"operation:encrypt", "env:test"}), 0.5
    )


def test_several_metrics_in_one_datagram_in_order() -> None:
    read = parse(b"a.b:1|c\nc.d:-2|g|#x:y\n\ne.f:3|d\n")
    assert [(one.name, one.kind, one.values) for one in read] == [
        ("a.b", "c", (1.0,)), ("c.d", "g", (-2.0,)), ("e.f", "d", (3.0,)),
    ]  # fmt: skip


def test_times_of_counts_and_gauges_and_where_they_came_from() -> None:
    """Protocol v1.2 and v1.3."""
    [sample] = parse(b"a.b:1|c|#x:y|c:ci-1234|T1656581400")
    assert (sample.at, sample.tags) == (1656581400, {"x:y"})


@pytest.mark.parametrize(
    "line",
    [
        b"a.b", b"a.b:|c", b"a.b:1", b"a.b:x|c", b"a.b:nan|g", b"a.b:inf|d", b"a.b:1:|d", b"a.b:1|c|@0", b"a.b:1|c|@2",
        b"a.b:1|h", b"a.b:1|ms", b"a.b:1|s", b"_e{1,1}:a|b", b"_sc|a|0", b"a.b:1|c|what", b"a.b:1|d|T1656581400",
        b"9a:1|c", b":1|c", b"a.b:1|c|#\xff",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        parse(line)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Provider:Bank", "provider:bank"),
        ("route:POST /api/v1/payments/{payment_id}", "route:post_/api/v1/payments/_payment_id"),
        ("to:half-open", "to:half-open"),
        ("status:", "status"),
        ("a:" + "x" * 300, "a:" + "x" * 198),
    ],
)
def test_tags_are_written_as_datadog_stores_them(written: str, stored: str) -> None:
    assert tag(written) == stored


def test_a_seconds_counts_are_added_up_for_what_they_stand_for() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|c\na.b:2:3|c", NOW)
    heard.receive(b"a.b:1|c|@0.1", NOW + 0.9)
    heard.receive(b"a.b:7|c", NOW + 1)
    assert kept(heard, "a.b") == {0: [16.0], 1: [7.0]}


def test_of_a_gauge_the_last_value_of_a_second_counts() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|g\na.b:5:2|g", NOW)
    heard.receive(b"a.b:3|g|@0.5", NOW + 2)
    assert kept(heard, "a.b") == {0: [2.0], 2: [3.0]}


def test_of_a_distribution_every_value_with_its_weight() -> None:
    heard = Heard()
    heard.receive(b"a.b:1:2|d", NOW)
    heard.receive(b"a.b:9|d|@0.25", NOW)
    heard.receive(b"a.b:3|d", NOW)
    [series] = heard.series("a.b")
    [(_, values, weights)] = series.within(0, 1 << 40)
    assert (list(values), list(weights or ())) == ([1.0, 2.0, 9.0, 3.0], [1.0, 1.0, 4.0, 1.0])


def test_a_time_that_is_said_is_believed() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|c", NOW)
    heard.receive(b"a.b:4|c|T%d" % (NOW - 5), NOW)
    heard.receive(b"a.b:2|c", NOW)
    assert kept(heard, "a.b") == {-5: [4.0], 0: [3.0]}


def test_tags_in_any_order_are_one_series() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|c|#x:1,y:2\na.b:1|c|#y:2,x:1\na.b:1|c|#x:1", NOW)
    assert sorted(len(series.tags) for series in heard.series("a.b")) == [1, 2]


def test_what_is_too_old_is_forgotten() -> None:
    heard = Heard(keep_s=60)
    for second in range(200):
        heard.receive(b"a.b:1|c\nd.e:1|d|@0.5", NOW + second)
    [counts], [values] = heard.series("a.b"), heard.series("d.e")
    assert (len(counts.seconds), counts.seconds[0]) == (61, int(NOW) + 139)
    assert len(values.weights) == len(values.values) == 61


def test_all_can_be_forgotten_but_who_spoke() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|c|#x:y", NOW)
    heard.forget()
    assert kept(heard, "a.b") == {}
    assert heard.kind("a.b") == "c"


def test_a_metric_is_of_one_type() -> None:
    heard = Heard()
    heard.receive(b"a.b:1|c", NOW)
    with pytest.raises(Malformed, match="was of type c"):
        heard.receive(b"a.b:1|g", NOW)


def test_there_is_an_end_to_the_number_of_series() -> None:
    heard = Heard(max_series=20)
    for number in range(20):
        heard.receive(b"a.b:1|c|#x:%d" % number, NOW)
    with pytest.raises(Malformed, match="series"):
        heard.receive(b"a.b:1|c|#x:more", NOW)
    heard.receive(b"a.b:1|c|#x:7", NOW)
