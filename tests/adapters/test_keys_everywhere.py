"""A change of an API key is known at once in every process: caches, listeners and a real PostgreSQL between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from cleartill.adapters.postgres.engine import connect
from cleartill.adapters.postgres.listen import KeyListener
from cleartill.demo import seed_demo
from cleartill.domain.errors import BooksUnavailable, Unauthenticated
from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID, key_prefix, new_key
from cleartill.ports import Till
from cleartill.usecases.authenticate import authenticate
from cleartill.usecases.issue_key import issue_key
from fakes import World
from real import Room, open_room, origin, rows, till_on

PREFIX = key_prefix(DEMO_API_KEY) or ""
PATIENCE_S = 20.0
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'cleartill keys' AND datname = current_database()"


@dataclass
class Process:
    """A till as one API process has it. `asked`: the prefixes that its database was asked for."""

    till: Till
    room: Room
    listener: KeyListener
    asked: list[str] = field(default_factory=list)

    @property
    def hears(self) -> bool:
        return self.room.merchants.cache._hears

    async def lets_in(self, key: str) -> bool:
        try:
            await authenticate(self.till, key)
        except Unauthenticated:
            return False
        return True


@asynccontextmanager
async def process(url: str, world: World, *, listens: bool = True) -> AsyncIterator[Process]:
    async with open_room(url) as room:
        listener = KeyListener(connect(url, name="cleartill keys", pool_size=1), room.merchants.cache)
        made = Process(till_on(room, world), room, listener)
        ask = room.merchants.cache._ask

        async def counted(prefix: str):  # type: ignore[no-untyped-def]
            made.asked.append(prefix)
            return await ask(prefix)

        room.merchants.cache._ask = counted
        if listens:
            listener.start()
            await eventually(lambda: made.hears)
        try:
            yield made
        finally:
            await listener.close()


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        held = holds()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def one(database_url: str, world: World) -> AsyncIterator[Process]:
    async with process(database_url, world) as made:
        await seed_demo(made.till)
        yield made


@pytest.fixture
async def other(one: Process, database_url: str, world: World) -> AsyncIterator[Process]:
    async with process(database_url, world) as made:
        yield made


async def test_a_key_revoked_in_one_process_is_refused_by_the_other_at_once(
    one: Process, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleartill.adapters.postgres.key_cache.REMEMBERED_S", 3600.0)  # it is not time that tells
    key = new_key()
    maker = await authenticate(one.till, DEMO_API_KEY)
    assert not await other.lets_in(key)

    made = await issue_key(
        one.till, maker, merchant_id=DEMO_MERCHANT_ID, name="k", key=key, scopes=tuple(maker.scopes), origin=origin()
    )
    await eventually(lambda: other.lets_in(key))
    asked = len(other.asked)
    assert await other.lets_in(key)
    assert len(other.asked) == asked, "it is remembered"

    await one.till.merchants.revoke_key(DEMO_MERCHANT_ID, made.id, made.created_at, origin())
    assert not await one.lets_in(key)

    async def refused() -> bool:
        return not await other.lets_in(key)

    await eventually(refused)
    assert await other.lets_in(DEMO_API_KEY)


async def test_an_operators_own_update_counts_too(
    one: Process, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleartill.adapters.postgres.key_cache.REMEMBERED_S", 3600.0)
    assert await one.lets_in(DEMO_API_KEY)
    rows(database_url, "UPDATE api_keys SET revoked_at = now() WHERE prefix = %s", PREFIX)

    async def refused() -> bool:
        return not await one.lets_in(DEMO_API_KEY)

    await eventually(refused)


async def test_a_crowd_asks_the_database_once(one: Process) -> None:
    found = await asyncio.gather(*(one.till.merchants.key_of(PREFIX) for _ in range(50)))
    assert {key.merchant_id for key in found if key} == {DEMO_MERCHANT_ID}
    assert one.asked == [PREFIX]


async def test_what_is_remembered_is_not_remembered_for_long(one: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleartill.adapters.postgres.key_cache.REMEMBERED_S", -1.0)
    for _ in range(3):
        assert await one.lets_in(DEMO_API_KEY)
    assert len(one.asked) == 3


async def test_while_nobody_listens_every_request_asks(one: Process, database_url: str, world: World) -> None:
    async with process(database_url, world, listens=False) as deaf:
        assert await deaf.lets_in(DEMO_API_KEY)
        rows(database_url, "UPDATE api_keys SET revoked_at = now() WHERE prefix = %s", PREFIX)
        assert not await deaf.lets_in(DEMO_API_KEY)


async def test_a_lost_connection_is_made_again_and_nothing_old_is_believed(
    one: Process, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleartill.adapters.postgres.key_cache.REMEMBERED_S", 3600.0)
    monkeypatch.setattr("cleartill.adapters.postgres.listen.AGAIN_S", 0.5)
    assert await one.lets_in(DEMO_API_KEY)
    assert rows(database_url, f"SELECT pg_terminate_backend(pid) {LISTENERS}") == [(True,)]
    await eventually(lambda: not one.hears)
    rows(database_url, "UPDATE api_keys SET revoked_at = now() WHERE prefix = %s", PREFIX)
    assert not await one.lets_in(DEMO_API_KEY)
    await eventually(lambda: one.hears)
    assert not await one.lets_in(DEMO_API_KEY)

    rows(database_url, "UPDATE api_keys SET revoked_at = NULL WHERE prefix = %s", PREFIX)
    await eventually(lambda: one.lets_in(DEMO_API_KEY))


async def test_an_answer_that_was_under_way_when_the_key_changed_is_not_remembered(one: Process) -> None:
    cache = one.room.merchants.cache
    go_on, asked = asyncio.Event(), cache._ask

    async def slow(prefix: str):  # type: ignore[no-untyped-def]
        found = await asked(prefix)
        await go_on.wait()
        return found

    cache._ask = slow
    early = asyncio.ensure_future(cache.get(PREFIX))
    await asyncio.sleep(0)
    cache.forget(PREFIX)
    go_on.set()
    assert await early is not None
    assert PREFIX not in cache._keys


async def test_a_failure_is_not_remembered(one: Process) -> None:
    cache = one.room.merchants.cache
    asked = cache._ask

    async def away(_prefix: str):  # type: ignore[no-untyped-def]
        raise BooksUnavailable("away")

    cache._ask = away
    with pytest.raises(BooksUnavailable):
        await cache.get(PREFIX)
    cache._ask = asked
    assert await cache.get(PREFIX) is not None


async def test_a_caller_who_leaves_takes_nobody_along(one: Process) -> None:
    first = asyncio.ensure_future(one.till.merchants.key_of(PREFIX))
    second = asyncio.ensure_future(one.till.merchants.key_of(PREFIX))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


async def test_the_listener_ends_and_leaves_no_connection(one: Process, database_url: str) -> None:
    count = f"SELECT count(*) {LISTENERS}"
    assert rows(database_url, count) == [(1,)]
    await one.listener.close()
    await eventually(lambda: rows(database_url, count) == [(0,)])
    assert not one.hears


async def test_it_listens_as_soon_as_there_is_a_database(world: World, database_url: str) -> None:
    nowhere = database_url.rpartition("/")[0] + "/not_there"
    async with open_room(database_url) as room:
        listener = KeyListener(connect(nowhere, name="cleartill keys", pool_size=1), room.merchants.cache)
        listener.start()
        await asyncio.sleep(0.05)
        await listener.close()
        assert not room.merchants.cache._hears
