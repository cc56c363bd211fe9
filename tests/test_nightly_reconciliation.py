"""The worker's line for reconciliation: it never spins, never fails its worker, and ends when told to."""

import asyncio
import logging
from typing import Any

import pytest

from cleartill.domain.invariants import NumberedFacts
from cleartill.workers import _reconcile
from fakes import World

DAY_S = 24 * 3600.0


async def test_a_night_that_finds_something_says_so(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.audits.pages["subjects"] = [[NumberedFacts("merchant_123", "merchant_123", 2, 1, 1, 1)]]
    assert await _reconcile(world.till, "worker", asyncio.Event()) == 0
    assert [record.message for record in caplog.records] == ["reconciliation 1 found 1 discrepancies, 1 of them new"]


async def test_a_clean_night_and_one_that_is_not_due_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    for _ in range(2):
        assert await _reconcile(world.till, "worker", asyncio.Event()) == 0
    assert (len(world.audits.ended), caplog.records) == (1, [])


async def test_a_bank_that_is_away_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.providers.refused.add("bank")
    assert await _reconcile(world.till, "worker", asyncio.Event()) == 0
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_it_is_cut_short_when_told_to_stop() -> None:
    world, stop = World(), asyncio.Event()

    async def slow(since: Any) -> None:
        stop.set()
        await asyncio.sleep(60)

    world.bank.statement = slow  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        assert await _reconcile(world.till, "worker", stop) == 0
    assert world.audits.ended == [(None, frozenset())]
