"""Each round of a background worker says what became of it, so that one that fails or hangs is no secret."""

import asyncio

import pytest

from cleartill import workers
from cleartill.domain.errors import BooksUnavailable
from cleartill.ports import Till
from cleartill.workers import Worker, work
from fakes import World


async def test_every_round_is_told_with_its_outcome_its_failures_in_a_row_and_the_pause_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, stop = World(), asyncio.Event()
    rounds = iter([3, BooksUnavailable(), BooksUnavailable(), 0])

    async def turn(_till: Till, _owner: str) -> int:
        answer = next(rounds)
        if isinstance(answer, Exception):
            raise answer
        if answer == 0:
            stop.set()
        return answer

    monkeypatch.setattr(workers, "WORKERS", (Worker("turn", turn, 0.001),))
    await asyncio.wait_for(work(world.till, "me", stop), 20)

    said = [(name, value, tags) for name, value, tags in world.watch.seen if tags.get("worker") == "turn"]
    told = {name: [value for each, value, _ in said if each == name] for name, _, _ in said}
    outcomes = [tags["outcome"] for name, _, tags in said if name == "worker.round"]
    assert outcomes == ["done", "failed", "failed", "idle"]
    assert told["worker.done"] == [3]
    assert told["worker.failing"] == [0, 1, 2, 0]
    assert (told["worker.next_s"][0], told["worker.next_s"][3]) == (0, 0.001)
    assert len(told["worker.latency"]) == 3, "one for each round that was not idle"


async def test_a_round_that_did_less_than_it_could_is_told_and_a_pause_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    world, stop = World(), asyncio.Event()
    rounds = iter([10, 9])

    async def turn(_till: Till, _owner: str) -> int:
        done = next(rounds, None)
        if done is None:
            stop.set()
        return done or 0

    monkeypatch.setattr(workers, "WORKERS", (Worker("turn", turn, 0.001, full=10),))
    await asyncio.wait_for(work(world.till, "me", stop), 20)

    said = [(name, value) for name, value, tags in world.watch.seen if tags.get("worker") == "turn"]
    assert [value for name, value in said if name == "worker.done"] == [10, 9]
    assert [value for name, value in said if name == "worker.next_s"] == [0, 0.001, 0.001]
