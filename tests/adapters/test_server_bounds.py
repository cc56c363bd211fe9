"""A real uvicorn with our protocol, and callers on real sockets who send too much, too slowly, or too soon."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from cleartill.api.app import create_app
from cleartill.domain.merchant import DEMO_API_KEY
from fakes import World
from fakes.requests import CHARGE, PROCESS
from real.server import Hasty, Server, serving

WHOLE = json.dumps(CHARGE).encode()
KEY = f"Authorization: Bearer {DEMO_API_KEY}\r\n".encode()
HOST = b"Host: till.example\r\n"
JSON = b"Content-Type: application/json\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST


def post(length: int | None, *headers: bytes, key: bytes = KEY) -> bytes:
    """The head of a charge whose body is that long, or chunked."""
    framing = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    return b"".join([f"POST {PROCESS} HTTP/1.1\r\n".encode(), HOST, key, JSON, *headers, framing, b"\r\n"])


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def keep_alive_s() -> int:
    return 60


@pytest.fixture
async def server(world: World, keep_alive_s: int) -> AsyncIterator[Server]:
    app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
    async with serving(app, keep_alive_s) as server:
        yield server


# ── too much ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_header_without_end_is_431_and_cut(server: Server) -> None:
    caller = await server.caller()
    caller.send(LIVE + b"X-Padding: ")
    poured = asyncio.create_task(caller.pour(b"x" * 4096, 512))
    assert (await caller.answer()).problem() == (431, "headers_too_large")
    assert await caller.is_cut()
    assert await poured < 512


async def test_headers_without_end_are_431_and_cut(server: Server) -> None:
    caller = await server.caller()
    caller.send(LIVE)
    poured = asyncio.create_task(caller.pour(b"X-Padding: x\r\n" * 100, 1000))
    assert (await caller.answer()).problem() == (431, "headers_too_large")
    assert await caller.is_cut()
    assert await poured < 1000


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST, LIVE + b"A: b\r\n" * 4000])
async def test_a_head_too_large_in_one_piece_is_431(server: Server, head: bytes) -> None:
    caller = await server.caller()
    caller.send(head + b"\r\n")
    assert (await caller.answer()).problem() == (431, "headers_too_large")
    assert await caller.is_cut()


async def test_a_head_of_nearly_16_kib_is_taken_in_any_pieces(server: Server) -> None:
    caller = await server.caller()
    head = LIVE + b"X-Padding: " + b"x" * 16_000 + b"\r\n\r\n"
    for start in range(0, len(head), 1000):
        caller.send(head[start : start + 1000])
        await caller.writer.drain()
        await asyncio.sleep(0)
    assert (await caller.answer()).status == 200


async def test_a_body_declared_too_large_is_413_unread(server: Server, world: World) -> None:
    caller = await server.caller()
    caller.send(post(10**12))
    assert (await caller.answer()).problem() == (413, "body_too_large")
    assert await caller.is_cut()
    assert world.memory.rows == 0


async def test_chunks_without_end_are_413(server: Server, world: World) -> None:
    caller = await server.caller()
    caller.send(post(None))
    poured = asyncio.create_task(caller.pour(b"1000\r\n" + b" " * 4096 + b"\r\n", 512))
    assert (await caller.answer()).problem() == (413, "body_too_large")
    assert await caller.is_cut()
    assert await poured < 512
    assert world.memory.rows == 0


async def test_the_largest_body_in_chunks_of_a_byte_is_taken(server: Server) -> None:
    caller = await server.caller()
    body = WHOLE + b" " * (64 * 1024 - len(WHOLE))
    await caller.pour(post(None) + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n", 1)
    assert (await caller.answer()).status == 201


async def test_trailers_without_end_are_cut_before_they_are_kept(server: Server, world: World) -> None:
    caller = await server.caller()
    caller.send(post(None) + b"%x\r\n" % len(WHOLE) + WHOLE + b"\r\n0\r\n")
    poured = asyncio.create_task(caller.pour(b"X-Trailer: " + b"x" * 4096 + b"\r\n", 2048))
    assert (await caller.answer()).problem() == (413, "body_too_large")
    assert await caller.is_cut()
    assert await poured < 2048
    assert world.memory.rows == 0


async def test_a_trailer_is_no_header(server: Server) -> None:
    caller = await server.caller()
    caller.send(post(None, key=b"") + b"%x\r\n" % len(WHOLE) + WHOLE + b"\r\n0\r\n" + KEY + b"\r\n")
    assert (await caller.answer()).problem() == (401, "unauthenticated")


async def test_a_body_that_nobody_reads_is_cut(server: Server) -> None:
    caller = await server.caller()
    caller.send(post(10**9, key=b""))
    assert (await caller.answer()).problem() == (401, "unauthenticated")
    assert await caller.pour(b"x" * 65536, 1024) < 1024
    assert await caller.is_cut()


# ── too slowly ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("begun", "drop"), [(b"", b"\r\n"), (LIVE, b"A"), (LIVE + b"X-Slow: ", b"A")])
async def test_a_dripping_head_is_408(server: Server, begun: bytes, drop: bytes) -> None:
    caller = await server.caller()
    caller.send(begun)
    dripping = asyncio.create_task(caller.drip(drop))
    assert (await caller.answer()).problem() == (408, "request_timeout")
    assert await caller.is_cut()
    await dripping


async def test_a_head_that_stops_is_408(server: Server) -> None:
    caller = await server.caller()
    caller.send(b"GE")
    answer = await caller.answer()
    assert answer.problem() == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert await caller.is_cut()


async def test_a_dripping_body_is_408_and_nothing_is_written(server: Server, world: World) -> None:
    caller = await server.caller()
    caller.send(post(len(WHOLE), b"X-Request-ID: mine\r\n"))
    dripping = asyncio.create_task(caller.drip(b" "))
    answer = await caller.answer()
    assert answer.problem() == (408, "request_timeout")
    assert answer.headers["x-request-id"] == "mine"
    assert json.loads(answer.body)["instance"] == PROCESS
    assert await caller.is_cut()
    await dripping
    assert world.memory.rows == 0


async def test_a_dripping_body_that_is_answered_already_is_cut_without_a_word(server: Server) -> None:
    caller = await server.caller()
    caller.send(post(len(WHOLE), key=b""))
    assert (await caller.answer()).status == 401
    dripping = asyncio.create_task(caller.drip(b" "))
    assert await caller.is_cut()
    await dripping


async def test_an_answer_may_take_longer_than_a_request(server: Server, world: World) -> None:
    world.bank.hold = asyncio.Event()
    caller = await server.caller()
    caller.send(post(len(WHOLE)) + WHOLE)
    await world.bank.reached.wait()
    late = await server.caller()
    late.send(b"GE")
    assert (await late.answer()).status == 408  # so the time is up for a request of that age
    world.bank.hold.set()
    assert (await caller.answer()).status == 201


@pytest.mark.parametrize("keep_alive_s", [1])
async def test_a_connection_that_never_asks_is_closed(server: Server) -> None:
    assert await (await server.caller()).is_cut()


@pytest.mark.parametrize("keep_alive_s", [1])
async def test_a_connection_that_goes_idle_after_a_body_nobody_read_is_closed(server: Server) -> None:
    caller = await server.caller()
    caller.send(post(len(WHOLE), key=b""))
    assert (await caller.answer()).status == 401
    caller.send(WHOLE)
    assert await caller.is_cut()


# ── malformed, and several at once ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", LIVE + b"no header\r\n\r\n"])
async def test_what_is_no_http_is_400(server: Server, sent: bytes) -> None:
    caller = await server.caller()
    caller.send(sent)
    assert (await caller.answer()).problem() == (400, "malformed_request")
    assert await caller.is_cut()


async def test_two_requests_at_once_are_answered_in_turn(server: Server) -> None:
    caller = await server.caller()
    caller.send(post(len(WHOLE)) + WHOLE + LIVE + b"\r\n")
    assert (await caller.answer()).status == 201
    assert (await caller.answer()).status == 200


@pytest.mark.parametrize(
    ("second", "refusal"),
    [
        (b"no http at all\r\n\r\n", (400, "malformed_request")),
        (LIVE + b"X-Padding: " + b"x" * 20_000, (431, "headers_too_large")),
        (LIVE, (408, "request_timeout")),
        (post(None) + b"not a length\r\n", (400, "malformed_request")),
    ],
)
async def test_a_refusal_waits_for_the_answer_before_it(
    server: Server, world: World, second: bytes, refusal: tuple[int, str]
) -> None:
    world.bank.hold = asyncio.Event()
    caller = await server.caller()
    caller.send(post(len(WHOLE)) + WHOLE)
    await world.bank.reached.wait()
    caller.send(second)
    late = await server.caller()
    late.send(b"GE")
    assert (await late.answer()).status == 408  # so the second request has been judged by now
    world.bank.hold.set()
    assert (await caller.answer()).status == 201
    assert (await caller.answer()).problem() == refusal
    assert await caller.is_cut()


async def test_a_request_that_we_keep_waiting_is_not_late(server: Server, world: World) -> None:
    world.bank.hold = asyncio.Event()
    caller = await server.caller()
    caller.send(post(len(WHOLE)) + WHOLE)
    await world.bank.reached.wait()
    caller.send(post(len(WHOLE)))
    late = await server.caller()
    late.send(b"GE")
    assert (await late.answer()).status == 408
    world.bank.hold.set()
    assert (await caller.answer()).status == 201
    caller.send(WHOLE)
    assert (await caller.answer()).status == 201


async def test_a_connection_lives_on_after_4xx(server: Server) -> None:
    caller = await server.caller()
    for head, body, status in [
        (post(2), b"{}", 422),
        (post(2, key=b""), b"{}", 401),
        (post(3), b"{,}", 400),
        (post(len(WHOLE)), WHOLE, 201),
        (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", b"", 404),
        (LIVE + b"\r\n", b"", 200),
    ]:
        caller.send(head)
        await caller.writer.drain()
        caller.send(body)
        assert (await caller.answer()).status == status


async def test_the_bytes_of_one_request_are_not_counted_for_the_next(server: Server) -> None:
    caller = await server.caller()
    for _ in range(12):
        caller.send(LIVE + b"X-Padding: " + b"x" * 2000)
        await asyncio.sleep(0.01)  # a head in two pieces
        caller.send(b"\r\n\r\n")
        assert (await caller.answer()).status == 200


async def test_the_sweep_ends_with_the_last_connection_and_begins_again(server: Server) -> None:
    for _ in range(2):
        caller = await server.caller()
        caller.send(b"GE")
        assert (await caller.answer()).status == 408
        assert await caller.is_cut()
        caller.writer.close()
        await asyncio.sleep(3 * Hasty.sweep_every_s)  # it finds nobody
