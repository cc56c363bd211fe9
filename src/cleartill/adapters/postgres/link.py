"""One connection on the event loop, for the one who writes: no thread, so no GIL to hand over and nobody to wake.

psycopg2's asynchronous connections are always in autocommit mode, and are asked one thing at a time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import psycopg2
from psycopg2 import extensions

from cleartill.adapters.postgres.patience import ANSWER_TIMEOUT_S

CONNECT_TIMEOUT_S = 3
Rows = list[tuple[Any, ...]]
Parameters = Sequence[Any] | Mapping[str, Any] | None


class Link:
    """Raises psycopg2.Error when PostgreSQL does; once the connection is gone, OperationalError or InterfaceError."""

    def __init__(self, connection: extensions.connection) -> None:
        self._connection, self._fd = connection, connection.fileno()
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[None] | None = None
        self._sending = False
        self.comment = ""
        """Begins each statement from now on; see comments."""
        self._loop.add_reader(self._fd, self._poll)

    @classmethod
    async def open(cls, arguments: dict[str, Any]) -> Self:
        """Raises psycopg2.OperationalError: nobody answers, or not in time."""
        connection = await asyncio.to_thread(psycopg2.connect, **arguments, async_=True)  # names are looked up first
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while (state := connection.poll()) != extensions.POLL_OK:
                    await _ready(connection.fileno(), state)
            return cls(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise psycopg2.OperationalError("no connection in time") from None
            raise

    @property
    def closed(self) -> bool:
        """By us, or because the server went away, also while nothing was asked."""
        return bool(self._connection.closed)

    async def run(self, sql: str, parameters: Parameters = None) -> Rows:
        """The rows of the last statement in `sql`. A server that keeps silent for ANSWER_TIMEOUT_S has gone."""
        cursor = self._connection.cursor()
        cursor.execute(self.comment + sql, parameters)
        self._answer = self._loop.create_future()
        silence = self._loop.call_later(ANSWER_TIMEOUT_S, self._lose, psycopg2.OperationalError("no answer in time"))
        try:
            self._poll()
            await self._answer
        finally:
            silence.cancel()
            self._answer = None
        return cursor.fetchall() if cursor.description else []

    def _poll(self) -> None:
        try:
            state = self._connection.poll()
        except psycopg2.Error as error:
            if error.pgcode and not self.closed:
                self._tell(error)
            else:
                self._lose(error)
            return
        sending = state == extensions.POLL_WRITE
        if sending and not self._sending:
            self._loop.add_writer(self._fd, self._poll)
        elif self._sending and not sending:
            self._loop.remove_writer(self._fd)
        self._sending = sending
        if state == extensions.POLL_OK:
            self._tell(None)

    def _tell(self, error: psycopg2.Error | None) -> None:
        if self._answer is None or self._answer.done():
            return
        if error:
            self._answer.set_exception(error)
        else:
            self._answer.set_result(None)

    def _lose(self, error: psycopg2.Error) -> None:
        self.close()
        self._tell(error)

    def close(self) -> None:
        """The server ends what is open, if it hears of it."""
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        with suppress(psycopg2.Error):
            self._connection.close()


async def _ready(fd: int, state: int) -> None:
    """Wait until the socket can be read or written. It is asked for anew each time: libpq may try several."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    if state == extensions.POLL_WRITE:
        add, remove = loop.add_writer, loop.remove_writer
    else:
        add, remove = loop.add_reader, loop.remove_reader
    add(fd, ready.set)
    try:
        await ready.wait()
    finally:
        remove(fd)
