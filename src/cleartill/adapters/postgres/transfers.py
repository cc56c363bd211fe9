"""The Transfers port: a transaction of its own for each step, fenced by version and lease."""

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Row, func, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from cleartill.adapters.postgres import tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.adapters.postgres.facts import write_facts
from cleartill.adapters.postgres.ledger import covered
from cleartill.adapters.postgres.rows import hop_row
from cleartill.adapters.postgres.transfer_lists import dead_ones, page_of
from cleartill.adapters.postgres.transfer_rows import changed_transfer, new_transfer, transfer_from
from cleartill.domain.errors import InsufficientFunds, NotFound
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.ledger import MERCHANT
from cleartill.domain.money import written
from cleartill.domain.transfer import Transfer
from cleartill.ports import (
    Depth,
    Fate,
    Leased,
    Listed,
    Origin,
    TransferLease,
    TransferQuery,
    Turn,
)

_PATIENCE = text("SET LOCAL lock_timeout = 1000")
"""Milliseconds, four times as many as usual. Callbacks, a worker and an operator may want one transfer at once; each
process may have one withdrawal of a merchant in the queue for its balance; and a roll-up is a long turn."""

TRIES_TOLD = 100
"""Versions of a transfer in which its tries are kept: one that the bank has had for days is asked about each minute."""

_DUE = text("""
WITH due AS MATERIALIZED (
    SELECT merchant_id, id FROM transfers
    WHERE next_at <= now() AND (lease_until IS NULL OR lease_until <= now())
    ORDER BY next_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE transfers t SET lease_owner = :owner, lease_epoch = lease_epoch + 1,
    lease_until = now() + :lease_s * interval '1 second'
FROM due WHERE t.merchant_id = due.merchant_id AND t.id = due.id
RETURNING t.*
""")

_DEPTHS = text("""
SELECT (SELECT count(*) FROM transfers WHERE next_at IS NOT NULL) AS pending,
    (SELECT count(*) FROM transfers WHERE dead IS NOT NULL) AS dead
""")


class PostgresTransfers:
    """`for_lists`: the pool that lists are read with, which may be a replica's; None: the same."""

    def __init__(self, pool: ConnectionPool, for_lists: ConnectionPool | None = None) -> None:
        self._pool, self._for_lists = pool, for_lists or pool
        self._covering: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def record(self, turn: Turn) -> Fate:
        if not (turn.cover and turn.journals):
            return await self._pool.run(lambda connection: _record(connection, turn))
        # They would queue at the balance's row, with as many connections as there are; here they queue with none.
        merchant_id = turn.transfer.merchant_id
        in_turn = self._covering.setdefault(merchant_id, asyncio.Lock())
        async with in_turn:
            return await self._pool.run(lambda connection: _record(connection, turn))

    async def load(self, merchant_id: str, transfer_id: str) -> Transfer:
        t = tables.transfers.c
        return await self._one(select(tables.transfers).where(t.merchant_id == merchant_id, t.id == transfer_id))

    async def find(self, transfer_id: str) -> Transfer:
        return await self._one(select(tables.transfers).where(tables.transfers.c.id == transfer_id))

    async def _one(self, query: Any) -> Transfer:
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFound
        return transfer_from(row)

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        row = await self._pool.run(lambda connection: _claim_of(connection, claim))
        if row is None:
            return None
        answer = Answer(row.answer_status, row.answer_body) if row.answer_status else None
        return ExistingClaim(row.fingerprint, answer, row.transaction_id, None, overdue=True)

    async def due(self, owner: str, limit: int, lease_s: float) -> list[Leased]:
        asked = {"owner": owner, "limit": limit, "lease_s": lease_s}
        found = await self._pool.run(lambda connection: connection.execute(_DUE, asked).all())
        return [
            Leased(transfer_from(row), Origin(**row.origin), TransferLease(row.lease_owner, row.lease_epoch))
            for row in found
        ]

    async def list(self, merchant_id: str, query: TransferQuery) -> Listed[Transfer]:
        return await self._for_lists.run(page_of(merchant_id, query))

    async def dead(self, limit: int, before: str | None = None) -> Listed[Transfer]:
        return await self._pool.run(dead_ones(limit, before))

    async def depths(self) -> Sequence[Depth]:
        row = await self._pool.run(lambda connection: connection.execute(_DEPTHS).one())
        return [Depth("transfer.pending", float(row.pending)), Depth("transfer.dead", float(row.dead))]


