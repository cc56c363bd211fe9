"""The HTTP client on real sockets, against servers that break off wherever they can."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from cleartill.domain.outcome import NotSent, Unknown
from cleartill.embedded.scratch import free_port
from cleartill.providers.wire import REPLY_MAX, Reply, Wire, nothing_written

pytestmark = pytest.mark.enable_socket

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Server:
    """Counts connections and keeps requests; `serve` handles one connection."""

    def __init__(self, serve: Serve) -> None:
        self.port = free_port()
        self.connections = 0
        self.requests: list[bytes] = []
        self._serve = serve

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """One request, head and body; raises IncompleteReadError when there is none."""
        request = await reader.readuntil(b"\r\n\r\n")
        for line in request.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                request += await reader.readexactly(int(line.split(b":")[1]))
        self.requests.append(request)
        return request

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._serve(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Callable[[Server], Serve]) -> AsyncIterator[tuple[Server, Wire]]:
    server = Server(lambda reader, writer: script(server)(reader, writer))
    listener = await asyncio.start_server(server.accept, "127.0.0.1", server.port, backlog=256)
    wire = Wire(server.url, lambda: {"traceparent": "00-1-2-01"})
    try:
        yield server, wire
    finally:
        await wire.close()
        listener.close()


def answering(*answers: bytes) -> Callable[[Server], Serve]:
    """Read a request and answer it, as often as there are answers, on one connection; then close it."""

    def script(server: Server) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await server.read(reader)
                writer.write(answer)
                await writer.drain()

        return serve

    return script


def whole(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def exchange(script: Callable[[Server], Serve], **document: Any) -> tuple[Any, Server]:
    async with serving(script) as (server, wire):
        return await wire.send("POST", "/v1/x", document, headers={"Idempotency-Key": "key-1"}), server


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port whose queue of connections is full: to connect takes for ever."""
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        port = free_port()
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


# ── not a byte was written ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.invalid"])
async def test_a_refused_connection_and_a_name_that_is_none_are_not_sent(host: str) -> None:
    wire = Wire(f"http://{host}:{free_port()}")
    assert await wire.send("POST", "/", {}) == NotSent("connect")
    await wire.close()


async def test_a_connection_that_takes_too_long_is_not_sent(deaf_port: int) -> None:
    wire = Wire(f"http://127.0.0.1:{deaf_port}", connect_s=0.05)
    assert await wire.send("POST", "/", {}) == NotSent("connect")
    await wire.close()


async def test_a_deadline_while_connecting_wrote_nothing(deaf_port: int) -> None:
    wire = Wire(f"http://127.0.0.1:{deaf_port}", connect_s=60.0)
    with pytest.raises(TimeoutError) as late:
        async with asyncio.timeout(0.05):
            await wire.send("POST", "/", {})
    assert nothing_written(late.value.__cause__)
    await wire.close()


async def test_a_cancellation_while_connecting_wrote_nothing(deaf_port: int) -> None:
    wire = Wire(f"http://127.0.0.1:{deaf_port}", connect_s=60.0)
    call = asyncio.create_task(wire.send("POST", "/", {}))
    await asyncio.wait([call], timeout=0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as stop:
        await call
    assert nothing_written(stop.value)
    await wire.close()


# ── bytes were out ────────────────────────────────────────────────────────────────────────────────────────────────────


def silent(server: Server) -> Serve:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await server.read(reader)
        await reader.read()

    return serve


def closing_at_once(_: Server) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return serve


def resetting(server: Server) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return serve


async def test_a_deadline_after_the_request_went_out_wrote_something() -> None:
    async with serving(silent) as (_, wire):
        with pytest.raises(TimeoutError) as late:
            async with asyncio.timeout(0.2):
                await wire.send("POST", "/", {})
    assert not nothing_written(late.value.__cause__)


@pytest.mark.parametrize("script", [closing_at_once, resetting, answering(b"")], ids=["closed", "reset", "hung up"])
async def test_a_broken_connection_is_unknown(script: Callable[[Server], Serve]) -> None:
    outcome, server = await exchange(script)
    assert outcome == Unknown("reset")
    assert server.connections == 1


async def test_a_kept_connection_that_the_server_closes_is_unknown_and_not_asked_again_here() -> None:
    async with serving(answering(whole(b"1"), b"")) as (server, wire):
        assert await wire.send("POST", "/", {}) == Reply(200, 1)
        assert await wire.send("POST", "/", {}) == Unknown("reset")
        assert (len(server.requests), server.connections) == (2, 1)
        assert await wire.send("POST", "/", {}) == Reply(200, 1)


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"{}", b"HTTP/1.1 500 No\r\n"),
        whole(b"{}", b"HTTP/1.1 503 No\r\n"),
        whole(b"<html>", b"HTTP/1.1 502 No\r\n"),
    ],
)
async def test_a_server_error_is_unknown(answer: bytes) -> None:
    outcome, _ = await exchange(answering(answer))
    assert outcome == Unknown("server_error")


