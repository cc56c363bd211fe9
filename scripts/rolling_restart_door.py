"""The door of scripts/rolling_restart: a reverse proxy as small as one can be, that does what a balancer does. It asks
`/health/ready`, sends to who is ready, keeps connections open, and sends a POST on once only.

What it counts is what a release may cost: `refused`, a process that was ready did not take the connection; `cut`, one
took a request and the connection ended without an answer; `nobody`, no process was ready.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict

from chaos_callbacks import read_message

CHECK_S, PROBE_WITHIN_S = 0.2, 2.0
LIMIT = 1 << 22
NOBODY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 17\r\n\r\n" + b'{"code":"nobody"}'
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Door:
    """Listens on 127.0.0.1:`port` and leads to `backends`, ports on this machine; on one event loop."""

    def __init__(self, port: int, backends: list[int]) -> None:
        self._port, self._backends = port, backends
        self.ready: dict[int, bool] = dict.fromkeys(backends, False)
        self.seen: Counter[str] = Counter()
        self._idle: dict[int, list[Streams]] = defaultdict(list)
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()
        # asyncio itself keeps no such task alive
        self._callers: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self._port, limit=LIMIT)
        self._tasks = {asyncio.create_task(self._watch(port)) for port in self._backends}

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for caller in list(self._callers):
            caller.close()
        await asyncio.sleep(0.1)  # they end by themselves
        for port in self._backends:
            self._let_go(port)

    # ── who is ready ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _watch(self, port: int) -> None:
        while True:
            ready = await self._is_ready(port)
            if self.ready[port] and not ready:
                self._let_go(port)
            self.ready[port] = ready
            await asyncio.sleep(CHECK_S)

    @staticmethod
    async def _is_ready(port: int) -> bool:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(PROBE_WITHIN_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /health/ready HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
                    return (await read_message(reader)).startswith(b"HTTP/1.1 200 ")
                finally:
                    writer.close()
        return False

    def _let_go(self, port: int) -> None:
        for _, writer in self._idle.pop(port, []):
            writer.close()

    # ── passing on ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers[writer] = asyncio.current_task()
        try:
            while True:
                request = await read_message(reader)
                self.seen["requests"] += 1
                answer = await self._asked(request)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            del self._callers[writer]
            writer.close()

    async def _asked(self, request: bytes) -> bytes | None:
        """The answer; None if nobody knows what became of the request."""
        for _ in self._backends:
            port = self._next()
            if port is None:
                break
            try:
                streams = await self._connected(port)
            except OSError:
                self.seen["refused"] += 1
                self.ready[port] = False
                continue
            try:
                streams[1].write(request)
                answer = await read_message(streams[0])
            except (OSError, EOFError):
                self.seen["cut"] += 1
                streams[1].close()
                return None
            return self._kept(port, streams, answer)
        self.seen["nobody"] += 1
        return NOBODY

    def _next(self) -> int | None:
        for _ in self._backends:
            self._turn = (self._turn + 1) % len(self._backends)
            if self.ready[self._backends[self._turn]]:
                return self._backends[self._turn]
        return None

    async def _connected(self, port: int) -> Streams:
        while self._idle[port]:
            reader, writer = self._idle[port].pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", port, limit=LIMIT)

    def _kept(self, port: int, streams: Streams, answer: bytes) -> bytes:
        """The answer without what it says about its own connection, which is kept if it may be."""
        head, blank, body = answer.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        if len(lines) == head.count(b"\r\n") + 1 and self.ready[port]:
            self._idle[port].append(streams)
        else:
            streams[1].close()
        return b"\r\n".join(lines) + blank + body
