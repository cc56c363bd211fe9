"""What the evaluator does not know how Datadog would compute, it refuses."""

import pytest

from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import values
from cleartill.telemetry.datadog.query import MonitorQuery, parse_monitor
from cleartill.telemetry.datadog.supported import Unsupported, check


def parsed(query: str) -> MonitorQuery:
    found = parse_monitor(f"{query} > 1")
    assert isinstance(found, MonitorQuery)
    return found


@pytest.mark.parametrize(
    "query",
    [
        "sum(last_1m):sum:cleartill.kafka.failed{*}",  # a rate or a count?
        "avg(last_1m):sum:cleartill.kafka.failed{*}.as_count()",
        "max(last_1m):sum:cleartill.kafka.failed{*}.as_count()",
        "sum(last_1m):avg:cleartill.kafka.failed{*}.as_count()",
        "sum(last_1m):sum:cleartill.kafka.failed{*}.as_count() / sum:cleartill.kafka.produced{*}.as_rate()",
        "sum(last_1m):sum:cleartill.kafka.failed{*}.as_count() / avg:cleartill.outbox.pending{*}",
        "sum(last_1m):sum:cleartill.kafka.failed{*}.as_count().rollup(sum, 60)",
        "avg(last_1m):avg:cleartill.outbox.pending{*}.rollup(max, 60)",
        "avg(last_1m):p95:cleartill.outbox.pending{*}",
        "sum(last_1m):sum:cleartill.outbox.pending{*}.as_count()",
        "avg(last_1m):avg:cleartill.outbox.pending{$env}",
        "sum(last_1m):sum:cleartill.books.commit{*}",
        "sum(last_1m):count:cleartill.books.commit{*}",
        "sum(last_1m):p95:cleartill.books.commit{*}.as_count()",
        "avg(last_1m):avg:cleartill.books.commit{*}.as_rate()",
        "sum(last_1m):sum:cleartill.nobody.knows{*}.as_count()",
        "avg(last_1m):avg:system.cpu.user{*}",
        "sum(last_1m):1 + 1",
        "sum(last_1m):sum:cleartill.provider.call{*} by {provider}.as_count() / "
        "sum:cleartill.provider.call{*} by {outcome}.as_count()",
    ],
)
def test_a_query_beyond_what_is_known(query: str) -> None:
    asked = parsed(query)
    with pytest.raises(Unsupported):
        check(asked)
    with pytest.raises(Unsupported):
        values(asked, Heard(), 0)


def test_a_metric_that_was_sent_as_something_else_than_the_catalogue_says() -> None:
    heard = Heard()
    heard.receive(b"cleartill.kafka.failed:1|g", 100)
    with pytest.raises(Unsupported, match="sent as g"):
        values(parsed("sum(last_1m):sum:cleartill.kafka.failed{*}.as_count()"), heard, 110)


@pytest.mark.parametrize("tags", [b"#outcome:ok", b"#provider:bank,provider:stripe"])
def test_a_series_that_is_in_no_group_or_in_two(tags: bytes) -> None:
    heard = Heard()
    heard.receive(b"cleartill.provider.call:1|c|" + tags, 100)
    with pytest.raises(Unsupported, match="one value for each"):
        values(parsed("sum(last_1m):sum:cleartill.provider.call{*} by {provider}.as_count()"), heard, 110)
