"""A real uvicorn with our protocol that is told to stop: whose request it has begun to hear is answered."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from cleartill.api.app import create_app
from cleartill.domain.merchant import DEMO_API_KEY
from fakes import World
from fakes.requests import CHARGE, PROCESS
from real.server import Caller, Hasty, Server, serving

BODY = json.dumps(CHARGE).encode()
HEAD = (
    f"POST {PROCESS} HTTP/1.1\r\nHost: till.example\r\nAuthorization: Bearer {DEMO_API_KEY}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()
LIVE = b"GET /health/live HTTP/1.1\r\nHost: till.example\r\n\r\n"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def server(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(Hasty, "within_s", 5.0)
    app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
    async with serving(app, keep_alive_s=60) as server:
        yield server


async def answered(caller: Caller) -> None:
    caller.send(LIVE)
    assert (await caller.answer()).headers.get("connection") is None


async def is_ending(server: Server) -> "asyncio.Task[None]":
    """The server has told its connections: one that is idle is closed by then."""
    idle = await server.caller()
    await answered(idle)
    ending = server.end()
    assert await idle.is_cut()
    return ending


@pytest.mark.parametrize("again", [False, True], ids=["its first request", "on a connection that was kept"])
@pytest.mark.parametrize("heard", [1, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, len(HEAD + BODY) - 1])
async def test_a_request_that_is_coming_in_is_answered(server: Server, heard: int, again: bool) -> None:
    caller = await server.caller()
    if again:
        await answered(caller)
    caller.send((HEAD + BODY)[:heard])
    ending = await is_ending(server)
    caller.send((HEAD + BODY)[heard:])
    answer = await caller.answer()
    assert (answer.status, answer.headers["connection"]) == (201, "close")
    assert await caller.is_cut()
    await ending


async def test_a_request_under_way_is_answered(server: Server, world: World) -> None:
    world.bank.hold = asyncio.Event()
    caller = await server.caller()
    caller.send(HEAD + BODY)
    await world.bank.reached.wait()
    ending = await is_ending(server)
    world.bank.hold.set()
    answer = await caller.answer()
    assert (answer.status, answer.headers["connection"]) == (201, "close")
    assert await caller.is_cut()
    await ending


async def test_who_has_just_come_may_still_ask(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hasty, "first_word_s", 5.0)
    caller = await server.caller()
    ending = await is_ending(server)
    caller.send(HEAD + BODY)
    answer = await caller.answer()
    assert (answer.status, answer.headers["connection"]) == (201, "close")
    assert await caller.is_cut()
    await ending


async def test_who_has_come_and_asks_nothing_is_not_waited_for(server: Server) -> None:
    caller = await server.caller()
    ending = await is_ending(server)
    assert await caller.is_cut()
    await ending
