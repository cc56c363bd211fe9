"""Histograms: a percentile is as near as promised, and merging is as if one had seen it all."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain.histogram import BUCKETS, ERROR, LEAST_MS, MOST_MS, Histogram, merged

LATENCIES = st.floats(LEAST_MS, MOST_MS)
ANY = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
ROUNDING = 1e-9


def of(values: list[float]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


@given(st.lists(LATENCIES, min_size=1), st.floats(0, 100))
def test_a_percentile_is_near_the_value_of_that_rank(values: list[float], percent: float) -> None:
    found = of(values).percentile(percent)
    true = sorted(values)[max(1, ceil(len(values) * percent / 100)) - 1]
    assert found is not None
    assert abs(found - true) <= true * (ERROR + ROUNDING)


@given(st.lists(st.lists(LATENCIES), max_size=5))
def test_merged_is_as_if_one_had_seen_it_all(parts: list[list[float]]) -> None:
    together, at_once = merged(of(part) for part in parts), of([value for part in parts for value in part])
    assert (together.counts, together.total) == (at_once.counts, at_once.total)
    assert abs(together.sum_ms - at_once.sum_ms) <= at_once.sum_ms * ROUNDING


@given(st.lists(LATENCIES))
def test_what_is_written_is_read(values: list[float]) -> None:
    made = of(values)
    again = Histogram.read(made.written())
    assert (again.counts, again.total) == (made.counts, made.total)
    assert abs(again.sum_ms - made.sum_ms) <= 1e-6


@given(st.lists(ANY))
def test_its_size_is_bounded_whatever_is_put_in(values: list[float]) -> None:
    made = of(values)
    assert all(0 <= index < BUCKETS for index in made.counts)
    assert made.sum_ms >= 0


def test_merging_changes_only_the_one() -> None:
    one, other = of([1.0]), of([2.0])
    copied = one.copy()
    one.merge(other)
    assert (one.total, other.total, copied.total) == (2, 1, 1)
    assert one.sum_ms == 3.0


def test_of_nothing_there_is_no_percentile() -> None:
    assert Histogram().percentile(99) is None
