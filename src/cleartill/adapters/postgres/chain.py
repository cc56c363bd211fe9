"""The AuditChain port: seals are written in one transaction with the head they lead to, which fences them.

A sealer that lost its lease, or was frozen in mid-work and thawed, finds another epoch at the head or another number,
and writes nothing; so numbers have no holes, and no row gets two. Rows are found by what they lack, a seal: one that
was committed late is simply there later. A round reads what is not sealed by an index that holds nothing else.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.audit_chain import AuditRow, Head, SealedRow, genesis
from cleartill.domain.errors import Unavailable
from cleartill.ports import Chain, Depth, SealLease

LEASE_S = 30
PAGE = 500
STRAYS_MAX = 10
COUNTED_MAX = 100_000

# Whatever PostgreSQL believes of how many rows there are: in the order of an index, and no further than asked.
_BY_INDEX = text("""
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off
""")

_LEASE = text("""
UPDATE audit_chain SET until = now() + interval '1 second' * :lease_s, owner = :owner,
    epoch = epoch + CASE WHEN owner = :owner AND until > now() THEN 0 ELSE 1 END
WHERE owner = :owner OR until <= now()
RETURNING epoch, chain, number, seal, sealed_at
""")

_UNSEALED = text("""
SELECT merchant_id, subject_id, seq, event, actor, request_id, trace_id, CAST(details AS text) AS details,
    CAST(hops AS text) AS hops, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
    to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS recorded_at
FROM (SELECT * FROM audit_logs WHERE seal_number IS NULL AND seal IS NULL AND seal_previous IS NULL
    ORDER BY recorded_at LIMIT :limit) AS u
ORDER BY u.recorded_at, u.merchant_id, u.subject_id, u.seq
""")

_MOVE = text("""
UPDATE audit_chain SET number = :number, seal = decode(:seal, 'hex'), sealed_at = now()
WHERE owner = :owner AND epoch = :epoch AND number = :behind
RETURNING number
""")

_SEAL = text("""
UPDATE audit_logs u SET seal_number = r.number, seal = decode(r.seal, 'hex'), seal_previous = decode(r.previous, 'hex')
FROM unnest(CAST(:merchants AS text[]), CAST(:subjects AS text[]), CAST(:seqs AS integer[]), CAST(:numbers AS bigint[]),
    CAST(:seals AS text[]), CAST(:previous AS text[])) AS r (merchant_id, subject_id, seq, number, seal, previous)
WHERE u.merchant_id = r.merchant_id AND u.subject_id = r.subject_id AND u.seq = r.seq AND u.seal_number IS NULL
""")

_CHAIN = text("SELECT chain, number, seal, sealed_at, began_at FROM audit_chain")

_NEXT = text("SELECT min(seal_number) FROM audit_logs WHERE seal_number > :after AND seal_number <= :upto")

_SEALED = text("""
SELECT seal_number, seal_previous, seal, merchant_id, subject_id, seq, event, actor, request_id, trace_id,
    CAST(details AS text) AS details, CAST(hops AS text) AS hops,
    to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
    to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS recorded_at
FROM audit_logs u WHERE seal_number BETWEEN :first AND :last
ORDER BY seal_number, merchant_id, subject_id, seq LIMIT :most
""")

# Of one moment with the head: the sealer moves both at once.
_STRAYS = text("""
(SELECT seal_number AS number FROM audit_logs WHERE seal_number > (SELECT number FROM audit_chain)
    ORDER BY seal_number LIMIT :most)
UNION ALL (SELECT seal_number FROM audit_logs WHERE seal_number < 1 ORDER BY seal_number LIMIT :most)
UNION ALL (SELECT 0 FROM audit_logs WHERE seal_number IS NULL AND (seal IS NOT NULL OR seal_previous IS NOT NULL)
    LIMIT :most)
""")

_ANCHOR_DUE = text("""
UPDATE audit_chain SET anchor_tried_at = now()
WHERE one IN (SELECT one FROM audit_chain WHERE number > anchored
    AND anchor_tried_at <= now() - interval '1 second' * :every_s FOR NO KEY UPDATE SKIP LOCKED)
