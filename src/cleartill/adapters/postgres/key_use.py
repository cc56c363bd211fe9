"""When each API key was last used: noted in memory, written now and then, for all keys at once."""

import asyncio
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.merchant import ApiKey

NOT_AGAIN_FOR_S = 60.0
WRITE_EVERY_S = 5.0
NOTED_MAX = 10_000
log = logging.getLogger(__name__)

# Several processes may have seen the key within one minute: the first one writes.
_WRITE = text("""
UPDATE api_keys k SET last_used_at = used.at
FROM unnest(CAST(:merchants AS text[]), CAST(:keys AS text[]), CAST(:times AS timestamptz[])) AS used (merchant, id, at)
WHERE k.merchant_id = used.merchant AND k.id = used.id
    AND (k.last_used_at IS NULL OR k.last_used_at <= used.at - interval '1 minute')
""")


class KeyUse:
    """A key that is used all the time costs one dictionary lookup a request, and one row in an UPDATE a minute."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._not_before: dict[tuple[str, str], float] = {}
        self._noted: dict[tuple[str, str], datetime] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, key: ApiKey) -> None:
        which = (key.merchant_id, key.id)
        now = time.monotonic()
        if now < self._not_before.get(which, 0.0):
            return
        if len(self._not_before) >= NOTED_MAX:
            self._not_before.clear()
        self._not_before[which] = now + NOT_AGAIN_FOR_S
        self._noted[which] = datetime.now(UTC)

    def start(self) -> None:
        self._task = asyncio.create_task(self._write_now_and_then())

    async def close(self) -> None:
        """What was noted last is written."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.write()

    async def write(self) -> None:
        """Write what is noted. With the database away it is lost: it is no more than a hint for people."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        values = {
            "merchants": [merchant_id for merchant_id, _ in noted],
            "keys": [key_id for _, key_id in noted],
            "times": list(noted.values()),
        }

        def work(connection: Connection) -> None:
            connection.execute(_WRITE, values)

        try:
            await self._pool.run(work)
        except BooksUnavailable:
            log.warning("when %d keys were last used could not be written", len(noted))

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()