@pytest.mark.parametrize(
    "answer",
    [
        whole(b""),
        whole(b"<html>"),
        whole(b'{"amount_minor":NaN}'),
        whole(b'{"a":"\xff"}'),
        OK + b'Content-Length: 100\r\n\r\n{"half":',
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"X: " + b"x" * 10_000 + b"\r\n\r\n{}",
        whole(b'"' + b"x" * REPLY_MAX + b'"'),
        whole(b'{"a":1}', OK + b"Content-Encoding: gzip\r\n").replace(b'{"a":1}', b"\x1f\x8b\x08\x00\x00\x00\x00"),
    ],
    ids=lambda answer: repr(answer[45:75]),
)
async def test_an_answer_that_cannot_be_read_is_unknown(answer: bytes) -> None:
    outcome, _ = await exchange(answering(answer))
    assert outcome == Unknown("unreadable")


async def test_an_endless_answer_is_cut_off() -> None:
    def endless(server: Server) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read(reader)
            writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
                await writer.drain()

        return serve

    outcome, _ = await exchange(endless)
    assert outcome == Unknown("unreadable")


# ── what is sent, and what is not ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_carries_its_key_its_trace_and_its_document() -> None:
    outcome, server = await exchange(answering(whole(b'{"b":2}')), a=1)
    assert outcome == Reply(200, {"b": 2})
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/x HTTP/1.1"
    for line in (b"traceparent: 00-1-2-01", b"Idempotency-Key: key-1", b"Content-Type: application/json"):
        assert line in lines


async def test_a_path_is_sent_as_it_was_encoded() -> None:
    async with serving(answering(whole(b"1"))) as (server, wire):
        await wire.send("GET", "/v1/operations/a%2F..%2Fb%3F%41")
    assert server.requests[0].startswith(b"GET /v1/operations/a%2F..%2Fb%3F%41 HTTP/1.1\r\n")


async def test_redirects_are_not_followed_and_cookies_not_kept() -> None:
    moved = whole(b"{}", b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n")
    async with serving(answering(moved, whole(b"1"))) as (server, _):
        wire = Wire(f"http://localhost:{server.port}")  # aiohttp keeps no cookies of bare addresses anyway
        assert await wire.send("POST", "/", {}) == Reply(307, {})
        assert await wire.send("POST", "/", {}) == Reply(200, 1)
        await wire.close()
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    outcome, _ = await exchange(answering(whole(b"1")))
    assert outcome == Reply(200, 1)


async def test_connections_are_kept_and_as_many_as_are_needed() -> None:
    everybody_is_here = asyncio.Event()

    def together(server: Server) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await server.read(reader)
                if len(server.requests) >= 150:
                    everybody_is_here.set()
                await everybody_is_here.wait()
                writer.write(whole(b"1"))

        return serve

    async with serving(together) as (server, wire):
        for _ in range(2):
            replies = await asyncio.gather(*(wire.send("POST", "/", {}) for _ in range(150)))
            assert replies == [Reply(200, 1)] * 150
        assert server.connections == 150