def _record(connection: Connection, turn: Turn) -> Fate:
    """All of it, or nothing: a fate other than RECORDED is found before the first row is written."""
    connection.execute(_PATIENCE)
    refused = _refusal(connection, turn) if turn.expecting else None
    if refused is None and turn.claim is not None:
        refused = _taken(connection, turn, turn.claim)
    if refused is not None:
        return refused
    if turn.cover:
        _cover(connection, turn)
    if turn.expecting:
        t, transfer = tables.transfers.c, turn.transfer
        mine = (t.merchant_id == transfer.merchant_id, t.id == transfer.id)
        connection.execute(update(tables.transfers).where(*mine).values(**changed_transfer(turn), **_schedule(turn)))
    else:
        connection.execute(insert(tables.transfers).values(**new_transfer(turn), **_schedule(turn)))
    write_facts(connection, turn.facts, turn.origin, turn.hops)
    if turn.hops and not turn.facts and not turn.goes_on:
        _note_try(connection, turn)
    _write_journals(connection, turn)
    if turn.answer is not None and turn.transfer.claim is not None:
        _keep_answer(connection, turn.transfer.claim, turn.transfer.id, turn.answer)
    return Fate.RECORDED


def _refusal(connection: Connection, turn: Turn) -> Fate | None:
    """Locks the transfer; why the turn cannot be written, if so. One that is on disk already (its commit was not
    acknowledged, and it comes again) is recorded. Raises NotFound."""
    t, transfer = tables.transfers.c, turn.transfer
    row = connection.execute(
        select(t.version, t.unit_id, t.lease_epoch)
        .where(t.merchant_id == transfer.merchant_id, t.id == transfer.id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise NotFound
    if row.unit_id == turn.id:
        return Fate.RECORDED
    if turn.lease is not None and row.lease_epoch != turn.lease.epoch:
        return Fate.LEASE_LOST
    return Fate.CONFLICT if row.version != turn.expecting else None


def _taken(connection: Connection, turn: Turn, claim: Claim) -> Fate | None:
    """Takes the claim, or says whose it is."""
    keys = tables.idempotency_keys
    ours = connection.execute(
        insert_or_not(keys)
        .values(
            merchant_id=claim.merchant_id,
            scope=claim.scope,
            key=claim.key,
            fingerprint=claim.fingerprint,
            unit_id=turn.id,
            transaction_id=turn.transfer.id,
        )
        .on_conflict_do_nothing()
        .returning(keys.c.unit_id)
    ).one_or_none()
    if ours is not None:
        return None
    row = _claim_of(connection, claim)
    return Fate.RECORDED if row is not None and row.unit_id == turn.id else Fate.KEY_TAKEN


def _claim_of(connection: Connection, claim: Claim) -> Row[Any] | None:
    k = tables.idempotency_keys.c
    query = select(tables.idempotency_keys).where(
        k.merchant_id == claim.merchant_id, k.scope == claim.scope, k.key == claim.key
    )
    return connection.execute(query).one_or_none()


def _cover(connection: Connection, turn: Turn) -> None:
    """Raises InsufficientFunds, which undoes the claim, too."""
    for journal in turn.journals:
        taken = -sum(entry.amount_minor for entry in journal.entries if entry.account == MERCHANT)
        if taken <= 0:
            continue
        there = covered(connection, journal.merchant_id, MERCHANT, journal.currency)
        if there < taken:
            raise InsufficientFunds(there, written(there, journal.currency))


def _schedule(turn: Turn) -> dict[str, Any]:
    """When a worker looks at it next, by the database's clock; the lease ends, and its epoch stays."""
    if turn.goes_on:
        return {}
    next_at = null() if turn.again_in_s is None else func.now() + func.make_interval(0, 0, 0, 0, 0, 0, turn.again_in_s)
    return {"next_at": next_at, "lease_owner": None, "lease_until": None}


def _note_try(connection: Connection, turn: Turn) -> None:
    """One that led to no fact, for the timeline."""
    transfer, hops = turn.transfer, [hop_row(hop) for hop in turn.hops]
    if transfer.version <= TRIES_TOLD:
        made = {"transfer_id": transfer.id, "merchant_id": transfer.merchant_id, "version": transfer.version}
        connection.execute(insert(tables.transfer_tries).values(**made, hops=hops))


def _write_journals(connection: Connection, turn: Turn) -> None:
    entries = [(journal, entry) for journal in turn.journals for entry in journal.entries]
    if not entries:
        return
    moved = [
        {
            "merchant_id": journal.merchant_id,
            "account": entry.account,
            "currency": journal.currency,
            "amount_minor": entry.amount_minor,
        }
        for journal, entry in entries
    ]
    named = [{"fact_id": journal.fact_id, "transaction_id": journal.subject_id} for journal, _ in entries]
    connection.execute(
        insert(tables.ledger_entries), [entry | names for entry, names in zip(moved, named, strict=True)]
    )
    connection.execute(insert(tables.ledger_pending), moved)


def _keep_answer(connection: Connection, claim: Claim, transfer_id: str, answer: Answer) -> None:
    """The first answer, until there is a final one; the first final one, for good. (A dead letter that is taken up
    again after a day may find another transfer under its key.)"""
    k = tables.idempotency_keys.c
    connection.execute(
        update(tables.idempotency_keys)
        .where(k.merchant_id == claim.merchant_id, k.scope == claim.scope, k.key == claim.key)
        .where(k.transaction_id == transfer_id, func.coalesce(k.answer_status, 202) == 202)
        .values(answer_status=answer.status, answer_body=answer.body, answered_at=func.now())
    )
