"""uvloop, with a door as wide as the crowd before it: `--loop cleartill.api.accepting:Loop`.

uvloop 0.23 (libuv 1.45 and later) takes one new connection a turn of the loop. Under load a turn takes 5 to 20 ms: then
a hundred callers a second get in, the others wait in the kernel, or are dropped there and knock again after 1, 3 and
7 s, health checks among them. Here all who wait (TOGETHER at most) come in at each turn; and in a crowd, whoever comes
to ask whether we live is answered at once (`protocol.answers_at_once`).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvloop

from cleartill.api.protocol import BoundedProtocol

TOGETHER = 64

_Factory = Callable[[], asyncio.BaseProtocol]


class Loop(uvloop.Loop):
    async def create_server(self, protocol_factory: Any, *args: Any, **settings: Any) -> Any:
        """As uvloop's, for listening TCP sockets without TLS."""
        server = await super().create_server(protocol_factory, *args, **settings)
        return _Doors(self, server, protocol_factory) if settings.get("ssl") is None else server


class _Doors:
    """uvloop's server, which opens its doors one caller at a time, and beside it a reader of the same sockets. (The
    reader alone was no better in `make overload`.)"""

    def __init__(self, loop: Loop, server: Any, factory: _Factory) -> None:
        self._loop, self._server, self._factory = loop, server, factory
        self._coming: set[asyncio.Task[Any]] = set()
        self._listening = [socket.socket(fileno=socket.dup(one.fileno())) for one in server.sockets]
        for one in self._listening:
            one.setblocking(False)
            loop.add_reader(one, self._let_in, one)

    @property
    def sockets(self) -> tuple[Any, ...]:
        return tuple(self._server.sockets)

    def close(self) -> None:
        for one in self._listening:
            self._loop.remove_reader(one)
            one.close()
        self._listening = []
        self._server.close()

    async def wait_closed(self) -> None:
        await self._server.wait_closed()

    def _let_in(self, listening: socket.socket) -> None:
        for _ in range(TOGETHER):
            try:
                caller, _ = listening.accept()
            except OSError:  # nobody waits any more, or too many files are open
                return
            caller.setblocking(False)
            protocol = self._factory()
            if not (isinstance(protocol, BoundedProtocol) and protocol.answers_at_once(caller)):
                self._lead_in(caller, protocol)

    def _lead_in(self, caller: socket.socket, protocol: asyncio.BaseProtocol) -> None:
        coming = self._loop.create_task(self._loop.connect_accepted_socket(lambda: protocol, caller))
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)
