"""Rate limits over a real Valkey: exact among processes, and kept in each process alone when it is away."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis.asyncio import Redis

from cleartill.adapters import redis_limits
from cleartill.adapters.redis_limits import RedisLimiter
from cleartill.embedded.scratch import free_port, scratch_dir
from cleartill.embedded.valkey import EmbeddedValkey
from cleartill.ports import NoWatch, Quota, Standing

PATIENCE_S = 20.0
HUNDRED = Quota("global", 100)


class Counts(NoWatch):
    def __init__(self) -> None:
        self.degraded = 0.0

    def count(self, name: str, value: float = 1, **tags: str) -> None:
        assert name == "ratelimit.degraded"
        self.degraded += value


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy is no Redis that is away."""
    monkeypatch.setattr(redis_limits, "TIMEOUT_S", 0.5)


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with scratch_dir() as home, EmbeddedValkey(home, free_port()) as server:
        yield server


@pytest.fixture
def watch() -> Counts:
    return Counts()


@pytest.fixture
async def limiter(valkey: EmbeddedValkey, watch: Counts) -> AsyncIterator[RedisLimiter]:
    made = RedisLimiter(valkey.url, watch)
    yield made
    await made.close()


@pytest.fixture
async def other(valkey: EmbeddedValkey) -> AsyncIterator[RedisLimiter]:
    """Another process."""
    made = RedisLimiter(valkey.url)
    yield made
    await made.close()


async def crowd(limiter: RedisLimiter, count: int, quota: Quota = HUNDRED, whose: str = "m_1") -> list[Standing]:
    return await asyncio.gather(*(limiter.take(quota, whose) for _ in range(count)))


def allowed(standings: list[Standing]) -> int:
    return sum(standing.allowed for standing in standings)


async def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def age(valkey: EmbeddedValkey, key: str, seconds: float) -> None:
    """Make the window's entries older than they are."""
    async with Redis.from_url(valkey.url) as redis:
        entries = await redis.lrange(key, 0, -1)
        await redis.delete(key)
        await redis.rpush(key, *(float(entry) - seconds for entry in entries))


async def test_one_after_the_other(limiter: RedisLimiter, watch: Counts) -> None:
    three = Quota("balance", 3)
    standings = [await limiter.take(three, "m_1") for _ in range(5)]
    assert [(standing.allowed, standing.left) for standing in standings] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert all(59 < standing.reset_s <= 60 for standing in standings)
    assert watch.degraded == 0


async def test_a_crowd_is_counted_one_by_one(limiter: RedisLimiter) -> None:
    standings = await crowd(limiter, 150)
    assert [standing.allowed for standing in standings] == [True] * 100 + [False] * 50
    assert [standing.left for standing in standings] == [*range(99, -1, -1), *[0] * 50]


async def test_many_more_than_fit_into_one_question(limiter: RedisLimiter) -> None:
    assert allowed(await crowd(limiter, 1500, Quota("global", 1200))) == 1200


async def test_processes_share_one_window(limiter: RedisLimiter, other: RedisLimiter) -> None:
    async def in_drips(one: RedisLimiter) -> int:
        let_in = 0
        for _ in range(12):
            let_in += allowed(await crowd(one, 9))
        return let_in

    assert sum(await asyncio.gather(*(in_drips(one) for one in (limiter, other) * 2))) == 100


async def test_everybody_has_a_window_of_their_own(limiter: RedisLimiter) -> None:
    one, other, third = await asyncio.gather(
        crowd(limiter, 101), crowd(limiter, 60, whose="m_2"), crowd(limiter, 8, Quota("balance", 7))
    )
    assert (allowed(one), allowed(other), allowed(third)) == (100, 60, 7)


async def test_what_is_a_minute_old_is_forgotten(valkey: EmbeddedValkey, limiter: RedisLimiter) -> None:
    await crowd(limiter, 60)
    await age(valkey, "cleartill:limit:global:100:m_1", 30)
    await crowd(limiter, 40)
    standing = await limiter.take(HUNDRED, "m_1")
    assert not standing.allowed
    assert 25 < standing.reset_s <= 30
    await age(valkey, "cleartill:limit:global:100:m_1", 31)
    assert allowed(await crowd(limiter, 100)) == 60


async def test_a_window_leaves_redis_when_it_is_over(valkey: EmbeddedValkey, limiter: RedisLimiter) -> None:
    await crowd(limiter, 3)
    async with Redis.from_url(valkey.url) as redis:
        assert 0 < await redis.ttl("cleartill:limit:global:100:m_1") <= 60


async def test_a_redis_that_has_forgotten_the_scripts_is_told_again(
    valkey: EmbeddedValkey, limiter: RedisLimiter, watch: Counts
) -> None:
    await crowd(limiter, 60)
    async with Redis.from_url(valkey.url) as redis:
        await redis.script_flush()
    assert allowed(await crowd(limiter, 60)) == 40
    assert watch.degraded == 0


async def test_who_has_hung_up_is_not_counted(limiter: RedisLimiter) -> None:
    gone = [asyncio.ensure_future(limiter.take(HUNDRED, "m_1")) for _ in range(50)]
    await asyncio.sleep(0)
    for one in gone:
        one.cancel()
    assert allowed(await crowd(limiter, 120)) >= 50
    await asyncio.gather(*gone, return_exceptions=True)


async def test_with_valkey_killed_this_process_counts_alone(
    valkey: EmbeddedValkey, limiter: RedisLimiter, watch: Counts
) -> None:
    await crowd(limiter, 10)
    os.kill(valkey.process.pid, signal.SIGKILL)
    valkey.process.wait(PATIENCE_S)
    standings = await crowd(limiter, 150)
    assert [standing.allowed for standing in standings] == [True] * 100 + [False] * 50
    assert [standing.left for standing in standings[:100]] == [*range(99, -1, -1)]
    assert all(59 < standing.reset_s <= 60 for standing in standings)
    assert watch.degraded == 150
    assert not (await limiter.take(HUNDRED, "m_1")).allowed
    assert (await limiter.take(HUNDRED, "m_2")).allowed


async def test_a_valkey_that_was_never_there(watch: Counts) -> None:
    limiter = RedisLimiter(f"redis://127.0.0.1:{free_port()}/0", watch)
    assert allowed(await crowd(limiter, 101)) == 100
    await limiter.close()


async def test_a_valkey_that_hangs_is_asked_once_and_found_again(
    valkey: EmbeddedValkey, limiter: RedisLimiter, watch: Counts
) -> None:
    await crowd(limiter, 90)
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert allowed(await crowd(limiter, 101)) == 100
        asked: list[object] = []
        limiter._enter = asked.append  # type: ignore[assignment,method-assign]
        await crowd(limiter, 5)
        assert not asked, "it is away, and known to be"
        del limiter._enter
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)
    await eventually(lambda: limiter._away is None)
    degraded = watch.degraded
    assert allowed(await crowd(limiter, 20)) <= 10
    assert watch.degraded == degraded
