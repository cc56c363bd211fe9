"""The Minutes port: rows replace themselves, never go back, are read by time and forgotten by age; on fake and real."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.adapters.postgres.minutes import PostgresMinutes
from cleartill.domain.histogram import Histogram
from cleartill.domain.minute import MINUTE, Minute, minute_of
from cleartill.ports import Minutes, SystemClock
from fakes.minutes import FakeMinutes
from real import open_room, rows

NOW = minute_of(datetime.now(UTC))


@dataclass
class Shelf:
    minutes: Minutes
    grow_old: Callable[[float], Awaitable[None]]
    """All that was written was written so many seconds earlier."""


@pytest.fixture(params=["fake", "postgres"])
async def shelf(request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    if request.param == "fake":
        fake = FakeMinutes(SystemClock())  # type: ignore[arg-type]

        async def age(seconds: float) -> None:
            for key, (minute, at) in fake.rows.items():
                fake.rows[key] = (minute, at - timedelta(seconds=seconds))

        yield Shelf(fake, age)
        return
    url = request.getfixturevalue("database_url")
    async with open_room(url) as room:

        async def make_old(seconds: float) -> None:
            change = "UPDATE minutes SET written_at = written_at - interval '1 second' * %s"
            await asyncio.to_thread(rows, url, change, seconds)

        yield Shelf(PostgresMinutes(room.pool), make_old)


def minute(number: int = 1, instance: str = "prc_1", at: datetime = NOW, revision: int = 1) -> Minute:
    latency = Histogram()
    for value in (0.5, 12.25, 12.5, 9_000):
        latency.add(value)
    counts = {"books.conflict": float(number), "payment.amount|currency=USD|status=captured": 999_999_999_999.0 * 1_000}
    made = Minute(instance, number, "api", at, NOW, NOW, revision, counts, {"hop|name=books.record": latency})
    made.gauges = {"breaker.state|provider=bank": (2.0, NOW.timestamp() + 0.125)}
    return made


async def all_of(shelf: Shelf) -> list[Minute]:
    return await shelf.minutes.since(NOW - timedelta(days=99), NOW - timedelta(days=99))


async def test_what_is_written_is_read(shelf: Shelf) -> None:
    written = minute()
    await shelf.minutes.write([written])
    (read,) = await all_of(shelf)
    for name in ("instance", "number", "role", "minute", "started_at", "began_at", "revision", "counts", "gauges"):
        assert getattr(read, name) == getattr(written, name), name
    (latency,) = read.latencies.values()
    assert latency.written() == written.latencies["hop|name=books.record"].written()
    assert 0 <= read.age_s < 60


async def test_a_later_revision_replaces_a_row_and_an_earlier_one_does_not(shelf: Shelf) -> None:
    for revision, conflicts in ((1, 1.0), (3, 3.0), (2, 2.0), (3, 99.0)):
        one = minute(revision=revision)
        one.counts = {"books.conflict": conflicts}
        await shelf.minutes.write([one])
    (read,) = await all_of(shelf)
    assert (read.revision, read.counts) == (3, {"books.conflict": 3.0})


async def test_two_processes_and_a_minute_that_comes_twice_are_rows_of_their_own(shelf: Shelf) -> None:
    await shelf.minutes.write([minute(1), minute(2), minute(1, "prc_2")])
    assert {(one.instance, one.number) for one in await all_of(shelf)} == {("prc_1", 1), ("prc_1", 2), ("prc_2", 1)}


async def test_newest_first_from_a_time_on_and_latencies_where_they_are_wanted(shelf: Shelf) -> None:
    await shelf.minutes.write([minute(number, at=NOW - number * MINUTE) for number in range(1, 6)])
    read = await shelf.minutes.since(NOW - 4 * MINUTE, NOW - 2 * MINUTE)
    assert [one.number for one in read] == [1, 2, 3, 4]
    assert [bool(one.latencies) for one in read] == [True, True, False, False]
    assert all(one.counts for one in read)


async def test_the_old_are_forgotten_a_few_at_a_time(shelf: Shelf) -> None:
    await shelf.minutes.write([minute(number, at=NOW - timedelta(days=20) + number * MINUTE) for number in range(1, 6)])
    await shelf.grow_old(20 * 86_400)
    await shelf.minutes.write([minute(6)])
    assert [await shelf.minutes.forget(14 * 86_400, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert [one.number for one in await all_of(shelf)] == [6]


async def test_a_wrong_clock_makes_nothing_old(shelf: Shelf) -> None:
    """What was written now stays, whatever minute its process believed it to be."""
    await shelf.minutes.write([minute(at=NOW - timedelta(days=20))])
    assert await shelf.minutes.forget(14 * 86_400, 10) == 0
