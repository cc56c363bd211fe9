"""A real uvicorn with our protocol, and more callers than it has places for."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cleartill.api import admission, health
from cleartill.api.accepting import Loop
from cleartill.api.app import create_app
from cleartill.api.shedding import told_on_the_way_in
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.domain.outcome import Outcome
from cleartill.ports import Authorization
from fakes import World
from fakes.requests import CHARGE, PROCESS
from real.server import PATIENCE_S, Caller, Server, serving

PLACES = 3
BODY = json.dumps(CHARGE).encode()
HEAD = (
    f"POST {PROCESS} HTTP/1.1\r\nHost: till.example\r\nAuthorization: Bearer {DEMO_API_KEY}\r\n"
    f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
).encode()
CHARGED = HEAD + b"\r\n" + BODY
LIVE = b"GET /health/live HTTP/1.1\r\nHost: till.example\r\n\r\n"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def bank_says(world: World, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The bank answers nobody before it is set."""
    says, authorize = asyncio.Event(), world.bank.authorize

    async def after_all(ask: Authorization) -> Outcome:
        await says.wait()
        return await authorize(ask)

    monkeypatch.setattr(world.bank, "authorize", after_all)
    return says


@pytest.fixture
async def server(world: World, bank_says: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(admission, "FEW", PLACES)
    monkeypatch.setattr(admission, "MOST", PLACES)
    app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
    async with serving(app, 60) as server:
        server.app = app  # type: ignore[attr-defined]
        yield server
        bank_says.set()


async def full(server: Server) -> list[Caller]:
    """As many callers as there are places, whose charges are under way. (The fake bank's are in our hands.)"""
    callers = [await server.caller() for _ in range(PLACES)]
    for caller in callers:
        caller.send(CHARGED)
    await until(lambda: in_hand(server) == PLACES)
    return callers


def in_hand(server: Server) -> int:
    entered: int = server.app.state.desk.admission.entered  # type: ignore[attr-defined]
    return entered


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not check():  # noqa: ASYNC110  (nobody would set an event)
            await asyncio.sleep(0.001)


async def test_one_too_many_is_refused_and_may_ask_again_on_the_same_connection(
    server: Server, world: World, bank_says: asyncio.Event
) -> None:
    let_in = await full(server)
    await until(lambda: len(world.memory.payments) == PLACES)  # who is in hand has not written yet
    written = world.memory.rows
    caller = await server.caller()
    for _ in range(2):
        caller.send(HEAD + b"X-Request-ID: mine\r\n\r\n" + BODY)
        refused = await caller.answer()
        assert refused.problem() == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-request-id"] == "mine"
        assert json.loads(refused.body)["instance"] == PROCESS
    assert world.memory.rows == written
    bank_says.set()
    assert {(await one.answer()).status for one in let_in} == {201}
    caller.send(CHARGED)
    assert (await caller.answer()).status == 201


async def test_in_a_crowd_whoever_asks_whether_we_live_is_answered_at_the_door(
    server: Server, bank_says: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the very words that the application has for it, which hears of the one in the quiet only."""
    heard, answer = list[Any](), health.JSONResponse
    monkeypatch.setattr(health, "JSONResponse", lambda body: heard.append(body) or answer(body))
    asker = await server.caller()
    asker.send(LIVE)
    in_the_quiet = await asker.answer()
    await full(server)
    asker.send(CHARGED)
    assert (await asker.answer()).problem() == (503, "overloaded")
    asker.send(LIVE.replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\nContent-Length: 3\r\n\r\nabc"))
    in_the_crowd = await asker.answer()
    assert (in_the_crowd.status, in_the_crowd.body) == (in_the_quiet.status, in_the_quiet.body)
    assert in_the_crowd.status == 200
    assert in_the_crowd.headers["x-request-id"] == "mine"
    ids = {"x-request-id": "", "date": "", "server": ""}
    assert in_the_crowd.headers | ids == in_the_quiet.headers | ids
    asker.send(LIVE.replace(b"GET", b"POST"))
    assert (await asker.answer()).status == 405
    asker.send(LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert (await asker.answer()).headers["connection"] == "close"
    assert len(heard) == 1


async def test_refused_at_the_head_the_body_is_read_over(server: Server, bank_says: asyncio.Event) -> None:
    let_in = await full(server)
    caller = await server.caller()
    caller.send(HEAD + b"\r\n")
    assert (await caller.answer()).problem() == (503, "overloaded")
    caller.send(BODY[:100])
    await caller.writer.drain()
    bank_says.set()
    assert {(await one.answer()).status for one in let_in} == {201}
    caller.send(BODY[100:] + CHARGED)
    assert (await caller.answer()).status == 201


async def test_refused_and_then_silent_it_is_cut_without_another_word(server: Server) -> None:
    await full(server)
    caller = await server.caller()
    caller.send(HEAD + b"\r\n" + BODY[:100])
    assert (await caller.answer()).problem() == (503, "overloaded")
    assert await caller.is_cut()


async def test_who_wants_the_connection_closed_has_it_closed(server: Server) -> None:
    await full(server)
    caller = await server.caller()
    caller.send(HEAD + b"Connection: close\r\n\r\n" + BODY)
    refused = await caller.answer()
    assert (refused.problem(), refused.headers["connection"]) == ((503, "overloaded"), "close")
    assert await caller.is_cut()


async def test_behind_another_request_it_is_refused_after_it(server: Server, bank_says: asyncio.Event) -> None:
    first, *_ = await full(server)
    first.send(CHARGED)
    other = await server.caller()
    other.send(LIVE)
    assert (await other.answer()).status == 200
    bank_says.set()
    assert (await first.answer()).status == 201
    assert (await first.answer()).status in (201, 503)


async def test_it_is_alive_however_full(server: Server) -> None:
    await full(server)
    caller = await server.caller()
    caller.send(LIVE)
    assert (await caller.answer()).status == 200


async def test_who_is_long_in_sending_takes_nobodys_place(server: Server, bank_says: asyncio.Event) -> None:
    slow = [await server.caller() for _ in range(2 * PLACES)]
    for caller in slow:
        caller.send(HEAD + b"\r\n" + BODY[:-1])
        await caller.writer.drain()
    bank_says.set()
    caller = await server.caller()
    caller.send(CHARGED)
    assert (await caller.answer()).status == 201
    for one in slow:
        one.send(BODY[-1:])
    assert {(await one.answer()).status for one in slow} <= {201, 503}
    assert in_hand(server) == 0


async def test_a_caller_who_hangs_up_keeps_his_place_until_his_payment_is_through(
    server: Server, bank_says: asyncio.Event
) -> None:
    for caller in await full(server):
        caller.writer.close()
    caller = await server.caller()
    caller.send(CHARGED)
    assert (await caller.answer()).problem() == (503, "overloaded")
    bank_says.set()
    await until(lambda: in_hand(server) == 0)


@pytest.mark.parametrize(
    ("sent", "at_once"),
    [
        (LIVE, True),
        (LIVE.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), True),
        (LIVE.replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\n\r\n"), False),
        (LIVE.replace(b"\r\n\r\n", b"\r\ncontent-length : 3\r\n\r\nabc"), False),
        (LIVE.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n\r\n\r\n"), False),
        (LIVE + LIVE, False),
        (LIVE.replace(b"/live", b"/lively"), False),
        (LIVE.replace(b"GET", b"POST"), False),
        (LIVE[:-2], False),
        (b"", False),
    ],
)
def test_in_a_crowd_who_comes_to_ask_whether_we_live_need_not_come_in(sent: bytes, at_once: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(sent)
        assert told_on_the_way_in(ours) is at_once
        if at_once:
            head, _, body = theirs.recv(4096).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nconnection: close" in head
            assert (body, theirs.recv(1)) == (b'{"status":"ok"}', b"")
        else:
            assert ours.recv(4096) == sent if sent else ours.fileno() >= 0, "nothing of it was taken"


@pytest.mark.parametrize(("untold", "closing"), [(0, None), (1, "close")])
def test_in_the_quiet_everybody_comes_in(world: World, untold: int, closing: str | None) -> None:
    async def main() -> str | None:
        app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
        async with serving(app, 60) as server:
            app.state.desk.admission.untold = untold
            before, line = (socket.create_connection(("127.0.0.1", server.port)) for _ in range(2))
            line.sendall(LIVE)  # the loop stands meanwhile
            caller = Caller(*await asyncio.open_connection(sock=line))
            server.callers.append(caller)
            answer = await caller.answer()
            before.close()  # uvloop has let him in
            assert answer.status == 200
            return answer.headers.get("connection")

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(main()) == closing


def test_all_who_wait_come_in_at_once() -> None:
    """uvloop itself takes one a turn of the loop."""
    waiting, turns = 40, 0

    async def main() -> None:
        nonlocal turns
        loop, came = asyncio.get_running_loop(), list[asyncio.BaseTransport]()

        class Counted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                came.append(transport)

        door = await loop.create_server(Counted, "127.0.0.1", 0)
        port = door.sockets[0].getsockname()[1]
        callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(waiting)]  # the loop stands meanwhile
        while len(came) < waiting and turns < waiting:
            turns += 1
            await asyncio.sleep(0)
        for caller in callers:
            caller.close()
        door.close()
        await door.wait_closed()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert turns < waiting
