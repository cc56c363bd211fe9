"""One connection that listens: whoever changes an API key, in whatever process, all others are told at the commit.

A trigger on the table notifies, so an operator's own UPDATE counts too. The connection is tried again with backoff;
what was said while nobody listened is lost, so the cache is told when that begins and when it ends. It needs a session
of its own: a pooler in transaction mode before PostgreSQL would pass no word on, and a change would take 5 seconds.
"""

import asyncio
import logging
from contextlib import suppress

import psycopg2
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from cleartill.adapters.postgres import faults
from cleartill.adapters.postgres.key_cache import KeyCache
from cleartill.domain.backoff import delay_s

AGAIN_S, AGAIN_MOST_S = 0.1, 5.0
log = logging.getLogger(__name__)


class KeyListener:
    """Keeps `cache` true. `engine`: of its own, with one connection; it is disposed of at the end."""

    def __init__(self, engine: Engine, cache: KeyCache) -> None:
        self._engine, self._cache = engine, cache
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Does not wait: until it listens, the cache is not used."""
        self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._engine.dispose()

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connect()
            except (SQLAlchemyError, psycopg2.Error) as error:
                log.warning("cannot listen for changed keys: %s", faults.describe(error))
            else:
                failures = 0
                try:
                    await self._hear(connection)
                finally:
                    self._cache.hears(False)
                    connection.invalidate()
                    connection.close()
                log.warning("the connection that listens for changed keys was lost")
            failures += 1
            await asyncio.sleep(delay_s(failures, base_s=AGAIN_S, cap_s=AGAIN_MOST_S))

    async def _connect(self) -> Connection:
        connecting = asyncio.ensure_future(asyncio.to_thread(self._connected))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:  # a thread cannot be stopped: take what it brings, at most a few seconds later
            with suppress(SQLAlchemyError, psycopg2.Error):
                (await connecting).close()
            raise

    def _connected(self) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.exec_driver_sql("LISTEN cleartill_api_keys")
        except BaseException:
            connection.close()
            raise
        return connection

    async def _hear(self, connection: Connection) -> None:
        """Until the connection is lost. The cache is used only once LISTEN has been answered."""
        raw = connection.connection.driver_connection
        assert raw is not None
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()

        def heard() -> None:
            try:
                raw.poll()
            except psycopg2.Error:
                if not lost.done():
                    lost.set_result(None)
                return
            while raw.notifies:
                self._cache.forget(raw.notifies.pop(0).payload)

        socket = raw.fileno()
        loop.add_reader(socket, heard)
        try:
            self._cache.hears(True)
            heard()  # what came with the answer to LISTEN itself
            await lost
        finally:
            loop.remove_reader(socket)
