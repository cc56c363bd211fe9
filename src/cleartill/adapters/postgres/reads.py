"""The Reads port: what is shown, straight from the rows."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from cleartill.adapters.postgres import rows, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.errors import NotFound
from cleartill.domain.events import timestamp
from cleartill.domain.merchant import ApiKey, Merchant
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Step

KEY_CACHE_S = 5.0
KEY_CACHE_MAX = 10_000
TIMELINE_MAX = 1_000
_TOLD = ("id", "status", "amount_minor", "currency", "decline", "needs_review")
"""What the timeline tells of a fact's object, if there is something to tell."""


class PostgresReads:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._keys: dict[str, tuple[float, asyncio.Future[ApiKey | None]]] = {}

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        t = tables.transactions.c
        query = select(tables.transactions).where(t.merchant_id == merchant_id, t.id == payment_id)
        return rows.payment_from(await self._one(query))

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        r = tables.refunds.c
        query = select(tables.refunds).where(r.merchant_id == merchant_id, r.id == refund_id)
        return rows.refund_from(await self._one(query))

    async def merchant(self, merchant_id: str) -> Merchant:
        row = await self._one(select(tables.merchants).where(tables.merchants.c.id == merchant_id))
        return Merchant(row.id, row.name, row.email, row.created_at)

    async def _one(self, query: Any) -> Any:
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFound
        return row

    async def timeline(self, merchant_id: str, payment_id: str) -> list[Step]:
        def work(connection: Connection) -> list[Step]:
            audit, attempts, outbox = tables.audit_logs, tables.attempts, tables.outbox
            facts = connection.execute(
                select(audit, outbox.c.published_at, outbox.c.kafka_partition, outbox.c.kafka_offset)
                .outerjoin(
                    outbox,
                    (outbox.c.merchant_id == audit.c.merchant_id)
                    & (outbox.c.subject_id == audit.c.subject_id)
                    & (outbox.c.seq == audit.c.seq),
                )
                .where(audit.c.merchant_id == merchant_id, audit.c.subject_id == payment_id)
                .order_by(audit.c.seq)
                .limit(TIMELINE_MAX)
            ).all()
            tried = connection.execute(
                select(attempts)
                .where(attempts.c.merchant_id == merchant_id, attempts.c.transaction_id == payment_id)
                .order_by(attempts.c.created_at)
                .limit(TIMELINE_MAX)
            ).all()
            if not facts:
                raise NotFound
            steps = [step for row in facts for step in _of_fact(row)]
            steps += [step for row in tried for step in _of_attempt(row)]
            return sorted(steps, key=lambda step: step.at)

        return await self._pool.run(work)

    async def api_key(self, prefix: str) -> ApiKey | None:
        """Cached for a moment, since every request asks; when the moment is over, the first to ask asks for all."""
        now = time.monotonic()
        until, asked = self._keys.get(prefix, (0.0, None))
        if asked is None or until <= now:
            if len(self._keys) >= KEY_CACHE_MAX:
                self._keys.clear()
            asked = asyncio.ensure_future(self._api_key(prefix))
            asked.add_done_callback(lambda done: self._forget_failure(prefix, done))
            self._keys[prefix] = (now + KEY_CACHE_S, asked)
        return asked.result() if asked.done() else await asyncio.shield(asked)

    async def _api_key(self, prefix: str) -> ApiKey | None:
        query = select(tables.api_keys).where(tables.api_keys.c.prefix == prefix)
        row = await self._pool.run(lambda connection: connection.execute(query).one_or_none())
        return rows.api_key_from(row) if row else None

    def _forget_failure(self, prefix: str, done: "asyncio.Future[ApiKey | None]") -> None:
        if (done.cancelled() or done.exception()) and self._keys.get(prefix, (0.0, None))[1] is done:
            del self._keys[prefix]

    async def outbox_oldest_s(self) -> float:
        waiting = tables.outbox.c.published_at.is_(None)
        query = select(func.extract("epoch", func.clock_timestamp() - func.min(tables.outbox.c.created_at))).where(
            waiting
        )
        age = await self._pool.run(lambda connection: connection.execute(query).scalar_one())
        return max(0.0, float(age or 0))

    async def ping(self) -> None:
        await self._pool.run(lambda connection: connection.execute(text("SELECT 1")).scalar_one())


def _of_fact(row: Any) -> list[Step]:
    """The hops that led to the fact, the fact as it was committed, and its way to Kafka."""
    steps = [
        Step(
            at=datetime.fromtimestamp(hop["start_ns"] / 1e9, row.at.tzinfo),
            name=hop["name"],
            outcome=hop["outcome"],
            duration_ms=hop["ms"],
            details=hop["tags"],
        )
        for hop in row.hops or ()
    ]
    committed = {"seq": row.seq, "event_id": row.details.get("event_id"), "trace_id": row.trace_id, "actor": row.actor}
    committed.update({name: row.details[name] for name in _TOLD if row.details.get(name) is not None})
    if row.request_id:
        committed["request_id"] = row.request_id
    steps.append(Step(at=row.recorded_at, name=row.event, outcome="recorded", details=committed))
    if row.published_at:
        where = {"seq": row.seq, "event_id": row.details.get("event_id")}
        where.update(partition=row.kafka_partition, offset=row.kafka_offset)
        steps.append(Step(at=row.published_at, name=f"{row.event} → kafka", outcome="published", details=where))
    return steps


def _of_attempt(row: Any) -> list[Step]:
    details = {
        "attempt_key": row.key,
        "provider": row.provider,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "expires_at": timestamp(row.expires_at),
    }
    steps = [Step(at=row.created_at, name=f"attempt.{row.kind}", outcome="opened", details=details)]
    if row.settled_at is not None:
        told = {
            "attempt_key": row.key,
            "provider_id": row.provider_id,
            "network_code": row.network_code,
            "reason": row.reason,
            "resolver_tries": row.tries,
        }
        took = (row.settled_at - row.created_at) / timedelta(milliseconds=1)
        steps.append(
            Step(at=row.settled_at, name=f"attempt.{row.kind}", outcome=row.status, duration_ms=took, details=told)
        )
    return steps
