"""Purge: what it asks for, how far a round goes, and what a failure keeps from being purged."""

from datetime import timedelta

import pytest

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.retention import KEPT, Perishable
from cleartill.usecases import purge as purging
from cleartill.usecases.purge import BATCHES, Sweep, purge
from fakes import World
from fakes.steps import Steps

KEYS = Perishable.IDEMPOTENCY_KEYS


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two, without a pause."""
    monkeypatch.setattr(purging, "BATCH", 2)
    monkeypatch.setattr(purging, "PAUSE_S", 0.0)


async def keys(world: World, number: int) -> None:
    for one in range(number):
        await Steps(world.till).charge(f"k{one}")
        world.clock.advance(1)
    world.clock.advance(2 * 24 * 3600)


async def test_every_kind_is_looked_through_and_what_went_is_counted(world: World) -> None:
    await keys(world, 3)
    assert await purge(world.till, Sweep()) == 0
    assert world.memory.claims == {}
    assert {what for what, _ in world.retention.asked} == set(Perishable)
    counted = [(value, tags) for name, value, tags in world.watch.seen if name == "retention.purged"]
    assert counted == [(2, {"what": "idempotency_keys"}), (1, {"what": "idempotency_keys"})]


async def test_each_kind_is_kept_for_as_long_as_was_set(world: World) -> None:
    await keys(world, 1)
    world.till.kept = {**KEPT, KEYS: timedelta(days=3)}
    await purge(world.till, Sweep())
    assert len(world.memory.claims) == 1
    world.clock.advance(24 * 3600 + 60)
    await purge(world.till, Sweep())
    assert world.memory.claims == {}


async def test_a_round_ends_and_the_next_goes_on_behind_it(world: World) -> None:
    await keys(world, 2 * BATCHES + 3)
    sweep = Sweep()
    assert await purge(world.till, sweep) == len(Perishable)
    assert len(world.memory.claims) == 3
    places = [beyond for what, beyond in world.retention.asked if what is KEYS]
    assert places[0] is None
    assert places[1:] == sorted(places[1:], key=str)

    assert await purge(world.till, sweep) == 0
    assert world.memory.claims == {}
    assert None not in [beyond for what, beyond in world.retention.asked[BATCHES:] if what is KEYS]


async def test_after_the_last_kind_it_begins_anew(world: World) -> None:
    sweep = Sweep()
    assert await purge(world.till, sweep) == 0
    await keys(world, 1)
    assert await purge(world.till, sweep) == 0
    assert world.memory.claims == {}


async def test_what_cannot_be_purged_keeps_nothing_else_from_it(world: World) -> None:
    await keys(world, 1)
    for away in Perishable:
        world.retention.asked.clear()
        world.retention.away = {away}
        with pytest.raises(BooksUnavailable):
            await purge(world.till, Sweep())
        assert {what for what, _ in world.retention.asked} == set(Perishable)


async def test_what_failed_is_tried_again_in_the_next_sweep(world: World) -> None:
    await keys(world, 1)
    sweep = Sweep()
    world.retention.away = {KEYS}
    with pytest.raises(BooksUnavailable):
        await purge(world.till, sweep)
    world.retention.away = set()
    for _ in range(2):
        await purge(world.till, sweep)
    assert world.memory.claims == {}


async def test_it_rests_as_long_as_a_batch_took(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await keys(world, 5)
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(round(seconds, 3))

    slow = world.retention.purge
    took = iter([0.0, 0.25, 60.0, *[0.0] * 10])

    async def slowly(*asked: object) -> object:
        world.clock.advance(next(took))
        return await slow(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(purging, "PAUSE_S", 0.02)
    monkeypatch.setattr(purging.asyncio, "sleep", rest)
    monkeypatch.setattr(world.retention, "purge", slowly)
    await purge(world.till, Sweep())
    assert rests == [0.02, 0.25]
