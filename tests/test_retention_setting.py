"""How long the old is kept: by setting, never for less than reconciliation relies on; and a worker sees to it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from cleartill.adapters.postgres.reconciliation import EVENTS_KEPT_S
from cleartill.domain.key_invariants import KEYS_KEPT
from cleartill.domain.retention import KEPT, Perishable
from cleartill.settings import Settings
from cleartill.wiring import _kept
from cleartill.workers import work
from fakes import World
from fakes.steps import Steps


def settings(**other: Any) -> Settings:
    return Settings(_env_file=None, **other)  # type: ignore[call-arg]


def test_the_defaults_are_the_same_with_and_without_settings() -> None:
    assert _kept(settings()) == KEPT


def test_events_and_deliveries_are_kept_by_setting() -> None:
    kept = _kept(settings(outbox_kept_days=3, deliveries_kept_days=90))
    assert kept == {**KEPT, Perishable.EVENTS: timedelta(days=3), Perishable.DELIVERIES: timedelta(days=90)}


@pytest.mark.parametrize("name", ["outbox_kept_days", "deliveries_kept_days"])
@pytest.mark.parametrize("days", [0, -1, 3651])
def test_nobody_keeps_nothing(name: str, days: int) -> None:
    with pytest.raises(ValidationError, match=name):
        settings(**{name: days})


def test_nothing_goes_while_reconciliation_looks_for_it() -> None:
    least = _kept(settings(outbox_kept_days=1))
    assert least[Perishable.EVENTS] >= timedelta(seconds=EVENTS_KEPT_S)
    assert least[Perishable.IDEMPOTENCY_KEYS] >= KEYS_KEPT


async def test_a_worker_purges(monkeypatch: pytest.MonkeyPatch) -> None:
    world, stop = World(), asyncio.Event()
    await Steps(world.till).charge("k")
    world.clock.advance(2 * 24 * 3600)
    purge = world.retention.purge

    async def stopping(*asked: Any) -> Any:
        stop.set()
        return await purge(*asked)

    monkeypatch.setattr(world.retention, "purge", stopping)
    async with asyncio.timeout(30):
        await work(world.till, "worker", stop)
    assert world.memory.claims == {}
