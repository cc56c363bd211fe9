"""Breakers shared over a real Valkey, and what is left of them when it is killed."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.exceptions import RedisError

from cleartill.adapters import redis
from cleartill.adapters.redis import RedisBreakers
from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Outcome, Unknown
from cleartill.embedded.scratch import free_port, scratch_dir
from cleartill.embedded.valkey import EmbeddedValkey
from cleartill.ports import Authorization, NoWatch, SystemClock
from cleartill.providers.guard import Guard

pytestmark = pytest.mark.enable_socket

PATIENCE_S = 20.0
OPEN_S = 30.0
CARD = Card(Pan("4111111111111111"), 1, 2031, Cvv("123"), Secret("A"))
ASK = Authorization("pay_1.authorize.1", "pay_1", 100, "EUR", CARD, True, datetime(2030, 1, 1, tzinfo=UTC))


class Counts(NoWatch):
    def __init__(self) -> None:
        self.degraded = 0

    def count(self, name: str, value: float = 1, **tags: str) -> None:
        self.degraded += name == "breaker.degraded"


class Fickle:
    """A provider that is silent until it is told to be well."""

    name, prepares, needs_card = "bank", False, True
    well = False

    async def authorize(self, _: Authorization) -> Outcome:
        return Approved("bnk_1") if self.well else Unknown("timeout")

    capture = void = refund = lookup = ping = None


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is no Redis that is away."""
    monkeypatch.setattr(redis, "TIMEOUT_S", 0.5)


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with scratch_dir() as home, EmbeddedValkey(home, free_port()) as server:
        yield server


@pytest.fixture
def watch() -> Counts:
    return Counts()


@pytest.fixture
async def breakers(valkey: EmbeddedValkey, watch: Counts) -> AsyncIterator[RedisBreakers]:
    adapter = RedisBreakers(valkey.url, watch)
    yield adapter
    await adapter.close()


def guard(provider: Any, breakers: RedisBreakers, open_s: float = OPEN_S) -> Guard:
    return Guard(
        {"bank": provider},
        in_flight=8,
        failures=2,
        open_s=open_s,
        breakers=breakers,
        watch=NoWatch(),
        clock=SystemClock(),
    )


async def pay(guard: Guard) -> Outcome:
    async with guard.permit("bank", time.monotonic() + 5) as provider:
        return await provider.authorize(ASK)


async def refuses(guard: Guard) -> bool:
    try:
        async with guard.permit("bank", time.monotonic() + 5):
            return False
    except ProviderUnavailable:
        return True


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def kill(valkey: EmbeddedValkey) -> None:
    os.kill(valkey.process.pid, signal.SIGKILL)
    valkey.process.wait(PATIENCE_S)


async def test_what_is_opened_is_open_for_its_time_and_closed_at_a_word(breakers: RedisBreakers) -> None:
    assert await breakers.open_until("bank") is None
    await breakers.opened("bank", 30.0)
    left_s = await breakers.open_until("bank")
    assert left_s is not None
    assert 0 < left_s <= 30.0
    assert await breakers.open_until("stripe") is None
    await breakers.closed("bank")
    assert await breakers.open_until("bank") is None


async def test_an_opening_ends_by_itself(breakers: RedisBreakers) -> None:
    await breakers.opened("bank", 0.001)

    async def over() -> bool:
        return await breakers.open_until("bank") is None

    await eventually(over)


async def test_two_processes_share_what_is_open(valkey: EmbeddedValkey) -> None:
    async with AsyncExitStack() as stack:
        guards = []
        for _ in range(2):
            adapter = RedisBreakers(valkey.url)
            stack.push_async_callback(adapter.close)
            guards.append(guard(Fickle(), adapter))
            await guards[-1].start()
            stack.push_async_callback(guards[-1].close)
        one, other = guards
        for _ in range(2):
            assert not await refuses(other)
            await pay(one)
        assert await refuses(one)
        await eventually(lambda: refuses(other))


async def test_the_process_that_recovers_says_so(breakers: RedisBreakers) -> None:
    provider = Fickle()
    one = guard(provider, breakers, open_s=0.5)
    await one.start()
    for _ in range(2):
        await pay(one)
    provider.well = True

    async def recovered() -> bool:
        return not await refuses(one) and await pay(one) == Approved("bnk_1")

    async def unshared() -> bool:
        return await breakers.open_until("bank") is None

    await eventually(recovered)
    await eventually(unshared)
    await one.close()


async def test_with_valkey_killed_nothing_raises_and_it_is_said(
    valkey: EmbeddedValkey, breakers: RedisBreakers, watch: Counts
) -> None:
    await breakers.opened("bank", 30.0)
    await breakers.ping()
    kill(valkey)
    assert await breakers.open_until("bank") is None
    await breakers.opened("bank", 30.0)
    await breakers.closed("bank")
    assert watch.degraded == 3
    with pytest.raises((RedisError, OSError)):
        await breakers.ping()


async def test_a_valkey_that_hangs_is_given_up(valkey: EmbeddedValkey, breakers: RedisBreakers, watch: Counts) -> None:
    await breakers.opened("bank", 30.0)
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await breakers.open_until("bank") is None
        assert watch.degraded == 1
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)


async def test_with_valkey_killed_every_process_goes_on_by_itself(
    valkey: EmbeddedValkey, breakers: RedisBreakers, watch: Counts
) -> None:
    alone = guard(Fickle(), breakers)
    await alone.start()
    kill(valkey)

    async def noticed() -> bool:
        return watch.degraded > 0

    await eventually(noticed)
    for _ in range(2):
        assert await pay(alone) == Unknown("timeout")
    assert await refuses(alone)
    await alone.close()
