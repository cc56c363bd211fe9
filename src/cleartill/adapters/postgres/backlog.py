"""The Backlog port: due work, claimed with SKIP LOCKED, leased on the database's clock, fenced by epochs."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, func, select, text

from cleartill.adapters.postgres import rows, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.attempt import Attempt
from cleartill.domain.card import SealedCard
from cleartill.ports import Depth, Lease, Origin, OutboxRow, Published

LEASE_S = 30
_DUE = text("""
UPDATE attempts SET tries = tries + 1,
    resolve_at = now() + interval '1 second' * least(20, 5 * 2 ^ least(tries, 7)) * (0.9 + 0.2 * random())
WHERE (merchant_id, key) IN (
    SELECT merchant_id, key FROM attempts WHERE status = 'open' AND resolve_at <= now()
    ORDER BY resolve_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING *
""")

_LAPSED = text("""
UPDATE transactions SET lapses_at = now() + interval '1 minute'
WHERE (merchant_id, id) IN (
    SELECT merchant_id, id FROM transactions WHERE lapses_at <= now() AND status = 'authorized'
    ORDER BY lapses_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
RETURNING merchant_id, id
""")

_RENEW = text("""
UPDATE outbox_leases SET until = now() + interval '1 second' * :lease_s
WHERE owner = :owner AND until > now() RETURNING shard, epoch
""")

_TAKE = text("""
UPDATE outbox_leases SET owner = :owner, epoch = epoch + 1, until = now() + interval '1 second' * :lease_s
WHERE shard IN (SELECT shard FROM outbox_leases WHERE until <= now()
    ORDER BY shard LIMIT :free FOR UPDATE SKIP LOCKED)
RETURNING shard, epoch
""")

_MARK = text("""
UPDATE outbox o SET published_at = now(), kafka_partition = r.partition, kafka_offset = r."offset"
FROM jsonb_to_recordset(CAST(:reports AS jsonb)) AS r (merchant_id text, subject_id text, seq integer, shard smallint,
    epoch bigint, partition integer, "offset" bigint)
WHERE o.merchant_id = r.merchant_id AND o.subject_id = r.subject_id AND o.seq = r.seq AND o.published_at IS NULL
    AND EXISTS (SELECT FROM outbox_leases l WHERE l.shard = r.shard AND l.epoch = r.epoch)
""")

_IN_ORDER = text("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
"""Read along the index, which is in order. Of the usual outbox next to nothing is unpublished, so PostgreSQL would plan
to sort that; after an hour without Kafka it would sort all of an hour's events for each batch of them, until the tables
are analysed again: of 100,000 that took 160 ms a batch, and ten times as long of ten times as many."""

_REWRAP = text("""
WITH free AS (
    SELECT v.merchant_id, v.token, w.new, w.version
    FROM unnest(CAST(:merchants AS text[]), CAST(:tokens AS text[]), CAST(:olds AS bytea[]), CAST(:news AS bytea[]),
        CAST(:versions AS integer[])) AS w (merchant_id, token, old, new, version)
    JOIN card_vault v ON v.merchant_id = w.merchant_id AND v.token = w.token AND v.sealed = w.old
    FOR NO KEY UPDATE OF v SKIP LOCKED)
UPDATE card_vault v SET sealed = free.new, key_version = free.version
FROM free WHERE v.merchant_id = free.merchant_id AND v.token = free.token
""")
"""A card that somebody else holds is left to them: waiting would end in a lock timeout where two rotations meet on a
slow disk, and what is left over is found again."""

_OUTBOX_DEPTH = text("""
SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS oldest_s
FROM outbox WHERE published_at IS NULL
""")
_DOUBT_DEPTH = text("""
SELECT currency, count(*) AS open, extract(epoch FROM now() - min(created_at)) AS oldest_s, sum(amount_minor) AS amount
FROM attempts WHERE status = 'open' AND (tries > 0 OR reason IS NOT NULL) GROUP BY currency
""")


class PostgresBacklog:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def due_attempts(self, limit: int) -> list[tuple[Attempt, Origin]]:
        def work(connection: Connection) -> list[tuple[Attempt, Origin]]:
            due = connection.execute(_DUE, {"limit": limit}).all()
            return [(rows.attempt_from(row), Origin(**row.origin)) for row in due]

        return await self._pool.run(work)

    async def due_holds(self, limit: int) -> list[tuple[str, str]]:
        def work(connection: Connection) -> list[tuple[str, str]]:
            return [(row.merchant_id, row.id) for row in connection.execute(_LAPSED, {"limit": limit})]

        return await self._pool.run(work)

    async def lease_outbox(self, owner: str, share: int) -> Lease:
        def work(connection: Connection) -> Lease:
            ours = {row.shard: row.epoch for row in connection.execute(_RENEW, {"owner": owner, "lease_s": LEASE_S})}
            free = share - len(ours)
            if free > 0:
                taken = connection.execute(_TAKE, {"owner": owner, "lease_s": LEASE_S, "free": free})
                ours.update((row.shard, row.epoch) for row in taken)
            return Lease(owner, ours)

        return await self._pool.run(work)

    async def unpublished(self, lease: Lease, limit: int) -> list[OutboxRow]:
        def work(connection: Connection) -> list[OutboxRow]:
            o = tables.outbox.c
            connection.execute(_IN_ORDER)
            waiting = connection.execute(
                select(tables.outbox)
                .where(o.published_at.is_(None), o.shard.in_(list(lease.epochs)))
                .order_by(o.shard, o.subject_id, o.seq)
                .limit(limit)
            )
            return [
                OutboxRow(
                    row.merchant_id,
                    row.subject_id,
                    row.seq,
                    orjson.dumps(row.event),
                    row.type,
                    row.event.get("traceparent"),
                    at=row.created_at,
                )
                for row in waiting
            ]

        return await self._pool.run(work)

    async def mark_published(self, lease: Lease, reports: Sequence[Published]) -> int:
        document = [
            {
                "merchant_id": report.row.merchant_id,
                "subject_id": report.row.subject_id,
                "seq": report.row.seq,
                "shard": (shard := rows.shard(report.row.subject_id)),
                "epoch": lease.epochs[shard],
                "partition": report.partition,
                "offset": report.offset,
            }
            for report in reports
        ]
        reports_json = orjson.dumps(document).decode()
        return await self._pool.run(lambda connection: connection.execute(_MARK, {"reports": reports_json}).rowcount)

    async def depths(self) -> list[Depth]:
        def work(connection: Connection) -> list[Depth]:
            outbox = connection.execute(_OUTBOX_DEPTH).one()
            doubts = connection.execute(_DOUBT_DEPTH).all()
            return [
                Depth("outbox.pending", float(outbox.pending)),
                Depth("outbox.oldest_s", float(outbox.oldest_s)),
                Depth("in_doubt.count", float(sum(row.open for row in doubts))),
                Depth("in_doubt.oldest_s", max((float(row.oldest_s) for row in doubts), default=0.0)),
                *(Depth("in_doubt.amount", float(row.amount), {"currency": row.currency}) for row in doubts),
            ]

        return await self._pool.run(work)

    async def cards_not_under(self, key_version: int, limit: int) -> list[SealedCard]:
        c = tables.card_vault.c
        query = select(tables.card_vault).where(c.key_version != key_version).order_by(c.key_version).limit(limit)
        found = await self._pool.run(lambda connection: connection.execute(query).all())
        return [rows.sealed_from(row) for row in found]

    async def cards_by_key(self) -> dict[int, int]:
        c = tables.card_vault.c
        query = select(c.key_version, func.count()).group_by(c.key_version)
        found = await self._pool.run(lambda connection: connection.execute(query).all())
        return {row.key_version: row[1] for row in found}

    async def store_rewrapped(self, cards: Sequence[tuple[SealedCard, SealedCard]]) -> int:
        parameters = {
            "merchants": [old.merchant_id for old, _ in cards],
            "tokens": [old.token for old, _ in cards],
            "olds": [old.sealed for old, _ in cards],
            "news": [new.sealed for _, new in cards],
            "versions": [new.key_version for _, new in cards],
        }
        return await self._pool.run(lambda connection: connection.execute(_REWRAP, parameters).rowcount)
