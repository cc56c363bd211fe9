"""The writer rests after a batch of several, and never for long."""

import asyncio
import time

import pytest

from cleartill.adapters.postgres.pace import ENOUGH, REST_MAX_S, Pace
from cleartill.ports import Verdict
from real import Room, intent, rows


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


@pytest.mark.parametrize(
    ("units", "took_s", "rest_s"),
    [(1, 0.003, 0.0), (2, 0.003, 0.0015), (3, 0.003, 0.003), (128, 0.003, 0.003), (128, 9.0, REST_MAX_S)],
)
def test_it_rests_for_as_long_as_several_took(now: list[float], units: int, took_s: float, rest_s: float) -> None:
    pace = Pace()
    pace.wrote(units, took_s)
    assert pace.rest_s(1) == pytest.approx(rest_s, abs=1e-9)
    now[0] += rest_s
    assert pace.rest_s(1) == 0.0


def test_it_does_not_rest_when_enough_wait_or_before_anything_was_written(now: list[float]) -> None:
    pace = Pace()
    assert pace.rest_s(1) == 0.0
    pace.wrote(3, 0.003)
    assert pace.rest_s(ENOUGH) == 0.0
    assert pace.rest_s(ENOUGH - 1) > 0.0


async def test_what_comes_while_the_writer_rests_is_written_together(
    room: Room, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of them alone would begin a batch: its link is free, and nothing else waits."""
    rest_s, all_there, sleep = 0.0123, asyncio.Event(), asyncio.sleep
    monkeypatch.setattr(room.writer._pace, "rest_s", lambda waiting: 0.0 if all_there.is_set() else rest_s)
    monkeypatch.setattr(asyncio, "sleep", lambda s: all_there.wait() if s == rest_s else sleep(s))
    units = [intent() for _ in range(5)]

    asked = [asyncio.create_task(room.books.record(units[0]))]
    await sleep(0.02)
    asked += [asyncio.create_task(room.books.record(unit)) for unit in units[1:]]
    await sleep(0)
    all_there.set()

    assert set(await asyncio.gather(*asked)) == {Verdict.RECORDED}
    assert len({unit.stamps["batch_id"] for unit in units}) == 1
    assert rows(database_url, "SELECT count(*) FROM transactions") == [(5,)]
