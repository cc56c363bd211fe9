"""The Books port: units go to the writer, what a decision needs is loaded from the primary."""

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select

from cleartill.adapters.postgres import rows, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.adapters.postgres.writer import Writer
from cleartill.domain.card import SealedCard
from cleartill.domain.errors import NotFound
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.outcome import Declined
from cleartill.ports import Loaded, Origin, Unit, Verdict


class PostgresBooks:
    def __init__(self, pool: ConnectionPool, writer: Writer) -> None:
        self._pool, self._writer = pool, writer

    async def record(self, unit: Unit) -> Verdict:
        return await self._writer.record(unit)

    async def load(self, merchant_id: str, payment_id: str, refund_id: str | None = None) -> Loaded:
        def work(connection: Connection) -> Loaded:
            t, r = tables.transactions.c, tables.refunds.c
            row = connection.execute(
                select(tables.transactions).where(t.merchant_id == merchant_id, t.id == payment_id)
            )
            refund = (
                connection.execute(
                    select(tables.refunds).where(
                        r.merchant_id == merchant_id, r.id == refund_id, r.transaction_id == payment_id
                    )
                ).one_or_none()
                if refund_id
                else None
            )
            payment = row.one_or_none()
            if payment is None or (refund_id and refund is None):
                raise NotFound
            return Loaded(rows.payment_from(payment), rows.refund_from(refund) if refund else None)

        return await self._pool.run(work)

    async def load_attempt(self, merchant_id: str, attempt_key: str) -> Loaded:
        a = tables.attempts.c
        return await self._attempt(and_(a.merchant_id == merchant_id, a.key == attempt_key))

    async def find_attempt(self, attempt_key: str) -> Loaded:
        return await self._attempt(tables.attempts.c.key == attempt_key)

    async def _attempt(self, which: ColumnElement[bool]) -> Loaded:
        def work(connection: Connection) -> Loaded:
            a, t, r = tables.attempts.c, tables.transactions.c, tables.refunds.c
            # One statement, so that payment, refund and attempt are of one moment.
            found = connection.execute(
                select(tables.attempts, tables.transactions, tables.refunds)
                .join(tables.transactions, and_(t.merchant_id == a.merchant_id, t.id == a.transaction_id))
                .outerjoin(tables.refunds, and_(r.merchant_id == a.merchant_id, r.id == a.refund_id))
                .where(which)
                .set_label_style(rows.LABELS)
            ).one_or_none()
            if found is None:
                raise NotFound
            attempt, payment, refund = (
                rows.part(found, table) for table in (tables.attempts, tables.transactions, tables.refunds)
            )
            return Loaded(
                rows.payment_from(payment),
                rows.refund_from(refund) if refund.id else None,
                rows.attempt_from(attempt),
            )

        return await self._pool.run(work)

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        def work(connection: Connection) -> ExistingClaim | None:
            k, a, t, r = tables.idempotency_keys.c, tables.attempts.c, tables.transactions.c, tables.refunds.c
            # Once the resolver has tried, `resolve_at` lies in the future again.
            doubted = or_(t.status.in_(("in_doubt", "requires_action")), r.status == "in_doubt", a.tries > 0)
            row = connection.execute(
                select(
                    tables.idempotency_keys,
                    func.coalesce(or_(a.resolve_at <= func.now(), a.status != "open", doubted), False).label("overdue"),
                )
                .join(tables.transactions, and_(t.merchant_id == k.merchant_id, t.id == k.transaction_id))
                .outerjoin(tables.attempts, and_(a.merchant_id == k.merchant_id, a.key == k.attempt_key))
                .outerjoin(tables.refunds, and_(r.merchant_id == k.merchant_id, r.id == k.refund_id))
                .where(k.merchant_id == claim.merchant_id, k.scope == claim.scope, k.key == claim.key)
            ).one_or_none()
            if row is None:
                return None
            return ExistingClaim(
                fingerprint=row.fingerprint,
                answer=Answer(row.answer_status, row.answer_body) if row.answer_status else None,
                payment_id=row.transaction_id,
                refund_id=row.refund_id,
                overdue=row.overdue,
            )

        return await self._pool.run(work)

    async def blocked(self, merchant_id: str, fingerprint: str) -> Declined | None:
        def work(connection: Connection) -> Declined | None:
            b = tables.blocked_cards.c
            said = connection.execute(
                select(b.decline).where(b.merchant_id == merchant_id, b.fingerprint == fingerprint)
            ).scalar_one_or_none()
            return Declined(**said) if said else None

        return await self._pool.run(work)

    async def card(self, merchant_id: str, card_token: str) -> SealedCard:
        def work(connection: Connection) -> SealedCard:
            c = tables.card_vault.c
            row = connection.execute(
                select(tables.card_vault).where(c.merchant_id == merchant_id, c.token == card_token)
            ).one_or_none()
            if row is None:
                raise NotFound
            return rows.sealed_from(row)

        return await self._pool.run(work)

    async def erase_card(self, merchant_id: str, card_token: str, fact: Fact, origin: Origin) -> bool:
        """The row is deleted, not marked: nothing reads its ciphertext any more. Its bytes stay in the table's file
        until VACUUM (autovacuum) lets them be overwritten, and in WAL, replicas and backups until these are recycled;
        there they are ciphertext under the key-encryption key of their time, and go for good with that key."""

        def work(connection: Connection) -> bool:
            c = tables.card_vault.c
            gone = connection.execute(
                delete(tables.card_vault).where(c.merchant_id == merchant_id, c.token == card_token)
            ).rowcount
            if gone:
                connection.execute(insert(tables.audit_logs).values(**rows.audit_row(fact, origin, None)))
                connection.execute(insert(tables.outbox).values(**rows.outbox_row(fact, origin)))
            return bool(gone)

        return await self._pool.run(work)
