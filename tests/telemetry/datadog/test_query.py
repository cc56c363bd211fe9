"""The query language: what is understood, what is refused and where, and that all of it can be written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.telemetry.datadog.query import (
    Binary,
    Bound,
    BurnRate,
    Call,
    Filter,
    Formula,
    MetricQuery,
    MonitorQuery,
    Name,
    Number,
    Refused,
    Rollup,
    parse_formula,
    parse_metric,
    parse_monitor,
    queries,
)

A, B = MetricQuery("sum", "cleartill.a", as_="count"), MetricQuery("sum", "cleartill.b", as_="count")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("avg:cleartill.a{*}", MetricQuery("avg", "cleartill.a")),
        (
            "sum:cleartill.payment.count{status:failed,!provider:mock} by {brand}.as_count()",
            MetricQuery(
                "sum",
                "cleartill.payment.count",
                (Filter("status", ("failed",)), Filter("provider", ("mock",), negated=True)),
                ("brand",),
                "count",
            ),
        ),
        ("p99:a.b{$env, $service}", MetricQuery("p99", "a.b", (Filter("$env"), Filter("$service")))),
        (
            "max:a.b{route:post_/api/v1/*} by {a, b}",
            MetricQuery("max", "a.b", (Filter("route", ("post_/api/v1/*",)),), ("a", "b")),
        ),
        ("sum:a.b{status IN (failed,late)}", MetricQuery("sum", "a.b", (Filter("status", ("failed", "late")),))),
        (
            "sum:a.b{$env AND status NOT IN (x, y) AND NOT c:d AND e:f}",
            MetricQuery(
                "sum",
                "a.b",
                (
                    Filter("$env"),
                    Filter("status", ("x", "y"), negated=True),
                    Filter("c", ("d",), negated=True),
                    Filter("e", ("f",)),
                ),
            ),
        ),
        ("sum:a.b{*}.as_rate().rollup(sum, 60)", MetricQuery("sum", "a.b", as_="rate", rollup=Rollup("sum", 60))),
        ("sum:a.b{*}.rollup(max).as_count()", MetricQuery("sum", "a.b", as_="count", rollup=Rollup("max"))),
        ("count(v: v<=50):a.b{*}.as_count()", MetricQuery("count", "a.b", as_="count", bound=Bound("<=", 50))),
        ("histogram:a.b{*}", MetricQuery("histogram", "a.b")),
    ],
)  # fmt: skip
def test_metric_queries(text: str, parsed: MetricQuery) -> None:
    assert parse_metric(text) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("sum:cleartill.a{*}.as_count() / sum:cleartill.b{*}.as_count() * 100",
         Binary("*", Binary("/", A, B), Number(100))),
        ("1 - (2 - 3)", Binary("-", Number(1), Binary("-", Number(2), Number(3)))),
        ("1 + 2 * 3", Binary("+", Number(1), Binary("*", Number(2), Number(3)))),
        ("(1 + 2) * 3", Binary("*", Binary("+", Number(1), Number(2)), Number(3))),
        ("default_zero( sum:cleartill.a{*}.as_count() )", Call("default_zero", A)),
    ],
)  # fmt: skip
def test_formulas(text: str, parsed: Formula) -> None:
    assert parse_formula(text) == parsed


def test_a_widgets_formula_is_over_the_names_of_its_queries() -> None:
    formula = parse_formula("default_zero(failed) / all * 100", frozenset({"failed", "all"}))

    assert formula == Binary("*", Binary("/", Call("default_zero", Name("failed")), Name("all")), Number(100))
    with pytest.raises(Refused, match="no query is called al, at character 9"):
        parse_formula("failed / al", frozenset({"failed", "all"}))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("sum(last_1m):( sum:cleartill.a{*}.as_count() / sum:cleartill.b{*}.as_count() ) * 100 > 5",
         MonitorQuery("sum", 60, Binary("*", Binary("/", A, B), Number(100)), ">", 5)),
        ("max(last_1h):avg:a.b{*} by {env} <= -0.5",
         MonitorQuery("max", 3600, MetricQuery("avg", "a.b", by=("env",)), "<=", -0.5)),
        ("percentile(last_5m):p99:a.b{*} >= 50", MonitorQuery("percentile", 300, MetricQuery("p99", "a.b"), ">=", 50)),
        ('burn_rate("Cleartill: events").over("30d").long_window("1h").short_window("5m") > 14.4',
         BurnRate("Cleartill: events", 30, 3600, 300, ">", 14.4)),
    ],
)  # fmt: skip
def test_monitors(text: str, parsed: MonitorQuery | BurnRate) -> None:
    assert parse_monitor(text) == parsed


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0),
        ("sum:a.b", 7),
        ("median:a.b{*}", 0),
        ("sum:a{*}", 4),  # no namespace
        ("sum:a.b{}", 8),
        ("sum:a.b{env}", 11),
        ("sum:a.b{currency:EUR}", 17),
        ("sum:a.b{Env:x}", 8),
        ("sum:a.b{env:a*b}", 14),
        ("sum:a.b{*,env:x}", 9),
        ("sum:a.b{env:x AND !c:d}", 18),
        ("sum:a.b{env:x,c IN (d,e)}", 15),
        ("sum:a.b{env:x OR env:y}", 13),
        ("sum:a.b{!$env}", 9),
        ("sum:a.b{*} by {a,a}", 18),
        ("sum:a.b{*} by {}", 15),
        ("sum:a.b{*}.as_count().as_rate()", 21),
        ("sum:a.b{*}.rollup(60)", 18),
        ("sum:a.b{*}.fill(zero)", 10),
        ("avg(v: v<=50):a.b{*}", 3),
        ("count(v: v==50):a.b{*}", 10),
        ("sum:a.b{*} sum:a.b{*}", 11),
    ],
)  # fmt: skip
def test_other_metric_queries_are_refused_with_the_place(text: str, at: int) -> None:
    with pytest.raises(Refused) as refused:
        parse_metric(text)
    assert refused.value.at == at, refused.value


@pytest.mark.parametrize(
    "text",
    [
        "sum(last_5m):sum:a.b{*}",
        "sum(last_5m):sum:a.b{*} == 5",
        "sum(last_2h):sum:a.b{*} > 5",
        "sum(last_0m):sum:a.b{*} > 5",
        "sum(last_5m):sum:a.b{*} > 5 > 6",
        "sum(last_5m):a > 5",
        "median(last_5m):sum:a.b{*} > 5",
        "percentile(last_5m):avg:a.b{*} > 5",
        "percentile(last_5m):p99:a.b{*} + 1 > 5",
        "avg(last_5m):anomalies(avg:a.b{*}, 'basic', 2) > 5",
        "avg(last_5m):-avg:a.b{*} > 5",
        "change(avg(last_5m),last_1h):avg:a.b{*} > 5",
        'burn_rate("x").over("31d").long_window("1h").short_window("5m") > 14.4',
        'burn_rate("x").over("30d").long_window("5m").short_window("1h") > 14.4',
        'burn_rate("x").over("30d").long_window("49h").short_window("1h") > 14.4',
        'burn_rate("").over("30d").long_window("1h").short_window("5m") > 14.4',
        'error_budget("x").over("30d") > 75',
    ],
)
def test_other_monitors_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_monitor(text)


def test_what_is_refused_is_shown_with_its_place() -> None:
    with pytest.raises(Refused) as refused:
        parse_metric("sum:a.b{x:y|z}")
    assert str(refused.value) == "} expected, at character 11: sum:a.b{x:y»|z}"


def test_parentheses_are_bounded() -> None:
    parse_formula("(" * 20 + "1" + ")" * 20)
    parse_formula(" + ".join(["(1)"] * 21))
    with pytest.raises(Refused, match="more than 20 parentheses"):
        parse_formula("(" * 21 + "1" + ")" * 21)


def test_queries_of_a_formula_from_left_to_right() -> None:
    assert queries(parse_formula(f"default_zero({A}) / ({B} + 1)")) == (A, B)


keys = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
values = st.from_regex(r"[a-z0-9_./:\-]{1,8}\*?", fullmatch=True)
numbers = st.decimals(0, 10**9, places=3).map(float)
comparators = st.sampled_from(["<", "<=", ">", ">="])
plain = st.builds(Filter, keys, values.map(lambda value: (value,)), st.booleans())
several = st.builds(Filter, keys, st.lists(values, min_size=2, max_size=3).map(tuple), st.booleans())
variables = keys.map(lambda key: Filter(f"${key}"))
metric_queries = st.builds(
    lambda aggregator, metric, filters, by, as_, rollup, bound: MetricQuery(
        aggregator, metric, filters, by, as_, rollup, bound if aggregator == "count" else None
    ),
    st.sampled_from(["avg", "sum", "min", "max", "count", "p50", "p75", "p90", "p95", "p99", "histogram"]),
    st.from_regex(r"[a-z][a-z0-9_]{0,5}(\.[a-z0-9_]{1,5}){1,3}", fullmatch=True),
    st.lists(plain | several | variables, max_size=3).map(tuple),
    st.lists(keys, max_size=3, unique=True).map(tuple),
    st.sampled_from([None, "count", "rate"]),
    st.none() | st.builds(Rollup, st.sampled_from(["avg", "sum", "max"]), st.none() | st.integers(1, 86400)),
    st.none() | st.builds(Bound, comparators, numbers),
)
formulas: st.SearchStrategy[Formula] = st.recursive(
    metric_queries | st.builds(Number, numbers),
    lambda inner: (
        st.builds(Binary, st.sampled_from("+-*/"), inner, inner) | st.builds(Call, st.just("default_zero"), inner)
    ),
    max_leaves=5,
)
monitors = st.builds(
    MonitorQuery,
    st.sampled_from(["avg", "sum", "min", "max"]),
    st.integers(1, 60).map(lambda minutes: minutes * 60),
    formulas,
    comparators,
    numbers | numbers.map(lambda number: -number),
)
burn_rates = st.builds(
    BurnRate,
    st.text("abc 0-9:ä", min_size=1),
    st.sampled_from([7, 30, 90]),
    st.integers(61, 2880).map(lambda minutes: minutes * 60),
    st.integers(1, 60).map(lambda minutes: minutes * 60),
    comparators,
    numbers,
)


@pytest.mark.parametrize(
    "text", ["(1 + 2) * 3", "1 - (2 - 3)", "1 / (2 / 3)", "1 - 2 + 3", "1 + 2 * 3", "0.5 * (1 / 2)"]
)
def test_a_formula_is_written_with_the_parentheses_it_needs(text: str) -> None:
    assert str(parse_formula(text)) == text


@given(metric_queries)
def test_metric_queries_are_written_back(query: MetricQuery) -> None:
    assert parse_metric(str(query)) == query


@given(formulas)
def test_formulas_are_written_back(formula: Formula) -> None:
    assert parse_formula(str(formula)) == formula


@given(monitors | burn_rates)
def test_monitors_are_written_back(monitor: MonitorQuery | BurnRate) -> None:
    assert parse_monitor(str(monitor)) == monitor
