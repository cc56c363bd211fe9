"""The Webhooks port: endpoints, few and seldom changed, each change with its fact in a transaction of its own; and
deliveries as they are shown. How deliveries are made, claimed and settled is in `deliveries`."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from cleartill.adapters.postgres import tables, webhook_rows
from cleartill.adapters.postgres.deliveries import PostgresDeliveries
from cleartill.adapters.postgres.facts import write_facts
from cleartill.domain.errors import EndpointDisabled, NotFound, TooManyEndpoints
from cleartill.domain.ids import new_id
from cleartill.domain.webhook import MAX_ENDPOINTS, Delivery, Endpoint
from cleartill.ports import Change, DeliveryQuery, Listed, Origin, Told

TRIES_SHOWN_MAX = 1_000
_D = tables.webhook_deliveries.c
_SHOWN = [column for column in _D if column.name not in ("event", "tries", "epoch")]
_WALK = text("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
_RESEND = text("""
UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = now(), delivered_at = NULL
WHERE merchant_id = :merchant_id AND id = :id AND NOT claimed
""")


class PostgresWebhooks(PostgresDeliveries):
    async def add(self, endpoint: Endpoint, origin: Origin) -> None:
        def work(connection: Connection) -> None:
            m = tables.merchants.c
            lock = select(m.id).where(m.id == endpoint.merchant_id).with_for_update(key_share=True)
            if connection.execute(lock).one_or_none() is None:
                raise NotFound
            alive = select(func.count()).select_from(tables.webhook_endpoints).where(*_mine(endpoint.merchant_id))
            if connection.execute(alive).scalar_one() >= MAX_ENDPOINTS:
                raise TooManyEndpoints(MAX_ENDPOINTS)
            # The fact first: an endpoint does not hear of its own making.
            write_facts(connection, [endpoint.created()], origin)
            connection.execute(insert(tables.webhook_endpoints).values(**webhook_rows.endpoint_row(endpoint)))

        await self._pool.run(work)

    async def get(self, merchant_id: str, endpoint_id: str) -> Endpoint:
        query = select(tables.webhook_endpoints).where(*_mine(merchant_id, endpoint_id))
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFound
        return webhook_rows.endpoint_from(row)

    async def endpoints(self, merchant_id: str) -> list[Endpoint]:
        query = select(tables.webhook_endpoints).where(*_mine(merchant_id))
        query = query.order_by(tables.webhook_endpoints.c.id.desc()).limit(MAX_ENDPOINTS)
        found = await self._pool.run(lambda connection: connection.execute(query).all())
        return [webhook_rows.endpoint_from(row) for row in found]

    async def change(self, merchant_id: str, endpoint_id: str, change: Change, origin: Origin) -> Endpoint:
        def work(connection: Connection) -> Endpoint:
            changed, fact = change(_lock(connection, merchant_id, endpoint_id))
            webhook_rows.save(connection, changed)
            write_facts(connection, [fact], origin)
            return changed

        return await self._pool.run(work)

    async def reseal(self, key_version: int, again: Callable[[Endpoint], Endpoint], limit: int) -> int:
        def work(connection: Connection) -> int:
            e = tables.webhook_endpoints.c
            old = select(tables.webhook_endpoints).where(e.key_version != key_version, e.deleted_at.is_(None))
            found = connection.execute(
                old.order_by(e.merchant_id, e.id).limit(limit).with_for_update(key_share=True, skip_locked=True)
            ).all()
            for row in found:
                webhook_rows.save(connection, again(webhook_rows.endpoint_from(row)))
            return len(found)

        return await self._pool.run(work)

    async def secrets_by_key(self) -> dict[int, int]:
        e = tables.webhook_endpoints.c
        query = select(e.key_version, func.count()).where(e.deleted_at.is_(None)).group_by(e.key_version)
        found = await self._pool.run(lambda connection: connection.execute(query).all())
        return {row.key_version: row[1] for row in found}

    async def deliveries(self, merchant_id: str, endpoint_id: str, query: DeliveryQuery) -> Listed[Delivery]:
        conditions = [_D.merchant_id == merchant_id, _D.endpoint_id == endpoint_id]
        if query.before is not None:
            conditions.append(_D.event_id < query.before)
        seen = select(*_SHOWN).where(*conditions).order_by(_D.event_id.desc())
        walked = seen.limit(query.look_at).subquery()
        page = select(walked).order_by(walked.c.event_id.desc()).limit(query.limit + 1)
        if query.statuses:
            page = page.where(walked.c.status.in_(sorted(query.statuses)))

        def work(connection: Connection) -> Listed[Delivery]:
            connection.execute(_WALK)
            found = connection.execute(page).all()
            more = found[query.limit - 1].event_id if len(found) > query.limit else None
            if more is None:  # the walk may have ended before the deliveries did
                end = seen.with_only_columns(_D.event_id).offset(query.look_at - 1).limit(1)
                more = connection.execute(end).scalar_one_or_none()
            return Listed([webhook_rows.delivery_from(row) for row in found[: query.limit]], more)

        return await self._pool.run(work)

    async def delivery(self, merchant_id: str, delivery_id: str) -> Told:
        def work(connection: Connection) -> Told:
            a = tables.webhook_attempts.c
            row = connection.execute(select(tables.webhook_deliveries).where(*_its(merchant_id, delivery_id))).first()
            if row is None:
                raise NotFound
            tries = select(tables.webhook_attempts).where(a.merchant_id == merchant_id, a.delivery_id == delivery_id)
            latest = connection.execute(tries.order_by(a.number.desc()).limit(TRIES_SHOWN_MAX)).all()
            return Told(
                webhook_rows.delivery_from(row), [webhook_rows.try_from(one) for one in reversed(latest)], row.event
            )

        return await self._pool.run(work)

    async def post(self, endpoint: Endpoint, event: dict[str, Any]) -> Delivery:
        row = {
            "merchant_id": endpoint.merchant_id,
            "id": new_id("dlv"),
            "endpoint_id": endpoint.id,
            "event_id": event["id"],
            "type": event["type"],
            "subject_id": event["subject"],
            "seq": event["sequence"],
            "event": event,
            "next_at": func.now(),
        }
        statement = insert(tables.webhook_deliveries).values(**row).returning(*_SHOWN)
        return webhook_rows.delivery_from(await self._pool.run(lambda connection: connection.execute(statement).one()))

    async def resend(self, merchant_id: str, delivery_id: str) -> Delivery:
        shown = select(*_SHOWN).where(*_its(merchant_id, delivery_id))

        def work(connection: Connection) -> Delivery:
            found = connection.execute(shown).one_or_none()
            if found is None:
                raise NotFound
            if not _lock(connection, merchant_id, found.endpoint_id).open:
                raise EndpointDisabled
            named = {"merchant_id": merchant_id, "id": delivery_id}
            connection.execute(_RESEND, named)
            again = connection.execute(shown).one_or_none()
            if again is None:  # purged in this very moment
                raise NotFound
            return webhook_rows.delivery_from(again)

        return await self._pool.run(work)


def _mine(merchant_id: str, endpoint_id: str | None = None) -> list[ColumnElement[bool]]:
    e = tables.webhook_endpoints.c
    mine = [e.merchant_id == merchant_id, e.deleted_at.is_(None)]
    return mine if endpoint_id is None else [*mine, e.id == endpoint_id]


def _its(merchant_id: str, delivery_id: str) -> list[ColumnElement[bool]]:
    return [_D.merchant_id == merchant_id, _D.id == delivery_id]


def _lock(connection: Connection, merchant_id: str, endpoint_id: str) -> Endpoint:
    """Raises NotFound."""
    query = select(tables.webhook_endpoints).where(*_mine(merchant_id, endpoint_id))
    row = connection.execute(query.with_for_update(key_share=True)).one_or_none()
    if row is None:
        raise NotFound
    return webhook_rows.endpoint_from(row)
