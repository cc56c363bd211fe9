"""Deliveries as they are made, claimed and settled: every statement is bounded, and none waits for another worker.

A claim is a row whose next time lies `CLAIM_S` ahead: nobody else finds it due, and whoever died with it is succeeded
when that time has come. Its epoch tells the two apart.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from cleartill.adapters.postgres import webhook_rows
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.adapters.postgres.facts import write_facts
from cleartill.domain.ids import new_id
from cleartill.domain.webhook import GIVEN_UP_AFTER, DeliveryStatus, Why
from cleartill.ports import Depth, Lane, Parcel, Place, Tried

CLAIM_S = 30
"""Longer than a try may take, and the time until it is written down."""

# PostgreSQL plans a statement over a document of unknown size as if it were large: it would go through whole tables.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"

_TAKE = text(
    _BY_INDEX
    + """
WITH taken AS (
    DELETE FROM webhook_wanted WHERE number IN (
        SELECT number FROM webhook_wanted ORDER BY number LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING number, merchant_id, subject_id, seq)
SELECT t.merchant_id, t.subject_id, t.seq, e.id AS endpoint_id
FROM taken t JOIN outbox o USING (merchant_id, subject_id, seq)
LEFT JOIN webhook_endpoints e ON e.merchant_id = t.merchant_id AND e.disabled_at IS NULL AND e.deleted_at IS NULL
    AND (e.event_types = '{}' OR o.type = ANY (e.event_types))
ORDER BY t.number
"""
)

# A microsecond apart, so that they are sent in about the order in which they happened.
_MAKE = text(
    _BY_INDEX
    + """
INSERT INTO webhook_deliveries (merchant_id, id, endpoint_id, event_id, type, subject_id, seq, event, next_at)
SELECT r.merchant_id, r.id, r.endpoint_id, o.event ->> 'id', o.type, r.subject_id, r.seq, o.event,
    now() + interval '1 microsecond' * r.place
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (merchant_id text, id text, endpoint_id text, subject_id text,
    seq integer, place integer)
JOIN outbox o USING (merchant_id, subject_id, seq)
ON CONFLICT (merchant_id, endpoint_id, event_id) DO NOTHING
"""
)

# From endpoint to endpoint by the index, however many deliveries each of them has.
_LANES = text(
    _BY_INDEX
    + """
WITH RECURSIVE lanes AS (
    (SELECT merchant_id, endpoint_id, next_at FROM webhook_deliveries
     WHERE status = 'pending' AND (merchant_id, endpoint_id) > (:merchant_id, :endpoint_id)
     ORDER BY merchant_id, endpoint_id, next_at LIMIT 1)
    UNION ALL
    SELECT n.merchant_id, n.endpoint_id, n.next_at FROM lanes l CROSS JOIN LATERAL (
        SELECT merchant_id, endpoint_id, next_at FROM webhook_deliveries d
        WHERE d.status = 'pending' AND (d.merchant_id, d.endpoint_id) > (l.merchant_id, l.endpoint_id)
        ORDER BY d.merchant_id, d.endpoint_id, d.next_at LIMIT 1) n)
SELECT l.merchant_id, l.endpoint_id, e.failing_since IS NOT NULL AS failing,
    l.next_at <= now() AND e.disabled_at IS NULL AND e.deleted_at IS NULL AS due
FROM (SELECT * FROM lanes LIMIT :limit) l
JOIN webhook_endpoints e ON e.merchant_id = l.merchant_id AND e.id = l.endpoint_id
ORDER BY l.merchant_id, l.endpoint_id
"""
)

_CLAIM = text(
    _BY_INDEX
    + """
WITH picked AS MATERIALIZED (
    SELECT d.merchant_id, d.id
    FROM unnest(CAST(:merchants AS text[]), CAST(:endpoints AS text[]), CAST(:rooms AS integer[]))
        AS lane (merchant_id, endpoint_id, room)
    CROSS JOIN LATERAL (
        SELECT w.merchant_id, w.id FROM webhook_deliveries w
        WHERE w.status = 'pending' AND w.merchant_id = lane.merchant_id AND w.endpoint_id = lane.endpoint_id
            AND w.next_at <= now()
        ORDER BY w.next_at LIMIT lane.room FOR NO KEY UPDATE SKIP LOCKED) d),
claimed AS (
    UPDATE webhook_deliveries w SET epoch = epoch + 1, claimed = true, next_at = now() + interval '1 second' * :claim_s
    FROM picked p WHERE w.merchant_id = p.merchant_id AND w.id = p.id
    RETURNING w.merchant_id, w.id, w.endpoint_id, w.epoch, w.tries, w.event_id, w.type, w.subject_id, w.seq,
        w.event::text AS body, w.event ->> 'traceparent' AS traceparent,
        extract(epoch FROM now() - w.created_at)::float8 AS waited_s)
SELECT c.*, e.url, e.secret, CASE WHEN e.old_secret_until > now() THEN e.old_secret END AS old_secret
FROM claimed c JOIN webhook_endpoints e ON e.merchant_id = c.merchant_id AND e.id = c.endpoint_id
WHERE e.disabled_at IS NULL AND e.deleted_at IS NULL
"""
)

# Not `AND d.status = 'pending'`, which is so for all that is claimed: it would open the way by
# `webhook_deliveries_due`, through all that waits for this endpoint.
_SETTLE = text(
    _BY_INDEX
    + """
WITH moved AS (
    UPDATE webhook_deliveries d SET status = r.became, claimed = false, tries = tries + 1, attempts = attempts + 1,
        next_at = now() + interval '1 second' * r.again_in_s,
        delivered_at = CASE WHEN r.became = 'delivered' THEN now() END
    FROM jsonb_to_recordset(CAST(:tried AS jsonb)) AS r (merchant_id text, id text, epoch bigint, became text,
        again_in_s float8, at timestamptz, heard smallint, error text, latency_ms float8, answer text)
    WHERE d.merchant_id = r.merchant_id AND d.id = r.id AND d.epoch = r.epoch AND d.claimed
    RETURNING d.merchant_id, d.id, d.attempts, r.at, r.heard, r.error, r.latency_ms, r.answer)
INSERT INTO webhook_attempts (merchant_id, delivery_id, number, at, status, error, latency_ms, answer)
SELECT merchant_id, id, attempts, at, heard, error, latency_ms, answer FROM moved
RETURNING merchant_id, delivery_id
"""
)

# Only those whose row has to change: while all is well, none is locked.
_HEALTH = text("""
SELECT e.*, now() AS now
FROM webhook_endpoints e
JOIN jsonb_to_recordset(CAST(:places AS jsonb)) AS r (merchant_id text, id text, ok boolean, gone boolean)
    USING (merchant_id, id)
WHERE CASE WHEN r.ok THEN e.failing_since IS NOT NULL
    ELSE e.failing_since IS NULL OR r.gone OR e.failing_since <= now() - CAST(:given_up_after AS interval) END
ORDER BY e.merchant_id, e.id FOR NO KEY UPDATE OF e
""")

_DEPTH = text("""
SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(d.next_at)), 0) AS oldest_s
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.merchant_id = d.merchant_id AND e.id = d.endpoint_id
WHERE d.status = 'pending' AND e.disabled_at IS NULL AND e.deleted_at IS NULL
""")


class PostgresDeliveries:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def fan_out(self, limit: int) -> int:
        def work(connection: Connection) -> int:
            taken = connection.execute(_TAKE, {"limit": limit}).all()
            wanted = [
                {
                    "merchant_id": row.merchant_id,
                    "id": new_id("dlv"),
                    "endpoint_id": row.endpoint_id,
                    "subject_id": row.subject_id,
                    "seq": row.seq,
                    "place": place,
                }
                for place, row in enumerate(taken)
                if row.endpoint_id is not None
            ]
            if wanted:
                connection.execute(_MAKE, {"rows": orjson.dumps(wanted).decode()})
            return len({(row.merchant_id, row.subject_id, row.seq) for row in taken})

        return await self._pool.run(work)

    async def lanes(self, beyond: Place, limit: int) -> list[Lane]:
        asked = {"merchant_id": beyond[0], "endpoint_id": beyond[1], "limit": limit}
        found = await self._pool.run(lambda connection: connection.execute(_LANES, asked).all())
        return [Lane((row.merchant_id, row.endpoint_id), row.due, row.failing) for row in found]

    async def claim(self, shares: Sequence[tuple[Place, int]]) -> list[Parcel]:
        asked = {
            "merchants": [place[0] for place, _ in shares],
            "endpoints": [place[1] for place, _ in shares],
            "rooms": [room for _, room in shares],
            "claim_s": CLAIM_S,
        }
        found = await self._pool.run(lambda connection: connection.execute(_CLAIM, asked).all())
        return [_parcel_from(row) for row in found]

    async def settle(self, tried: Sequence[Tried]) -> list[tuple[Tried, Why | None]]:
        document = orjson.dumps([_tried_row(one) for one in tried]).decode()

        def work(connection: Connection) -> list[tuple[Tried, Why | None]]:
            moved = {tuple(row) for row in connection.execute(_SETTLE, {"tried": document})}
            ours = [one for one in tried if (one.parcel.merchant_id, one.parcel.id) in moved]
            disabled = _look_after(connection, ours) if ours else {}
            return [(one, disabled.pop(one.parcel.place, None)) for one in ours]

        return await self._pool.run(work)

    async def depths(self) -> list[Depth]:
        row = await self._pool.run(lambda connection: connection.execute(_DEPTH).one())
        oldest_s = max(0.0, float(row.oldest_s))
        return [Depth("webhook.pending", float(row.pending)), Depth("webhook.oldest_s", oldest_s)]


def _look_after(connection: Connection, tried: Sequence[Tried]) -> dict[Place, Why]:
    """What these tries tell of their endpoints; those that are disabled now."""
    places: dict[Place, dict[str, Any]] = {}
    for one in tried:
        if not one.counts:
            continue
        merchant_id, id = one.parcel.place
        told = places.setdefault((merchant_id, id), {"merchant_id": merchant_id, "id": id, "ok": False, "gone": False})
        told["ok"] |= one.heard.ok
        told["gone"] |= one.heard.gone
    asked = {"places": orjson.dumps(list(places.values())).decode(), "given_up_after": GIVEN_UP_AFTER}
    disabled: dict[Place, Why] = {}
    for row in connection.execute(_HEALTH, asked).all():
        place, endpoint = (row.merchant_id, row.id), webhook_rows.endpoint_from(row)
        told = places[place]
        now, fact = endpoint.tried(ok=told["ok"], gone=told["gone"], at=row.now)
        webhook_rows.save(connection, now)
        if fact is not None and now.disabled_reason is not None:
            disabled[place] = now.disabled_reason
            write_facts(connection, [fact], next(one.origin for one in tried if one.parcel.place == place))
    return disabled


def _parcel_from(row: Any) -> Parcel:
    secrets = (bytes(row.secret),) if row.old_secret is None else (bytes(row.secret), bytes(row.old_secret))
    return Parcel(
        merchant_id=row.merchant_id,
        id=row.id,
        endpoint_id=row.endpoint_id,
        epoch=row.epoch,
        tries=row.tries,
        url=row.url,
        secrets=secrets,
        event_id=row.event_id,
        type=row.type,
        subject_id=row.subject_id,
        seq=row.seq,
        body=row.body.encode(),
        traceparent=row.traceparent,
        waited_s=row.waited_s,
    )


def _tried_row(tried: Tried) -> dict[str, Any]:
    heard = tried.heard
    return {
        "merchant_id": tried.parcel.merchant_id,
        "id": tried.parcel.id,
        "epoch": tried.parcel.epoch,
        "became": tried.status,
        "again_in_s": tried.again_in_s if tried.status is DeliveryStatus.PENDING else 0.0,
        "at": tried.at,
        "heard": heard.status,
        "error": heard.error,
        "latency_ms": heard.latency_ms,
        "answer": heard.text,
    }
