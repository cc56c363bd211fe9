"""The Retention port: small batches by an index of their own, in transactions of milliseconds that wait for nobody.

A batch looks at the oldest rows, locks those that may go and that nobody holds (SKIP LOCKED), and deletes them. What is
looked at and may not go is not locked. No payment wants any of these rows, but for one that uses a key again in the
very moment it is let go: it waits for the end of that batch. The commit need not be on disk: what a crash brings back
is purged again, and whoever takes a purged key writes to the log behind it.

The walk goes on behind the last batch. Beginning with the oldest each time, it would go over every row that was deleted
since VACUUM was there last: a million rows took 2,000 batches.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.retention import Perishable
from cleartill.ports import Purged

SLACK = timedelta(minutes=1)
"""All is kept so much longer. A transaction lives for 5 s at most: one that began earlier, by whose clock a row must
still be there, can then not find it gone. (Reconciliation would call it lost, or its key used twice.)"""
TRIES_PER_DELIVERY = 4
"""Deleted in one batch, for each delivery it may look at. A delivery may have any number: it goes with the last."""
_TICK = timedelta(microseconds=1)

_BOUNDS = text("""
SET LOCAL lock_timeout = 100;
SET LOCAL statement_timeout = 2000;
SET LOCAL synchronous_commit = off;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off
""")

# An attempt is open while `settled_by` is null. (Asked for its status, PostgreSQL might go through all that are open.)
_KEYS = text("""
WITH seen AS MATERIALIZED (
    SELECT merchant_id, scope, key, created_at AS at FROM idempotency_keys
    WHERE scope NOT LIKE 'callback:%' AND created_at >= coalesce(CAST(:beyond AS timestamptz), '-infinity')
        AND created_at <= now() - CAST(:kept AS interval)
    ORDER BY created_at LIMIT :limit),
free AS MATERIALIZED (
    SELECT k.merchant_id, k.scope, k.key FROM seen JOIN idempotency_keys k USING (merchant_id, scope, key)
    WHERE k.answer_status <> 202 AND k.answered_at <= now() - CAST(:kept AS interval)
        AND NOT EXISTS (SELECT FROM attempts a
            WHERE a.merchant_id = k.merchant_id AND a.key = k.attempt_key AND a.settled_by IS NULL)
        AND NOT EXISTS (SELECT FROM transfers t WHERE t.merchant_id = k.merchant_id AND t.id = k.transaction_id
            AND t.status NOT IN ('succeeded', 'failed'))
    FOR UPDATE OF k SKIP LOCKED),
gone AS (
    DELETE FROM idempotency_keys k USING free f
    WHERE k.merchant_id = f.merchant_id AND k.scope = f.scope AND k.key = f.key RETURNING 1)
SELECT (SELECT count(*) FROM gone) AS gone, count(*) AS seen, max(at) AS last FROM seen
""")

_CALLBACKS = text("""
WITH seen AS MATERIALIZED (
    SELECT merchant_id, scope, key, created_at AS at FROM idempotency_keys
    WHERE scope LIKE 'callback:%' AND created_at >= coalesce(CAST(:beyond AS timestamptz), '-infinity')
        AND created_at <= now() - CAST(:kept AS interval)
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED),
gone AS (
    DELETE FROM idempotency_keys k USING seen s
    WHERE k.merchant_id = s.merchant_id AND k.scope = s.scope AND k.key = s.key RETURNING 1)
SELECT (SELECT count(*) FROM gone) AS gone, count(*) AS seen, max(at) AS last FROM seen
""")

# Webhooks are made of events in about the order in which these were written. So all that is older than the first of
# those that wait, less an hour, has been made into them: no transaction lasts that long.
_EVENTS = text("""
WITH waiting AS MATERIALIZED (
    SELECT o.created_at FROM webhook_wanted w JOIN outbox o USING (merchant_id, subject_id, seq)
    ORDER BY w.number LIMIT 1),
seen AS MATERIALIZED (
    SELECT merchant_id, subject_id, seq, published_at AS at FROM outbox
    WHERE published_at >= coalesce(CAST(:beyond AS timestamptz), '-infinity')
        AND published_at <= now() - CAST(:kept AS interval)
    ORDER BY published_at LIMIT :limit),
