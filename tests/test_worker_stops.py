"""A worker that is told to stop finishes a round under way, but does not wait for it without end."""

import asyncio
import logging

import pytest
from pydantic import ValidationError

from cleartill import workers
from cleartill.ports import Till
from cleartill.settings import Settings
from cleartill.workers import Worker, work
from fakes import World


@pytest.mark.parametrize(("drain_s", "finished"), [(30.0, True), (0.01, False)])
async def test_a_round_under_way_is_finished_in_time_or_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, drain_s: float, finished: bool
) -> None:
    begun, may_end, ended, stop = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long(_till: Till, _owner: str) -> int:
        begun.set()
        await may_end.wait()
        ended.set()
        return 0

    monkeypatch.setattr(workers, "WORKERS", (Worker("long", long, 0.01),))
    caplog.set_level(logging.WARNING)
    working = asyncio.create_task(work(World().till, "me", stop, drain_s))
    await begun.wait()
    stop.set()
    if finished:
        await asyncio.sleep(0)
        may_end.set()
    await working
    assert ended.is_set() == finished
    assert ("another worker goes on" in caplog.text) != finished


def test_the_grace_is_a_part_of_the_drain() -> None:
    with pytest.raises(ValidationError, match="DRAIN_GRACE_S"):
        Settings(_env_file=None, drain_s=2, drain_grace_s=2)  # type: ignore[call-arg]
