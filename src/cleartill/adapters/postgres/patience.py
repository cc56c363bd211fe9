"""Connections that do not wait for a frozen server for ever.

TCP cannot tell that a server which keeps its connections open is frozen, and libpq would wait. psycopg2's own way to
bound that, a wait callback, takes the GIL several times for each statement, each time from an event loop that is busy.
So a statement of the pool waits in libpq, without the GIL, and one thread cuts off the connection whose server has not
answered in time; libpq then reports it as lost. (`link`, which waits on the loop, has a timer there.)
"""

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import psycopg2
from psycopg2 import extensions

ANSWER_TIMEOUT_S = 6.0
"""Above `transaction_timeout`: a server that still has not answered is not slow."""
_LOOK_S = 0.25


class ImpatientCursor(extensions.cursor):
    """Tells its connection since when it waits."""

    def execute(self, query: Any, vars: Any = None) -> None:
        connection: Any = self.connection
        connection.asked_at = time.monotonic()
        try:
            super().execute(query, vars)
        finally:
            connection.asked_at = None


class ImpatientConnection(extensions.connection):
    """Cut off when a statement, a commit or a rollback has waited for `ANSWER_TIMEOUT_S`: psycopg2.OperationalError."""

    asked_at: float | None = None
    """Monotonic seconds; None while nothing is asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = ImpatientCursor
        _watchman.watch(self)

    def commit(self) -> None:
        self.asked_at = time.monotonic()
        try:
            super().commit()
        finally:
            self.asked_at = None

    def rollback(self) -> None:
        self.asked_at = time.monotonic()
        try:
            super().rollback()
        finally:
            self.asked_at = None


class _Watchman:
    """One thread for all connections of the process, from the first one on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: WeakSet[ImpatientConnection] = WeakSet()
        self._thread: threading.Thread | None = None

    def watch(self, connection: ImpatientConnection) -> None:
        with self._lock:
            self._watched.add(connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="books-patience", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                watched = list(self._watched)
            for connection in watched:
                asked_at = connection.asked_at
                if asked_at is not None and asked_at + ANSWER_TIMEOUT_S < time.monotonic():
                    _cut_off(connection)
            del watched


def _cut_off(connection: ImpatientConnection) -> None:
    """End its socket under libpq, which then reads the end of the stream."""
    with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)


_watchman = _Watchman()