free AS MATERIALIZED (
    SELECT o.merchant_id, o.subject_id, o.seq FROM seen JOIN outbox o USING (merchant_id, subject_id, seq)
    WHERE o.created_at < coalesce((SELECT created_at FROM waiting) - interval '1 hour', 'infinity')
    FOR UPDATE OF o SKIP LOCKED),
gone AS (
    DELETE FROM outbox o USING free f
    WHERE o.merchant_id = f.merchant_id AND o.subject_id = f.subject_id AND o.seq = f.seq RETURNING 1)
SELECT (SELECT count(*) FROM gone) AS gone, count(*) AS seen, max(at) AS last FROM seen
""")

# `next_at` of one that is final is when it became so.
_RESTING = text("""
SELECT merchant_id, id, next_at AS at FROM webhook_deliveries
WHERE status <> 'pending' AND next_at >= coalesce(CAST(:beyond AS timestamptz), '-infinity')
    AND next_at <= now() - CAST(:kept AS interval)
ORDER BY next_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_TRIES = text("""
DELETE FROM webhook_attempts WHERE (merchant_id, delivery_id, number) IN (
    SELECT a.merchant_id, a.delivery_id, a.number
    FROM unnest(CAST(:merchants AS text[]), CAST(:ids AS text[])) AS d (merchant_id, id)
    JOIN webhook_attempts a ON a.merchant_id = d.merchant_id AND a.delivery_id = d.id LIMIT :most)
""")

_DELIVERIES = text("""
DELETE FROM webhook_deliveries w
USING unnest(CAST(:merchants AS text[]), CAST(:ids AS text[])) AS d (merchant_id, id)
WHERE w.merchant_id = d.merchant_id AND w.id = d.id
    AND NOT EXISTS (SELECT FROM webhook_attempts a WHERE a.merchant_id = w.merchant_id AND a.delivery_id = w.id)
""")

_SESSIONS = text("""
WITH seen AS MATERIALIZED (
    SELECT digest, expires_at AS at FROM sessions
    WHERE expires_at >= coalesce(CAST(:beyond AS timestamptz), '-infinity')
        AND expires_at <= now() - CAST(:kept AS interval)
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM sessions s USING seen WHERE s.digest = seen.digest RETURNING 1)
SELECT (SELECT count(*) FROM gone) AS gone, count(*) AS seen, max(at) AS last FROM seen
""")

_IN_ONE = {
    Perishable.IDEMPOTENCY_KEYS: _KEYS,
    Perishable.CALLBACKS: _CALLBACKS,
    Perishable.EVENTS: _EVENTS,
    Perishable.SESSIONS: _SESSIONS,
}


class PostgresRetention:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def purge(self, what: Perishable, kept: timedelta, beyond: datetime | None, limit: int) -> Purged:
        asked = {"kept": kept + SLACK, "beyond": beyond, "limit": limit}

        def work(connection: Connection) -> Purged:
            connection.execute(_BOUNDS)
            if what is Perishable.DELIVERIES:
                return _purge_deliveries(connection, asked)
            row = connection.execute(_IN_ONE[what], asked).one()
            return Purged(row.gone, _beyond(asked, row.seen, row.last))

        return await self._pool.run(work)


def _purge_deliveries(connection: Connection, asked: dict[str, Any]) -> Purged:
    """Their tries first, as many as a batch may delete; then those that have none left."""
    resting = connection.execute(_RESTING, asked).all()
    if not resting:
        return Purged(0, None)
    named = {"merchants": [row.merchant_id for row in resting], "ids": [row.id for row in resting]}
    most = TRIES_PER_DELIVERY * asked["limit"]
    tries = connection.execute(_TRIES, {**named, "most": most}).rowcount
    gone = connection.execute(_DELIVERIES, named).rowcount
    return Purged(gone, resting[0].at if tries == most else _beyond(asked, len(resting), resting[-1].at))


def _beyond(asked: dict[str, Any], seen: int, last: datetime) -> datetime | None:
    """Where the next batch begins. Many rows may be of one moment: those that stay are gone over again, unless they
    fill a batch, which would never end."""
    if seen < asked["limit"]:
        return None
    return last if asked["beyond"] is None or last > asked["beyond"] else last + _TICK