RETURNING chain, number, seal, sealed_at
""")

_ANCHORED = text("UPDATE audit_chain SET anchored = greatest(anchored, :number) WHERE chain = :chain")

_DEPTHS = text("""
SELECT (SELECT count(*) FROM (SELECT FROM audit_logs WHERE seal_number IS NULL LIMIT :most) AS waiting) AS unsealed,
    coalesce(extract(epoch FROM now() - (SELECT min(recorded_at) FROM audit_logs WHERE seal_number IS NULL)), 0)
        AS oldest_s,
    number FROM audit_chain
""")


class PostgresAuditChain:
    """`page`: numbers looked at in one transaction."""

    def __init__(self, pool: ConnectionPool, page: int = PAGE) -> None:
        self._pool, self._page = pool, page

    async def lease(self, owner: str) -> SealLease | None:
        asked = {"owner": owner, "lease_s": LEASE_S}
        row = await self._pool.run(lambda connection: connection.execute(_LEASE, asked).one_or_none())
        return SealLease(owner, row.epoch, _head(row)) if row else None

    async def unsealed(self, limit: int) -> list[AuditRow]:
        def work(connection: Connection) -> list[AuditRow]:
            connection.execute(_BY_INDEX)
            return [_row(row) for row in connection.execute(_UNSEALED, {"limit": limit})]

        return await self._pool.run(work)

    async def seal(self, lease: SealLease, rows: Sequence[SealedRow]) -> bool:
        asked = {
            "merchants": [one.row.merchant_id for one in rows],
            "subjects": [one.row.subject_id for one in rows],
            "seqs": [one.row.seq for one in rows],
            "numbers": [one.number for one in rows],
            "seals": [one.seal.hex() for one in rows],
            "previous": [one.previous.hex() for one in rows],
        }
        last, epoch = rows[-1], {"owner": lease.owner, "epoch": lease.epoch, "behind": lease.head.number}

        def work(connection: Connection) -> bool:
            connection.execute(_BY_INDEX)
            moved = connection.execute(_MOVE, {"number": last.number, "seal": last.seal.hex(), **epoch})
            if moved.one_or_none() is None:
                return False
            if connection.execute(_SEAL, asked).rowcount != len(rows):
                raise Unavailable("Rows of the audit log that were read a moment ago are gone")
            return True

        return await self._pool.run(work)

    async def chain(self) -> Chain:
        row = await self._pool.run(lambda connection: connection.execute(_CHAIN).one())
        return Chain(_head(row), row.began_at)

    async def sealed(self, after: int, upto: int) -> list[SealedRow]:
        def work(connection: Connection) -> list[SealedRow]:
            connection.execute(_BY_INDEX)
            first = connection.execute(_NEXT, {"after": after, "upto": upto}).scalar_one()
            if first is None:
                return []
            last = min(first + self._page - 1, upto)
            found = connection.execute(_SEALED, {"first": first, "last": last, "most": 2 * self._page})
            return [
                SealedRow(_row(row), row.seal_number, bytes(row.seal_previous or b""), bytes(row.seal or b""))
                for row in found
            ]

        return await self._pool.run(work)

    async def strays(self) -> list[int]:
        def work(connection: Connection) -> list[int]:
            connection.execute(_BY_INDEX)
            return [int(number) for number in connection.execute(_STRAYS, {"most": STRAYS_MAX}).scalars()]

        return await self._pool.run(work)

    async def anchor_due(self, every_s: float) -> Head | None:
        asked = {"every_s": every_s}
        row = await self._pool.run(lambda connection: connection.execute(_ANCHOR_DUE, asked).one_or_none())
        return _head(row) if row else None

    async def anchored(self, head: Head) -> None:
        asked = {"number": head.number, "chain": head.chain}
        await self._pool.run(lambda connection: connection.execute(_ANCHORED, asked))

    async def depths(self) -> list[Depth]:
        row = await self._pool.run(lambda connection: connection.execute(_DEPTHS, {"most": COUNTED_MAX}).one())
        return [
            Depth("audit.unsealed", float(row.unsealed)),
            Depth("audit.oldest_s", float(row.oldest_s)),
            Depth("audit.head", float(row.number)),
        ]


def _head(row: Any) -> Head:
    return Head(row.chain, row.number, bytes(row.seal) if row.number else genesis(row.chain), row.sealed_at)


def _row(row: Any) -> AuditRow:
    return AuditRow(
        row.merchant_id,
        row.subject_id,
        row.seq,
        row.event,
        row.actor,
        row.request_id,
        row.trace_id,
        row.details,
        row.hops,
        row.at,
        row.recorded_at,
    )
