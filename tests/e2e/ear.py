"""A DogStatsD that keeps what it hears, on a thread."""

import socket
import threading
import time
from collections import Counter
from typing import Self

from cleartill.embedded.scratch import free_port
from cleartill.telemetry.datadog.datagrams import Heard, Malformed

KERNEL_KEEPS = 4_000_000


class Ear:
    """Listens on `port` from `with` to its end."""

    def __init__(self) -> None:
        self.port, self.kept = free_port(), Heard()
        self.malformed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_KEEPS)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.settimeout(0.2)
        self._over = threading.Event()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def heard(self, metric: str, tags: set[str]) -> bool:
        """Whether something of that name came with these tags among its own."""
        with self._lock:
            return any(tags <= one.tags for one in self.kept.series(metric))

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                datagram = self._socket.recv(65_535)
            except TimeoutError:
                continue
            try:
                with self._lock:
                    self.kept.receive(datagram, time.time())
            except Malformed as error:
                self.malformed[str(error)] += 1
