"""How the bank says nothing: it lets the caller wait, or breaks the connection in the middle of a sentence."""

import asyncio
import socket
import struct
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SILENCE_S = 30.0
"""How long a "timeout" keeps the caller waiting before the line is cut, unless the caller leaves first."""

_ABORT = "cleartill.abort"
"""The ASGI extension by which a route can break its own connection; `AbortableProtocol` provides it."""


class AbortableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the means to reset the connection in `scope["extensions"]`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_ABORT: self._abort}  # type: ignore[dict-item]

    def _abort(self) -> None:
        if self.transport.is_closing():  # the caller has left already
            return
        endpoint = self.transport.get_extra_info("socket")
        # Linger 0: closing sends RST instead of FIN, as a crashing peer or an impatient middlebox does.
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Reset(Response):
    """No answer at all: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][_ABORT]()
        while (await receive())["type"] != "http.disconnect":
            pass


async def silence(request: Request) -> Response:
    """Say nothing until the caller leaves, or 30 s have passed; then break the connection."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SILENCE_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    return Reset()
