"""The minutes of a process: what is counted is in them, once, whatever the clock and the database do."""

import asyncio
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest

from cleartill.domain.minute import Minute, Sums, minute_of, name_and_tags, series
from cleartill.telemetry import minutes as recording
from cleartill.telemetry.catalog import METRICS
from cleartill.telemetry.metrics import Metrics
from cleartill.telemetry.minutes import COUNTED, SERIES_MAX, SHOWN, TIMED, WAITING_MAX, MinuteRecorder
from fakes import FakeClock
from fakes.minutes import FakeMinutes


class Office:
    """A recorder, its clock and the table it writes to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table = FakeMinutes(self.clock)
        self.process = self.begin()

    def begin(self) -> MinuteRecorder:
        made = MinuteRecorder("api", self.clock)
        made._port = self.table
        return made

    def rows(self) -> list[Minute]:
        return [minute for minute, _ in self.table.rows.values()]

    def conflicts(self) -> int:
        return Sums(self.rows()).count("books.conflict")


@pytest.fixture
def office() -> Office:
    return Office()


def test_what_it_keeps_is_in_the_catalogue() -> None:
    for name, tags in (COUNTED | TIMED).items():
        assert set(tags) <= METRICS[name].tags, name
    assert {METRICS[name].kind for name in TIMED} == {"distribution"}
    sampled = {name for name in SHOWN if METRICS[name].kind != "gauge"}
    assert sampled == {"guard.inflight", "worker.failing", "worker.next_s"}


async def test_a_minute_is_one_row_however_often_it_is_written(office: Office) -> None:
    for _ in range(12):
        office.process.count("books.conflict", 1, {})
        await office.process.write()
        office.clock.advance(4.9)
    (row,) = office.rows()
    assert (row.minute, row.counts) == (minute_of(office.clock.now()), {"books.conflict": 12})


async def test_the_next_minute_is_another_row(office: Office) -> None:
    office.process.count("books.conflict", 1, {})
    await office.process.write()
    office.clock.advance(60)
    await office.process.write()
    office.process.count("books.conflict", 1, {})
    await office.process.write()
    assert [(row.number, row.counts.get("books.conflict")) for row in office.rows()] == [(1, 1), (2, 1)]
    assert office.rows()[1].minute - office.rows()[0].minute == timedelta(minutes=1)


@pytest.mark.parametrize("step_s", [-3600, -60, -1, 3600, 0.5])
async def test_a_clock_that_is_set_counts_nothing_twice_and_loses_nothing(office: Office, step_s: float) -> None:
    for _ in range(6):
        office.process.count("books.conflict", 1, {})
        await office.process.write()
        office.clock.advance(step_s)
        await office.process.write()
    assert office.conflicts() == 6


async def test_a_restart_begins_rows_of_its_own(office: Office) -> None:
    for process in (office.process, office.begin()):
        process.count("books.conflict", 1, {})
        await process.write()
    assert office.conflicts() == 2
    assert len({row.instance for row in office.rows()}) == 2


async def test_an_old_revision_never_replaces_a_newer_one(office: Office) -> None:
    """A statement whose connection was lost may still be under way while the next one is written."""
    office.process.count("books.conflict", 1, {})
    old = office.process._to_write()
    office.process.count("books.conflict", 1, {})
    await office.process.write()
    await office.table.write(old)
    assert office.conflicts() == 2


async def test_while_the_books_are_away_minutes_wait_and_no_more_than_an_hour_of_them(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.table.away = True
    for _ in range(WAITING_MAX + 10):
        await office.process.write()
        office.process.count("books.conflict", 1, {})
        office.clock.advance(60)
    assert office.rows() == []
    assert len(caplog.records) == 1, "said once, not every five seconds"

    office.table.away = False
    await office.process.write()
    assert office.conflicts() == WAITING_MAX
    await office.process.write()
    assert office.conflicts() == WAITING_MAX
    assert not office.process._ended


async def test_whatever_goes_wrong_while_writing_stays_there(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(office.table, "write", broken)
    await office.process.write()


async def test_the_end_writes_what_was_counted_last_and_does_not_wait_for_ever(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.process.start(office.table)
    office.process.count("books.conflict", 1, {})
    await office.process.close()
    assert office.conflicts() == 1

    async def hang(_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(office.table, "write", hang)
    monkeypatch.setattr(recording, "LAST_WORDS_S", 0.01)
    await office.process.close()


async def test_it_writes_by_itself(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    written, keep = asyncio.Event(), office.table.write

    async def write(rows: Any) -> None:
        await keep(rows)
        written.set()

    monkeypatch.setattr(office.table, "write", write)
    monkeypatch.setattr(recording, "WRITE_EVERY_S", 0.001)
    office.process.count("books.conflict", 1, {})
    office.process.start(office.table)
    async with asyncio.timeout(10):
        await written.wait()
    assert office.conflicts() == 1
    await office.process.close()


async def test_series_are_bounded_and_sums_stay_right(office: Office) -> None:
    many = SERIES_MAX + 100
    for number in range(many):
        office.process.count(
            "provider.call", 1, {"provider": f"p{number}", "operation": "authorize", "outcome": "approved"}
        )
        office.process.observe("provider.latency", 1.0, {"provider": f"p{number}"})
        office.process.gauge("guard.inflight", 1, {"provider": f"p{number}"})
    await office.process.write()
    (row,) = office.rows()
    assert max(len(row.counts), len(row.latencies)) <= SERIES_MAX + 1
    assert len(row.gauges) <= SERIES_MAX
    assert Sums([row]).count("provider.call") == many
    assert Sums([row]).latency("provider.latency").total == many


def test_threads_lose_no_count_while_rows_are_taken(office: Office) -> None:
    """The writer's thread and the pool's count too, and new series come while the row is copied."""

    def busy() -> None:
        for number in range(2_000):
            office.process.count("books.conflict", 1, {})
            office.process.observe("provider.latency", 1.0, {"provider": f"p{number % 500}"})

    taken: dict[int, Minute] = {}
    patience = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            taken.update((row.number, row) for row in office.process._to_write())
            office.clock.advance(60)
    finally:
        sys.setswitchinterval(patience)
    taken.update((row.number, row) for row in office.process._to_write())
    sums = Sums(taken.values())
    assert (sums.count("books.conflict"), sums.latency("provider.latency").total) == (8_000, 8_000)


def test_without_a_sink_the_minutes_hear_of_it_all_the_same(office: Office) -> None:
    watch = Metrics(None, strict=False, minutes=office.process)
    watch.count("http.request", route="GET /", status="404")
    watch.observe("payment.latency", 12.5, provider="bank", status="captured")
    watch.gauge("breaker.state", 2, provider="bank")
    watch.count("books.batch.size", 1)
    (row,) = office.process._to_write()
    assert row.counts == {"http.request|status=4xx": 1, "payment.latency|provider=bank|status=captured": 1}
    assert row.latencies.keys() == {"payment.latency|provider=bank|status=captured"}
    assert [value for value, _ in row.gauges.values()] == [2]


async def test_a_payments_hops_are_timed(stage: Any, office: Office) -> None:
    office.process.render(await stage.visit())
    (row,) = office.process._to_write()
    hops = {name_and_tags(key)[1]["name"]: one.total for key, one in row.latencies.items()}
    assert hops == {"vault.encrypt": 1, "guard.wait": 1, "books.record": 2, "books.batch": 2, "provider.call": 1}


def test_a_series_is_taken_apart_as_it_was_put_together() -> None:
    tags = {"provider": "bank", "outcome": "a=b"}
    assert name_and_tags(series("provider.call", tags.items())) == ("provider.call", tags)
    assert series("x", [("b", "1"), ("a", "2")]) == series("x", [("a", "2"), ("b", "1")])
