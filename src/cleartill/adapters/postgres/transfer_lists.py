"""Lists of transfers, newest first, a page at a time, down the primary key; see `lists`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from cleartill.adapters.postgres import tables
from cleartill.adapters.postgres.transfer_rows import transfer_from
from cleartill.domain.ids import first_id
from cleartill.domain.transfer import Transfer
from cleartill.ports import Listed, TransferQuery

_APART = timedelta(seconds=10)
"""An id is made a moment after its object's `created_at`."""


def page_of(merchant_id: str, query: TransferQuery) -> Callable[[Connection], Listed[Transfer]]:
    t = tables.transfers.c
    # The ids of a kind lie together, and so the primary key knows the kind.
    path = [t.merchant_id == merchant_id, t.id.between(f"{query.kind.prefix}_", f"{query.kind.prefix}_~")]
    if query.created_from is not None:
        path.append(t.id >= first_id(query.kind.prefix, query.created_from - _APART))
    if query.created_to is not None:
        path.append(t.id < first_id(query.kind.prefix, query.created_to + _APART))
    if query.before is not None:
        path.append(t.id < query.before)
    down = select(tables.transfers).where(*path).order_by(t.id.desc())

    def work(connection: Connection) -> Listed[Transfer]:
        seen = down.limit(query.look_at).subquery()
        fits = select(seen).where(*_fits(seen.c, query)).order_by(seen.c.id.desc()).limit(query.limit + 1)
        found = connection.execute(fits).all()
        page = [transfer_from(row) for row in found[: query.limit]]
        if len(found) > query.limit:
            return Listed(page, page[-1].id)
        last = down.with_only_columns(t.id).offset(query.look_at - 1).limit(1)
        return Listed(page, connection.execute(last).scalar_one_or_none())

    return work


def _fits(c: Any, query: TransferQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.statuses:
        conditions.append(c.status.in_(sorted(query.statuses)))
    if query.created_from is not None:
        conditions.append(c.created_at >= query.created_from)
    if query.created_to is not None:
        conditions.append(c.created_at < query.created_to)
    return conditions


def dead_ones(limit: int, before: str | None) -> Callable[[Connection], Listed[Transfer]]:
    t = tables.transfers.c
    query = select(tables.transfers).where(t.dead.is_not(None)).order_by(t.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(t.id < before)

    def work(connection: Connection) -> Listed[Transfer]:
        found = connection.execute(query).all()
        page = [transfer_from(row) for row in found[:limit]]
        return Listed(page, page[-1].id if len(found) > limit else None)

    return work
