"""The API on fakes behind a real uvicorn with our protocol, made hasty; and callers on real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from cleartill.api.protocol import BoundedProtocol
from cleartill.embedded.scratch import free_port

SOON_S = 0.2
PATIENCE_S = 5.0
"""How long a test waits for what must come; uvicorn alone would let these callers be for longer."""


class Hasty(BoundedProtocol):
    within_s = SOON_S
    first_word_s = SOON_S
    sweep_every_s = 0.05


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> tuple[int, str]:
        """Status and code, of an answer that has all a problem has."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        found = json.loads(self.body)
        assert found["status"] == self.status
        assert found["request_id"] == self.headers["x-request-id"] != ""
        return self.status, found["code"]


@dataclass
class Caller:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def pour(self, piece: bytes, pieces: int) -> int:
        """Send again and again, as fast as it is taken; how many pieces were, before the line was cut."""
        for sent in range(pieces):
            try:
                self.send(piece)
                await self.writer.drain()
                await asyncio.sleep(0)  # the server's turn
            except ConnectionError:
                return sent
        return pieces

    async def drip(self, piece: bytes) -> None:
        """A piece every now and then, until the line is cut."""
        with contextlib.suppress(ConnectionError):
            while not self.reader.at_eof():
                self.send(piece)
                await self.writer.drain()
                await asyncio.sleep(SOON_S / 10)

    async def answer(self) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(head[0].split()[1]), headers, body)

    async def is_cut(self) -> bool:
        """Whether the server ends the connection, without another word."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read() == b""
        except ConnectionError:
            return True


class Server:
    """`end`: what uvicorn does when it is told to stop; done anyway, if a test has not."""

    def __init__(self, port: int, shutdown: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.port, self._shutdown = port, shutdown
        self._ending: asyncio.Task[None] | None = None
        self.callers: list[Caller] = []

    async def caller(self) -> Caller:
        made = Caller(*await asyncio.open_connection("127.0.0.1", self.port))
        self.callers.append(made)
        return made

    def end(self) -> "asyncio.Task[None]":
        self._ending = self._ending or asyncio.create_task(self._shutdown())
        return self._ending


@contextlib.asynccontextmanager
async def serving(app: FastAPI, keep_alive_s: int) -> AsyncIterator[Server]:
    port = free_port()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http=Hasty,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    made = Server(port, server.shutdown)
    try:
        yield made
    finally:
        for caller in made.callers:
            caller.writer.close()
        await made.end()
