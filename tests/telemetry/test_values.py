"""The closed sets are those of the tags there are, and of what is emitted."""

import itertools

from cleartill.domain.card import BRANDS, Pan
from cleartill.telemetry.catalog import METRICS
from cleartill.telemetry.values import _EVERYWHERE, _OF_ONE, values_of


def test_every_closed_set_is_of_a_tag_that_the_catalogue_has() -> None:
    assert [(metric, tag) for metric, tag in _OF_ONE if tag not in METRICS[metric].tags] == []
    assert _EVERYWHERE.keys() <= set(itertools.chain.from_iterable(metric.tags for metric in METRICS.values()))
    assert all({*_OF_ONE.values(), *_EVERYWHERE.values()})


def test_values_are_in_lower_case_as_datadog_keeps_them() -> None:
    for values in (*_OF_ONE.values(), *_EVERYWHERE.values()):
        assert values == {value.lower() for value in values}


def test_open_sets_are_open_and_tags_of_other_metrics_have_none() -> None:
    assert values_of("payment.count", "provider") is None
    assert values_of("http.request", "route") is None
    assert values_of("outbox.pending", "in_time") is None
    assert values_of("payment.decided", "in_time") == {"yes", "no"}
    assert values_of("payment.count", "status") != values_of("refund.count", "status")


def test_brands_are_those_that_a_card_can_be_of() -> None:
    assert {Pan("4242424242424242").brand, Pan("378282246310005").brand} <= set(BRANDS)
    assert Pan("9999999999999995").brand == "unknown" in BRANDS
