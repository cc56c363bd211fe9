"""The Merchants port: accounts and keys, few and seldom changed, each change in a transaction of its own."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cleartill.adapters.postgres import tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.adapters.postgres.facts import write_facts
from cleartill.adapters.postgres.key_cache import KeyCache
from cleartill.adapters.postgres.key_use import KeyUse
from cleartill.domain.errors import NotFound, TooManyKeys
from cleartill.domain.events import Fact
from cleartill.domain.merchant import MAX_LIVE_KEYS, ApiKey, Merchant, Scope
from cleartill.ports import Origin

KEYS_SHOWN_MAX = 1_000


class PostgresMerchants:
    """`cache` is of no use until somebody listens for it (`listen`); `use` writes nothing until it is started."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.cache = KeyCache(self._key_of)
        self.use = KeyUse(pool)

    async def add(self, merchant: Merchant, key: ApiKey, facts: Sequence[Fact], origin: Origin) -> bool:
        def work(connection: Connection) -> bool:
            made = connection.execute(
                insert(tables.merchants)
                .values(**_merchant_row(merchant), seq=len(facts))
                .on_conflict_do_nothing()
                .returning(tables.merchants.c.id)
            ).one_or_none()
            if made is None:
                return False
            connection.execute(insert(tables.api_keys).values(**_key_row(key)))
            write_facts(connection, facts, origin)
            return True

        return await self._pool.run(work)

    async def get(self, merchant_id: str) -> Merchant:
        query = select(tables.merchants).where(tables.merchants.c.id == merchant_id)
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFound
        return Merchant(row.id, row.name, row.email, row.created_at, row.settings.get("webhook_url"))

    async def key_of(self, prefix: str) -> ApiKey | None:
        return await self.cache.get(prefix)

    async def _key_of(self, prefix: str) -> ApiKey | None:
        query = select(tables.api_keys).where(tables.api_keys.c.prefix == prefix)
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        return _key_from(row) if row else None

    def used(self, key: ApiKey) -> None:
        self.use.note(key)

    async def keys(self, merchant_id: str) -> list[ApiKey]:
        def work(connection: Connection) -> list[ApiKey]:
            m, k = tables.merchants.c, tables.api_keys.c
            if connection.execute(select(m.id).where(m.id == merchant_id)).one_or_none() is None:
                raise NotFound
            query = select(tables.api_keys).where(k.merchant_id == merchant_id)
            found = connection.execute(query.order_by(k.created_at.desc(), k.id.desc()).limit(KEYS_SHOWN_MAX))
            return [_key_from(row) for row in found]

        return await self._pool.run(work)

    async def add_key(self, key: ApiKey, origin: Origin) -> None:
        def work(connection: Connection) -> None:
            k = tables.api_keys.c
            seq = _lock(connection, key.merchant_id)
            alive = select(func.count()).where(k.merchant_id == key.merchant_id, k.revoked_at.is_(None))
            if connection.execute(alive).scalar_one() >= MAX_LIVE_KEYS:
                raise TooManyKeys(MAX_LIVE_KEYS)
            connection.execute(insert(tables.api_keys).values(**_key_row(key)))
            _count_up(connection, key.created(seq + 1), origin)

        await self._pool.run(work)

    async def revoke_key(self, merchant_id: str, key_id: str, at: datetime, origin: Origin) -> ApiKey:
        def work(connection: Connection) -> ApiKey:
            k = tables.api_keys.c
            seq = _lock(connection, merchant_id)
            mine = (k.merchant_id == merchant_id, k.id == key_id)
            row = connection.execute(select(tables.api_keys).where(*mine)).one_or_none()
            if row is None:
                raise NotFound
            key = _key_from(row)
            revoked = key.revoked(at, seq + 1)
            if revoked is None:
                return key
            dead, fact = revoked
            connection.execute(update(tables.api_keys).where(*mine).values(revoked_at=dead.revoked_at))
            _count_up(connection, fact, origin)
            return dead

        found = await self._pool.run(work)
        self.cache.forget(found.prefix)  # the word comes round to us too, a moment after the caller has his answer
        return found


def _lock(connection: Connection, merchant_id: str) -> int:
    """How many facts there are about the merchant; nobody else adds one before we are done. Raises NotFound."""
    m = tables.merchants.c
    row = connection.execute(select(m.seq).where(m.id == merchant_id).with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise NotFound
    seq: int = row.seq
    return seq


def _count_up(connection: Connection, fact: Fact, origin: Origin) -> None:
    """Write the next fact of a locked merchant."""
    connection.execute(update(tables.merchants).where(tables.merchants.c.id == fact.subject_id).values(seq=fact.seq))
    write_facts(connection, [fact], origin)


def _merchant_row(merchant: Merchant) -> dict[str, Any]:
    return {
        "id": merchant.id,
        "name": merchant.name,
        "email": merchant.email,
        "settings": {"webhook_url": merchant.webhook_url} if merchant.webhook_url else {},
        "created_at": merchant.created_at,
    }


def _key_row(key: ApiKey) -> dict[str, Any]:
    return {
        "merchant_id": key.merchant_id,
        "id": key.id,
        "prefix": key.prefix,
        "digest": key.digest,
        "scopes": [str(scope) for scope in key.scopes],
        "name": key.name,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def _key_from(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        merchant_id=row.merchant_id,
        prefix=row.prefix,
        digest=row.digest,
        scopes=tuple(Scope(scope) for scope in row.scopes),
        name=row.name,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
