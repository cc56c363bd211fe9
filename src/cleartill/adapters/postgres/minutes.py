"""The Minutes port: rows that later revisions of themselves replace, read by time, forgotten in small deletes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.histogram import Histogram
from cleartill.domain.minute import Minute
from cleartill.ports.minutes import MINUTES_MAX

_WRITE = text("""
INSERT INTO minutes (instance, number, revision, role, minute, started_at, began_at, counts, latencies, gauges)
SELECT instance, number, revision, role, minute, started_at, began_at, counts, latencies, gauges
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (instance text, number bigint, revision integer, role text,
    minute timestamptz, started_at timestamptz, began_at timestamptz, counts jsonb, latencies jsonb, gauges jsonb)
ON CONFLICT (instance, number) DO UPDATE SET revision = EXCLUDED.revision, counts = EXCLUDED.counts,
    latencies = EXCLUDED.latencies, gauges = EXCLUDED.gauges, written_at = now()
WHERE minutes.revision < EXCLUDED.revision
""")

_SINCE = text("""
SELECT instance, number, revision, role, minute, started_at, began_at, counts, gauges,
    CASE WHEN minute >= :latencies_from THEN latencies ELSE '{}' END AS latencies,
    extract(epoch FROM now() - written_at) AS age_s
FROM minutes WHERE minute >= :since ORDER BY minute DESC LIMIT :most
""")

# By the time that the index has; `written_at` decides, so that a process whose clock is wrong loses nothing of now.
_FORGET = text("""
DELETE FROM minutes WHERE (instance, number) IN (
    SELECT instance, number FROM minutes
    WHERE minute < now() - interval '1 second' * :older_than_s
        AND written_at < now() - interval '1 second' * :older_than_s
    ORDER BY minute LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


class PostgresMinutes:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def write(self, minutes: Sequence[Minute]) -> None:
        document = orjson.dumps([_row(minute) for minute in minutes]).decode()
        await self._pool.run(lambda connection: connection.execute(_WRITE, {"rows": document}))

    async def since(self, at: datetime, latencies_from: datetime) -> list[Minute]:
        asked = {"since": at, "latencies_from": latencies_from, "most": MINUTES_MAX}

        def work(connection: Connection) -> list[Minute]:
            return [_minute(row) for row in connection.execute(_SINCE, asked)]

        return await self._pool.run(work)

    async def forget(self, older_than_s: float, limit: int) -> int:
        asked = {"older_than_s": older_than_s, "limit": limit}
        return await self._pool.run(lambda connection: connection.execute(_FORGET, asked).rowcount)


def _row(minute: Minute) -> dict[str, Any]:
    return {
        "instance": minute.instance,
        "number": minute.number,
        "revision": minute.revision,
        "role": minute.role,
        "minute": minute.minute,
        "started_at": minute.started_at,
        "began_at": minute.began_at,
        "counts": minute.counts,
        "latencies": {name: histogram.written() for name, histogram in minute.latencies.items()},
        "gauges": minute.gauges,
    }


def _minute(row: Any) -> Minute:
    return Minute(
        instance=row.instance,
        number=row.number,
        role=row.role,
        minute=row.minute,
        started_at=row.started_at,
        began_at=row.began_at,
        revision=row.revision,
        counts=row.counts,
        latencies={name: Histogram.read(flat) for name, flat in row.latencies.items()},
        gauges={name: (value, at) for name, (value, at) in row.gauges.items()},
        age_s=max(0.0, float(row.age_s)),
    )
