"""A TCP proxy before PostgreSQL that loses, holds back or freezes what passes; it knows a COMMIT when it sees one."""

import socket
import struct
import threading
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

from cleartill.embedded.scratch import free_port

COMMIT = b"COMMIT\x00"


class Prank(Enum):
    """What happens to the next COMMIT."""

    LOSE = "the server never gets it, and both sides are cut off"
    SWALLOW = "the server does it, the acknowledgement is lost and the client cut off"
    HOLD = "the client is cut off, the server's side stays open until `deliver` hands it over"
    STALL = "it and everything after it goes nowhere, and nobody is told"


class _Link:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.muted = self.orphaned = False

    def cut(self, side: socket.socket) -> None:
        """With a reset, so that the other end learns of it at once."""
        with suppress(OSError):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.shutdown(socket.SHUT_RD)
        side.close()


class Proxy:
    """`url` leads through it; `play` arms a prank, `happened` is set once it was played. `gate`: cleared, new
    connections are taken and left unanswered."""

    def __init__(self, url: str) -> None:
        self._target = int(url.rsplit(":", 1)[1].split("/")[0])
        self.port = free_port()
        self.url = url.replace(f":{self._target}/", f":{self.port}/")
        self.happened = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._prank: Prank | None = None
        self._held: tuple[_Link, bytes] | None = None
        self._links: list[_Link] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def play(self, prank: Prank) -> None:
        self.happened.clear()
        self._prank = prank

    def deliver(self) -> bytes:
        """Hand the held COMMIT over, and answer what the server says to it (nothing if it hung up)."""
        assert self._held is not None
        link, data = self._held
        link.server.settimeout(5)
        said = b""
        with suppress(OSError):
            link.server.sendall(data)
            while chunk := link.server.recv(65536):
                said += chunk
                if said.endswith(b"Z\x00\x00\x00\x05I"):
                    break
        return said

    def refuse(self) -> None:
        """Cut off everybody, and let nobody in any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            for side in (link.client, link.server):
                link.cut(side)

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self.refuse()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            link = _Link(client, server)
            self._links.append(link)
            threading.Thread(target=self._pump, args=(link, client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(link, server, client, False), daemon=True).start()

    def _pump(self, link: _Link, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.gate.wait()
                if from_client and COMMIT in data and self._prank is not None:
                    prank, self._prank = self._prank, None
                    self._trick(prank, link, data)
                    continue
                if link.muted and not from_client:
                    # The server has answered the COMMIT: now the client may learn that its connection is gone.
                    link.cut(link.client)
                    self.happened.set()
                    return
                if not link.muted:
                    sink.sendall(data)
        if not link.orphaned:
            link.cut(sink)

    def _trick(self, prank: Prank, link: _Link, data: bytes) -> None:
        if prank is Prank.SWALLOW:
            link.muted = True
            link.server.sendall(data)
            return
        if prank is Prank.HOLD:
            link.orphaned = True
            self._held = (link, data)
            link.cut(link.client)
        elif prank is Prank.LOSE:
            link.cut(link.client)
            link.cut(link.server)
        else:
            self.gate.clear()
        self.happened.set()
