"""The Sessions port: a row for each session, asked anew for every request under a cookie.

Here and not in Redis, which may be emptied or away at any time: sessions outlive a restart, and what was ended stays
ended after a failover. Each question joins the key behind the session, so that a revoked key ends it at once in every
process, with nothing to be told and nothing to be forgotten; and a key's scopes are those of now. People click a few
times a second at most: one lookup by two primary keys is dearer than the cache of API keys, which no cookie passes.
"""

from typing import Any

from sqlalchemy import Connection, null, text
from sqlalchemy.dialects.postgresql import insert

from cleartill.adapters.postgres import rows, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.errors import LoginFailed
from cleartill.domain.events import Fact
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import Principal, Scope
from cleartill.domain.session import IDLE, LONGEST, NOTED_EVERY, Session, ended
from cleartill.ports import Origin

_BEGIN = text("""
INSERT INTO sessions (digest, id, merchant_id, key_id, expires_at)
VALUES (:digest, :id, :merchant_id, :key_id, now() + CAST(:longest AS interval))
""")

# Two requests of one session may come at once: the use of one is enough, and neither waits for the other.
_RESUME = text("""
WITH found AS MATERIALIZED (
    SELECT s.digest, s.id, s.merchant_id, s.key_id, s.created_at, s.used_at, k.scopes, m.name, m.email
    FROM sessions s
    JOIN api_keys k ON k.merchant_id = s.merchant_id AND k.id = s.key_id
    JOIN merchants m ON m.id = s.merchant_id
    WHERE s.digest = :digest AND k.revoked_at IS NULL AND s.expires_at > now()
        AND s.used_at > now() - CAST(:idle AS interval)),
stale AS MATERIALIZED (
    SELECT s.digest FROM sessions s JOIN found USING (digest)
    WHERE s.used_at <= now() - CAST(:noted_every AS interval) FOR UPDATE OF s SKIP LOCKED),
noted AS (UPDATE sessions s SET used_at = now() FROM stale WHERE s.digest = stale.digest RETURNING s.used_at)
SELECT found.*, coalesce((SELECT used_at FROM noted), found.used_at) AS last_used_at FROM found
""")

_END = text("DELETE FROM sessions WHERE digest = :digest RETURNING merchant_id, id, now() AS at")


class PostgresSessions:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def begin(self, digest: str, principal: Principal, instead_of: str | None, origin: Origin) -> Session:
        made = {"digest": digest, "id": new_id("ses"), "longest": LONGEST}
        made |= {"merchant_id": principal.merchant_id, "key_id": principal.key_id}

        def work(connection: Connection) -> Session:
            if instead_of is not None:
                _end(connection, instead_of, "replaced", origin)
            connection.execute(_BEGIN, made)
            session = _resumed(connection, digest)
            if session is None:
                raise LoginFailed
            _write_down(connection, session.began(), origin)
            return session

        return await self._pool.run(work)

    async def resume(self, digest: str) -> Session | None:
        return await self._pool.run(lambda connection: _resumed(connection, digest))

    async def end(self, digest: str, origin: Origin) -> None:
        await self._pool.run(lambda connection: _end(connection, digest, "logged_out", origin))


def _resumed(connection: Connection, digest: str) -> Session | None:
    row = connection.execute(_RESUME, {"digest": digest, "idle": IDLE, "noted_every": NOTED_EVERY}).one_or_none()
    return None if row is None else _session_from(row)


def _end(connection: Connection, digest: str, how: Any, origin: Origin) -> None:
    row = connection.execute(_END, {"digest": digest}).one_or_none()
    if row is not None:
        _write_down(connection, ended(row.merchant_id, row.id, how, row.at), origin)


def _write_down(connection: Connection, fact: Fact, origin: Origin) -> None:
    """Its audit row, and no event."""
    connection.execute(insert(tables.audit_logs).values(**{**rows.audit_row(fact, origin, None), "hops": null()}))


def _session_from(row: Any) -> Session:
    return Session(
        id=row.id,
        merchant_id=row.merchant_id,
        key_id=row.key_id,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        merchant_name=row.name,
        email=row.email,
        created_at=row.created_at,
        used_at=row.last_used_at,
    )
