"""The wires of scripts/chaos: proxies between the service and its bank, books and Kafka, which lose, hold back, double
and cut what passes. All of them live on one event loop; what is done to which message is decided by a seed.
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any

from chaos_callbacks import Callbacks, drawn, read_message

CHUNK = 65536
COMMIT = b"COMMIT\x00"
LATE_S = (3.0, 12.0)
"""By so much a request to the bank is late: longer than its caller waits, and than the resolver's first questions."""
HELD_S = 1.0
LIMIT = 1 << 20

BANK_PRANKS = {
    "timeout, not charged": 0.006,
    "timeout, but charged": 0.006,
    "answer lost": 0.012,
    "request late": 0.006,
    "request doubled": 0.01,
    "connection cut": 0.01,
    "callback before the answer": 0.02,
}
COMMIT_PRANKS = ("COMMIT lost", "COMMIT's acknowledgement lost", "COMMIT held back")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut off with a reset, so that the other end learns of it at once."""
    if writer.transport.is_closing():
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def until_one_ends(*ways: Coroutine[Any, Any, None]) -> None:
    """Runs them side by side; when one has ended, the others are over too."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Wire:
    """Listens at `port` and leads to `target`. While `refusing`, nobody is let in."""

    def __init__(self, port: int, target: int) -> None:
        self._port, self._target = port, target
        self._links: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None

    async def accept(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._enter, "127.0.0.1", self._port, limit=LIMIT)

    async def refuse(self) -> None:
        """As a server that is gone: what is open is cut, and nothing new is taken."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        for link in list(self._links):
            for side in link:
                reset(side)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target, limit=LIMIT)
        except OSError:
            reset(writer)
            return
        link = (writer, server[1])
        self._links.add(link)
        try:
            await self._pass((reader, writer), server)
        except (OSError, RuntimeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one side is gone; uvloop says RuntimeError to who writes to it
        finally:
            self._links.discard(link)
            for side in link:
                reset(side)

    async def _pass(self, client: Streams, server: Streams) -> None:
        await until_one_ends(self._pump(client[0], server[1]), self._pump(server[0], client[1]))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()


class BooksWire(Wire):
    """Before PostgreSQL: `prank` is played to the next COMMIT."""

    prank: str | None = None

    def __init__(self, port: int, target: int, played: Counter[str]) -> None:
        super().__init__(port, target)
        self._played = played

    async def _pass(self, client: Streams, server: Streams) -> None:
        answered, muted = asyncio.Event(), asyncio.Event()

        async def back() -> None:
            while data := await server[0].read(CHUNK):
                if muted.is_set():
                    answered.set()
                else:
                    client[1].write(data)
                    await client[1].drain()

        async def forth() -> None:
            while data := await client[0].read(CHUNK):
                prank = self.prank if COMMIT in data else None
                if prank is None:
                    server[1].write(data)
                    await server[1].drain()
                    continue
                self.prank = None
                self._played[prank] += 1
                muted.set()
                if prank == "COMMIT held back":  # the client is gone, and the server gets it later
                    reset(client[1])
                    await asyncio.sleep(HELD_S)
                if prank != "COMMIT lost":
                    server[1].write(data)
                    await asyncio.wait_for(answered.wait(), HELD_S)
                return

        await until_one_ends(back(), forth())


class BankWire(Wire):
    """Before the bank, one request at a time. `calm`: nothing is done to anything."""

    def __init__(self, port: int, target: int, random: Random, played: Counter[str], callbacks: Callbacks) -> None:
        super().__init__(port, target)
        self._random, self._played, self._callbacks = random, played, callbacks
        self.calm = True
        self._late: set[asyncio.Task[None]] = set()

    async def _pass(self, client: Streams, server: Streams) -> None:
        while True:
            request = await read_message(client[0])
            if server[0].at_eof():  # the bank has closed what was idle
                server = await asyncio.open_connection("127.0.0.1", self._target, limit=LIMIT)
            prank = None if self.calm or request.startswith(b"GET /health") else drawn(self._random, BANK_PRANKS)
            if prank is not None:
                self._played[prank] += 1
            if prank == "connection cut":
                return
            if prank == "timeout, not charged":
                await client[0].read(CHUNK)
                return
            if prank == "request late":
                task = asyncio.create_task(self._later(request, self._random.uniform(*LATE_S)))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                await client[0].read(CHUNK)
                return
            answer = await self._asked(server, request, twice=prank == "request doubled")
            if prank == "answer lost":
                return
            if prank == "timeout, but charged":
                await client[0].read(CHUNK)
                return
            if prank == "callback before the answer":
                await self._callbacks.ahead(answer)
            client[1].write(answer)
            await client[1].drain()

    async def _asked(self, server: Streams, request: bytes, *, twice: bool) -> bytes:
        for _ in range(1 + twice):
            server[1].write(request)
            await server[1].drain()
            answer = await read_message(server[0])
        return answer

    async def _later(self, request: bytes, after_s: float) -> None:
        """It was under way all the time, and arrives when nobody waits for it any more."""
        await asyncio.sleep(after_s)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            server = await asyncio.open_connection("127.0.0.1", self._target)
            await self._asked(server, request, twice=False)
            server[1].close()
