"""Files are read whole or not at all, and every query in them is found."""

import json
from pathlib import Path

import pytest

from cleartill.telemetry.datadog.assets import Asset, Unreadable, expressions, load
from cleartill.telemetry.datadog.query import MetricQuery


def test_files_come_in_the_order_in_which_they_refer_to_each_other(tmp_path: Path, assets: tuple[Asset, ...]) -> None:
    for asset in assets:
        (tmp_path / asset.file).parent.mkdir(exist_ok=True)
        (tmp_path / asset.file).write_text(json.dumps(asset.document))

    assert load(tmp_path) == assets
    assert [asset.name for asset in load(tmp_path)] == [
        "Events in time", "Bank slow: {{provider.name}}", "Events burn", "Cleartill", "cleartill",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "entity.datadog.json: Expecting"),
        ("[]", "one JSON object expected"),
        ('{"a": 1, "a": 2}', r"\['a'\] more than once"),
    ],
)
def test_a_file_that_is_not_one_object_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "entity.datadog.json").write_text(text)

    with pytest.raises(Unreadable, match=why):
        load(tmp_path)


def test_every_query_is_named_by_its_place(assets: tuple[Asset, ...]) -> None:
    found = {f"{asked.file} {asked.path}": asked for asset in assets for asked in expressions(asset)}

    request = "dashboards/all.json .widgets[0].definition.requests[0]"
    assert list(found) == [
        "slos/events.json .query.numerator",
        "slos/events.json .query.denominator",
        "monitors/bank_slow.json .query",
        "monitors/events_burn.json .query",
        f"{request}.formulas[0].formula",
        f"{request}.queries[0].query",
        f"{request}.queries[1].query",
        "dashboards/all.json .widgets[1].definition.widgets[3].definition.requests[0].q",
    ]
    assert found[f"{request}.formulas[0].formula"].names == {"failed", "all"}
    assert found["monitors/events_burn.json .query"].metric_queries() == ()
    assert [query.metric for query in found["slos/events.json .query.numerator"].metric_queries()] == [
        "cleartill.payment.count"
    ]


def test_queries_of_a_time_slice_and_of_a_raw_distribution_are_found() -> None:
    overhead = {"data_source": "metrics", "name": "overhead", "query": "p99:cleartill.payment.overhead{*}"}
    asked = {"formulas": [{"formula": "overhead"}], "queries": [overhead]}
    slo = Asset("slo", "slos/overhead.json", {"sli_specification": {"time_slice": {"query": asked}}})
    raw = {**overhead, "query": "histogram:cleartill.payment.overhead{*}"}
    heat = Asset("dashboard", "dashboards/a.json", {"widgets": [{"definition": {"requests": [{"query": raw}]}}]})

    assert [asked.text for asked in expressions(slo)] == ["overhead", "p99:cleartill.payment.overhead{*}"]
    assert [asked.parsed() for asked in expressions(heat)] == [MetricQuery("histogram", "cleartill.payment.overhead")]
