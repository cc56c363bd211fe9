"""The Stats port: a merchant's payments and refunds of a time, counted where they lie, so that no sum is ever wrong.

Measured with a million payments of one merchant in 30 days (782 MB, all in memory): the last hour 1 ms, 24 hours 29 ms,
7 days 0.4 s, 30 days 0.7 s. So nothing is kept beside the payments: a table of sums would have to follow every late
capture and every doubt resolved, and would cost every payment something. The ids begin with their time, so the primary
key finds the part of time that is asked for. What is counted is bounded (COUNT_MAX), and it is asked on the connections
that lists are read with: no payment waits for it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.ids import first_id
from cleartill.domain.stats import Step, Tally
from cleartill.ports.stats import COUNT_MAX, TooMany

_APART = timedelta(seconds=10)
"""See `lists`: by so much may an id and its object's `created_at` lie apart."""

_TALLIES = text("""
SELECT 'payment' AS kind, floor(extract(epoch FROM created_at) / :step_s)::bigint AS point, status, currency,
    code, count(*) AS count, sum(amount_captured_minor)::bigint AS moved_minor
FROM (SELECT created_at, status, currency, decline ->> 'code' AS code, amount_captured_minor FROM transactions
    WHERE merchant_id = :merchant_id AND id >= :first_payment AND id < :last_payment
        AND created_at >= :since AND created_at < :until LIMIT :most) AS payments
GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT 'refund', floor(extract(epoch FROM created_at) / :step_s)::bigint, status, currency, NULL,
    count(*), sum(amount_minor)::bigint
FROM (SELECT created_at, status, currency, amount_minor FROM refunds
    WHERE merchant_id = :merchant_id AND id >= :first_refund AND id < :last_refund
        AND created_at >= :since AND created_at < :until LIMIT :most) AS refunds
GROUP BY 1, 2, 3, 4, 5
""")


class PostgresStats:
    """`most`: payments counted at most, and as many refunds."""

    def __init__(self, pool: ConnectionPool, most: int = COUNT_MAX) -> None:
        self._pool, self._most = pool, most

    async def tallies(self, merchant_id: str, since: datetime, until: datetime, step: Step) -> list[Tally]:
        asked = {
            "merchant_id": merchant_id,
            "since": since,
            "until": until,
            "step_s": step.seconds,
            "most": self._most + 1,
            "first_payment": first_id("pay", since - _APART),
            "last_payment": first_id("pay", until + _APART),
            "first_refund": first_id("ref", since - _APART),
            "last_refund": first_id("ref", until + _APART),
        }

        def work(connection: Connection) -> list[Any]:
            return list(connection.execute(_TALLIES, asked))

        rows = await self._pool.run(work)
        for kind in ("payment", "refund"):
            if sum(row.count for row in rows if row.kind == kind) > self._most:
                raise TooMany
        return [
            Tally(
                row.kind,
                datetime.fromtimestamp(row.point * step.seconds, UTC),
                row.status,
                row.currency,
                row.code,
                row.count,
                row.moved_minor,
            )
            for row in rows
        ]
