"""API keys as the read side gives them: asked for once a moment, however many want to know."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cleartill.demo import seed_demo
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID, key_prefix
from fakes import World
from real import Room, open_room, till_on

PREFIX = key_prefix(DEMO_API_KEY) or ""


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        await seed_demo(till_on(room, World()))
        yield room


async def test_a_crowd_asks_the_database_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    run = room.pool.run
    monkeypatch.setattr(room.pool, "run", lambda work: asked.append(work) or run(work))

    found = await asyncio.gather(*(room.reads.api_key(PREFIX) for _ in range(50)))

    assert {key.merchant_id for key in found if key} == {DEMO_MERCHANT_ID}
    assert len(asked) == 1
    assert await room.reads.api_key("sk_test_unknown0") is None


async def test_a_failure_is_not_remembered(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_work: object) -> None:
        raise BooksUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(room.pool, "run", away)
        with pytest.raises(BooksUnavailable):
            await room.reads.api_key(PREFIX)

    assert await room.reads.api_key(PREFIX) is not None


async def test_a_caller_who_leaves_takes_nobody_along(room: Room) -> None:
    first = asyncio.ensure_future(room.reads.api_key(PREFIX))
    second = asyncio.ensure_future(room.reads.api_key(PREFIX))
    await asyncio.sleep(0)
    first.cancel()

    assert await second is not None
