"""The Audits port: every table walked in the order of its key, a page a transaction, each page of one moment.

A run is fenced by its number: whoever was frozen for longer than its lease keeps and ends nothing. Held against the
bank's book are `attempts` and `transfers`; another kind of operation is one more branch in `audit_queries.LINES`, a
walk of its own, and one more row in `domain.reconciliation.COUNTERPARTS`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import orjson
from sqlalchemy import Column, Connection, TextClause, func, insert, select, text, tuple_, update

from cleartill.adapters.postgres import account_sums, audit_queries, tables
from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.adapters.postgres.facts import write_facts
from cleartill.domain.errors import Unavailable
from cleartill.domain.ids import new_id
from cleartill.domain.invariants import AccountSums, JournalSums, NumberedFacts, PaymentSums, TransferSums
from cleartill.domain.key_invariants import Claimed, StoredAnswer
from cleartill.domain.reconciliation import Discrepancy, Done, Kind, Line, Operation
from cleartill.domain.report import Report
from cleartill.ports import Compared, Depth, Looked, Noted, Origin, Own, Run

LEASE_S = 60
PAGE = 1_000
EVENTS_KEPT_S = 24 * 3600
"""For this long every fact has its event in the outbox, published or not; older ones may have been purged."""
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


class PostgresAudits:
    """`page`: rows looked at in one transaction."""

    def __init__(self, pool: ConnectionPool, page: int = PAGE) -> None:
        self._pool, self._page = pool, page

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, owner: str, unless_within_s: float) -> Run | None:
        def work(connection: Connection) -> Run | None:
            asked = {"owner": owner, "lease_s": LEASE_S, "within_s": unless_within_s}
            row = connection.execute(audit_queries.BEGIN, asked).one_or_none()
            return Run(row.run, owner, row.began_at, row.resume_from) if row else None

        run = await self._pool.run(work)
        if run is not None:
            await self._empty()  # of what a run that was killed has left
        return run

    async def renew(self, run: Run) -> None:
        await self._pool.run(lambda connection: _renew(connection, run))

    async def end(self, run: Run, report: Report | None, cleared: Collection[Kind] = ()) -> None:
        def work(connection: Connection) -> bool:
            asked = {"owner": run.owner, "run": run.number, "done": report is not None}
            resume_from = report.resume_from if report else None
            if connection.execute(audit_queries.END, {**asked, "resume_from": resume_from}).one_or_none() is None:
                return False
            if report is not None:
                stored = {"run": run.number, "clean": report.clean, "report": report.view()}
                connection.execute(insert(tables.reconciliations).values(**stored))
                gone = {"run": run.number, "kinds": [str(kind) for kind in cleared]}
                connection.execute(audit_queries.GONE, gone)
            return True

        if await self._pool.run(work):
            await self._empty()

    async def _empty(self) -> None:
        await self._pool.run(lambda connection: connection.execute(text("TRUNCATE statement_lines")))

    async def depths(self) -> list[Depth]:
        row = await self._pool.run(lambda connection: connection.execute(audit_queries.DEPTHS).one())
        return [Depth("reconcile.age_s", float(row.age_s)), Depth("reconcile.open", float(row.open))]

    async def last_report(self) -> dict[str, Any] | None:
        r = tables.reconciliations.c
        query = select(r.report).order_by(r.run.desc()).limit(1)
        found: dict[str, Any] | None = await self._pool.run(
            lambda connection: connection.execute(query).scalar_one_or_none()
        )
        return found

    # ── the bank's book, and ours ─────────────────────────────────────────────────────────────────────────────────────

    async def keep(self, run: Run, provider: str, place: int, lines: Sequence[Line]) -> None:
        document = orjson.dumps([asdict(line) for line in lines]).decode()

        def work(connection: Connection) -> None:
            _renew(connection, run)
            asked = {"run": run.number, "provider": provider, "place": place, "lines": document}
            connection.execute(audit_queries.KEEP, asked)

        await self._pool.run(work)

    async def lines(self, run: Run, after: tuple[str, ...]) -> Looked[Compared]:
        s = tables.statement_lines.c
        keys, only = (s.provider, s.reference), s.run == run.number
        return await self._walk(keys, audit_queries.LINES, {"run": run.number}, after, _compared, only)

    async def operations(
        self, run: Run, providers: Sequence[str], since: datetime | None, after: tuple[str, ...]
    ) -> Looked[Own]:
        a = tables.attempts.c
        asked = {"run": run.number, "providers": list(providers), "since": since or _BEFORE_ALL}
        return await self._walk((a.merchant_id, a.key), audit_queries.OPERATIONS, asked, after, _own)

    async def transfers(
        self, run: Run, providers: Sequence[str], since: datetime | None, after: tuple[str, ...]
    ) -> Looked[Own]:
        t = tables.transfers.c
        asked = {"run": run.number, "providers": list(providers), "since": since or _BEFORE_ALL}
        return await self._walk((t.merchant_id, t.id), audit_queries.TRANSFERS, asked, after, _own)

    async def answers(self, since: datetime | None, after: tuple[str, ...]) -> Looked[StoredAnswer]:
        k = tables.idempotency_keys.c
        asked = {"since": since or _BEFORE_ALL}
        return await self._walk((k.merchant_id, k.scope, k.key), audit_queries.ANSWERS, asked, after, _answer)

    async def journals(self, since: datetime | None, after: tuple[str, ...]) -> Looked[JournalSums]:
        e = tables.ledger_entries.c
        asked = {"since": since or _BEFORE_ALL}
        return await self._walk((e.merchant_id, e.fact_id), audit_queries.JOURNALS, asked, after, _journal)

    async def accounts(self, after: tuple[str, ...]) -> Looked[AccountSums]:
        e = tables.ledger_entries.c
        keys, asked = (e.merchant_id, e.fact_id, e.account), {"seen": account_sums.snapshot_of(after)}
        page: Looked[Any] = await self._walk(keys, audit_queries.ACCOUNTS, asked, after[:3], lambda row: row)
        return account_sums.whole(page, after)

    async def payments(self, since: datetime | None, after: tuple[str, ...]) -> Looked[PaymentSums]:
        t = tables.transactions.c
        asked = {"since": since or _BEFORE_ALL, "events_kept_s": EVENTS_KEPT_S}
        return await self._walk((t.merchant_id, t.id), audit_queries.PAYMENTS, asked, after, _payment)

    async def transfer_sums(self, since: datetime | None, after: tuple[str, ...]) -> Looked[TransferSums]:
        t = tables.transfers.c
        asked = {"since": since or _BEFORE_ALL, "events_kept_s": EVENTS_KEPT_S}
        return await self._walk((t.merchant_id, t.id), audit_queries.TRANSFER_SUMS, asked, after, _transfer)

    async def subjects(self, after: tuple[str, ...]) -> Looked[NumberedFacts]:
        after_0, after_1 = after or ("", "")
        asked = {"after_0": after_0, "after_1": after_1, "size": self._page}
        found = await self._pool.run(lambda connection: connection.execute(audit_queries.SUBJECTS, asked).all())
        numbered = [NumberedFacts(**row._mapping) for row in found]
        end = (numbered[-1].merchant_id, numbered[-1].subject_id) if len(numbered) == self._page else None
        return Looked(numbered, len(numbered), end)

    async def late_events(self, after_s: float) -> tuple[int, float]:
        row = await self._pool.run(
            lambda connection: connection.execute(audit_queries.LATE, {"after_s": after_s}).one()
        )
        return row.late, float(row.oldest_s)

    async def _walk(
        self,
        keys: Sequence[Column[Any]],
        query: TextClause,
        asked: dict[str, Any],
        after: tuple[str, ...],
        made: Callable[[Any], _T],
        only: Any = True,
    ) -> Looked[_T]:
        """The page beyond `after`: of some `page` rows of the table that `keys` are of, what `query` makes of them."""
        after = after or ("",) * len(keys)
        beyond = select(*keys).where(only, tuple_(*keys) > tuple_(*after))

        def work(connection: Connection) -> Looked[_T]:
            connection.execute(audit_queries.BY_INDEX)
            row = connection.execute(beyond.order_by(*keys).offset(self._page - 1).limit(1)).one_or_none()
            end = None if row is None else tuple(row)
            page = beyond if end is None else beyond.where(tuple_(*keys) <= tuple_(*end))
            looked_at = connection.execute(select(func.count()).select_from(page.subquery())).scalar_one()
            names = {f"after_{at}": value for at, value in enumerate(after)}
            names.update({f"end_{at}": value for at, value in enumerate(end or after)})
            found = connection.execute(query, {**asked, **names, "last": end is None})
            return Looked([made(one) for one in found], looked_at, end)

        return await self._pool.run(work)

    # ── what was found ────────────────────────────────────────────────────────────────────────────────────────────────

    async def note(self, run: Run, found: Sequence[Discrepancy], origin: Origin) -> list[Noted]:
        if not found:
            return []
        by_key = {(str(one.kind), one.merchant_id, one.reference): one for one in found}
        document = orjson.dumps([{**asdict(one), "id": new_id("dis")} for one in by_key.values()]).decode()

        def work(connection: Connection) -> list[Noted]:
            _renew(connection, run)
            noted = []
            for row in connection.execute(audit_queries.NOTE, {"run": run.number, "found": document}).all():
                one = by_key[(row.kind, row.merchant_id, row.reference)]
                noted.append(Noted(row.id, one, row.fresh, row.reviewed_at is not None))
                if row.fresh:
                    write_facts(connection, [one.found(row.id, run.began_at)], origin)
            return noted

        return await self._pool.run(work)

    async def reviewed(self, ids: Sequence[str]) -> None:
        d = tables.discrepancies
        marked = update(d).where(d.c.id.in_(list(ids)), d.c.reviewed_at.is_(None)).values(reviewed_at=func.now())
        await self._pool.run(lambda connection: connection.execute(marked))


def _renew(connection: Connection, run: Run) -> None:
    asked = {"owner": run.owner, "run": run.number, "lease_s": LEASE_S}
    if connection.execute(audit_queries.RENEW, asked).one_or_none() is None:
        raise Unavailable("Another process reconciles now")


def _compared(row: Any) -> Compared:
    line = Line(row.reference, row.kind, Done(row.done), row.amount_minor, row.currency, row.at, row.times)
    if row.our_merchant_id is None:
        return Compared(line, None)
    ours = Operation(
        row.our_merchant_id,
        row.reference,
        row.our_subject_id,
        row.our_kind,
        row.our_status,
        row.our_amount_minor,
        row.our_currency,
        row.our_created_at,
        row.our_settled_at,
    )
    return Compared(line, ours)


def _own(row: Any) -> Own:
    ours = Operation(
        row.merchant_id,
        row.reference,
        row.subject_id,
        row.kind,
        row.status,
        row.amount_minor,
        row.currency,
        row.created_at,
        row.settled_at,
    )
    return Own(ours, row.alone, Claimed(ours, row.holder, row.held_since, row.ended_at) if row.unheld else None)


def _answer(row: Any) -> StoredAnswer:
    return StoredAnswer(
        row.merchant_id,
        row.scope,
        row.transaction_id,
        row.refund_id,
        row.answer_body,
        row.status,
        row.amount_minor,
        row.currency,
        row.retried,
    )


def _journal(row: Any) -> JournalSums:
    return JournalSums(row.merchant_id, row.fact_id, row.subject_id, row.off, row.known)


def _payment(row: Any) -> PaymentSums:
    return PaymentSums(**_whole(row))


def _transfer(row: Any) -> TransferSums:
    return TransferSums(**_whole(row))


def _whole(row: Any) -> dict[str, Any]:
    """Its columns; a sum of bigints is a Decimal to psycopg2."""
    return {str(name): int(value) if isinstance(value, Decimal) else value for name, value in row._mapping.items()}
