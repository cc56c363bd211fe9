"""The Reads port: what is shown, straight from the rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text

from cleartill.adapters.postgres import lists, rows, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.card import CardSummary, StoredCard
from cleartill.domain.errors import NotFound
from cleartill.domain.events import timestamp
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Listed, PaymentQuery, RefundQuery, Step

TIMELINE_MAX = 1_000
SAME_NAME_MAX = 100
"""Authorizations that a provider calls by one name: the tries of one payment."""
_TOLD = ("id", "status", "amount_minor", "currency", "decline", "needs_review")
"""What the timeline tells of a fact's object, if there is something to tell."""


class PostgresReads:
    """`for_lists`: the pool that lists are read with, which may be a replica's; None: the same. `topic`: where events
    go, for timelines; empty: they do not say."""

    def __init__(self, pool: ConnectionPool, for_lists: ConnectionPool | None = None, topic: str = "") -> None:
        self._pool, self._for_lists, self._topic = pool, for_lists or pool, topic

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        t = tables.transactions.c
        query = select(tables.transactions).where(t.merchant_id == merchant_id, t.id == payment_id)
        return rows.payment_from(await self._one(query))

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        r = tables.refunds.c
        query = select(tables.refunds).where(r.merchant_id == merchant_id, r.id == refund_id)
        return rows.refund_from(await self._one(query))

    async def payment_at_provider(self, merchant_id: str, provider: str, provider_payment_id: str) -> Payment:
        a, t = tables.attempts.c, tables.transactions.c
        query = (
            select(tables.transactions)
            .join(tables.attempts, (a.merchant_id == t.merchant_id) & (a.transaction_id == t.id))
            .where(a.merchant_id == merchant_id, a.provider == provider, a.provider_id == provider_payment_id)
            .where(a.kind == "authorize")
            .limit(SAME_NAME_MAX)  # and no order: asked for the newest, PostgreSQL might walk down all payments
        )
        found = await self._pool.run(lambda connection: connection.execute(query).all())
        if not found:
            raise NotFound
        return rows.payment_from(max(found, key=lambda row: row.id))

    async def payments(self, merchant_id: str, query: PaymentQuery) -> Listed[Payment]:
        return await self._for_lists.run(lists.payments(merchant_id, query))

    async def refunds(self, merchant_id: str, query: RefundQuery) -> Listed[Refund]:
        return await self._for_lists.run(lists.refunds(merchant_id, query))

    async def card(self, merchant_id: str, card_token: str) -> StoredCard:
        c = tables.card_vault.c
        query = select(c.summary, c.created_at).where(c.merchant_id == merchant_id, c.token == card_token)
        row = await self._one(query)
        return StoredCard(CardSummary(**row.summary), row.created_at)

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
            steps = [step for row in facts for step in _of_fact(row, self._topic)]
            steps += [step for row in tried for step in _of_attempt(row)]
            fruitless = tables.transfer_tries.c
            hops = select(fruitless.hops).where(
                fruitless.merchant_id == merchant_id, fruitless.transfer_id == payment_id
            )
            steps += [_of_hop(hop) for row in connection.execute(hops) for hop in row.hops]
            told = connection.execute(_tries_to_tell(merchant_id, payment_id)).all()
            steps += [_of_try(row) for row in told]
            return sorted(steps, key=lambda step: step.at)

        return await self._pool.run(work)

    async def outbox_oldest_s(self) -> float:
        waiting = tables.outbox.c.published_at.is_(None)
        query = select(func.extract("epoch", func.clock_timestamp() - func.min(tables.outbox.c.created_at))).where(
            waiting
        )
        age = await self._pool.run(lambda connection: connection.execute(query).scalar_one())
        return max(0.0, float(age or 0))

    async def ping(self) -> None:
        await self._pool.run(lambda connection: connection.execute(text("SELECT 1")).scalar_one())


def _tries_to_tell(merchant_id: str, payment_id: str) -> Any:
    """Tries of the deliveries of a payment's events, found by endpoint and event. The events are named by the audit
    log: the outbox may have let go of them."""
    e, f = tables.webhook_endpoints.c, tables.audit_logs.c
    d, a = tables.webhook_deliveries.c, tables.webhook_attempts.c
    return (
        select(tables.webhook_attempts, d.endpoint_id, d.event_id, d.type, d.seq)
        .join(tables.webhook_deliveries, (d.merchant_id == a.merchant_id) & (d.id == a.delivery_id))
        .join(tables.webhook_endpoints, (e.merchant_id == d.merchant_id) & (e.id == d.endpoint_id))
        .join(tables.audit_logs, (f.merchant_id == d.merchant_id) & (d.event_id == f.details["event_id"].astext))
        .where(e.merchant_id == merchant_id, f.merchant_id == merchant_id, f.subject_id == payment_id)
        .order_by(a.at)
        .limit(TIMELINE_MAX)
    )


def _of_try(row: Any) -> Step:
    heard = row.status is not None and 200 <= row.status < 300
    details = {
        "event_id": row.event_id,
        "seq": row.seq,
        "delivery_id": row.delivery_id,
        "endpoint_id": row.endpoint_id,
        "attempt": row.number,
        "status": row.status,
        "error": row.error,
    }
    outcome = "delivered" if heard else "failed"
    return Step(at=row.at, name=f"{row.type} → webhook", outcome=outcome, duration_ms=row.latency_ms, details=details)


def _of_fact(row: Any, topic: str) -> list[Step]:
    """The hops that led to the fact, the fact as it was committed, and its way to Kafka."""
    steps = [_of_hop(hop) for hop in row.hops or ()]
    committed = {"seq": row.seq, "event_id": row.details.get("event_id"), "trace_id": row.trace_id, "actor": row.actor}
    committed.update({name: row.details[name] for name in _TOLD if row.details.get(name) is not None})
    if row.request_id:
        committed["request_id"] = row.request_id
    steps.append(Step(at=row.recorded_at, name=row.event, outcome="recorded", details=committed))
    if row.published_at:
        where = {"seq": row.seq, "event_id": row.details.get("event_id")}
        where.update({"topic": topic} if topic else {}, partition=row.kafka_partition, offset=row.kafka_offset)
        steps.append(Step(at=row.published_at, name=f"{row.event} → kafka", outcome="published", details=where))
    return steps


def _of_hop(hop: dict[str, Any]) -> Step:
    at = datetime.fromtimestamp(hop["start_ns"] / 1e9, UTC)
    return Step(at=at, name=hop["name"], outcome=hop["outcome"], duration_ms=hop["ms"], details=hop["tags"])


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
