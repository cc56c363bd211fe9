"""An audit log to be sealed: on the fake, or in PostgreSQL with rows written by plain SQL and by the books."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psycopg2

from cleartill.adapters.postgres.chain import PostgresAuditChain
from cleartill.domain.audit_chain import AuditRow
from cleartill.domain.audit_walk import Verdict
from cleartill.domain.events import timestamp
from cleartill.ports import AuditChain, SystemClock, Till
from cleartill.usecases.seal_audit import seal_audit
from cleartill.usecases.verify_audit import verify_audit
from fakes import FakeClock, World
from fakes.chain import FakeChain
from real.room import Room, rows, till_on

INSERT = """
INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, hops, at,
    recorded_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
SEVERAL = """
INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, hops, at,
    recorded_at)
SELECT 'm_' || n %% 7, 'pay_' || lpad(n::text, 9, '0'), 1, 'payment.captured', 'key_1', 'req_' || n,
    lpad(to_hex(n), 32, '0'), jsonb_build_object('event_id', 'evt_' || n, 'status', 'captured', 'amount_minor', n,
        'currency', 'USD', 'provider', 'bank', 'id', 'pay_' || n, 'rate', n / 1000.0),
    CASE WHEN n %% 2 = 0 THEN jsonb_build_array(jsonb_build_object('name', 'books.record', 'ms', n / 8.0,
        'start_ns', 1763000000000000000 + n, 'outcome', 'ok', 'tags', jsonb_build_object('facts', 1))) END,
    now() - interval '1 microsecond' * (%s - n), now() - interval '1 microsecond' * (%s - n)
FROM generate_series(%s, %s) n
"""


def an_audit_row(number: int, recorded_at: datetime | None = None) -> AuditRow:
    at = recorded_at or datetime.now(UTC)
    details = f'{{"event_id": "evt_{number}", "amount_minor": {number}.50, "é": null}}'
    hops = '[{"ms": 0.125}]' if number % 2 else None
    return AuditRow(
        "m", f"pay_{number}", 1, "payment.captured", "key", "req", "0" * 32, details, hops, timestamp(at), timestamp(at)
    )


@dataclass
class Chained:
    """`write`: commits rows, all at once. `lapse`: the lease of whoever seals ends."""

    till: Till
    chain: AuditChain
    write: Callable[..., Awaitable[None]]
    lapse: Callable[[], Awaitable[None]]

    async def seal_all(self, owner: str = "one") -> int:
        total = 0
        while sealed := await seal_audit(self.till, owner):
            total += sealed
        return total

    async def verify(self) -> Verdict:
        return await verify_audit(self.till)


@asynccontextmanager
async def fake_chained() -> AsyncIterator[Chained]:
    clock = FakeClock(datetime.now(UTC))
    world, chain = World(clock=clock), FakeChain(clock, page=3)

    async def write(*written: AuditRow) -> None:
        chain.log.extend(written)

    async def lapse() -> None:
        clock.advance(31)

    yield Chained(replace(world.till, chain=chain), chain, write, lapse)


@asynccontextmanager
async def postgres_chained(room: Room, url: str, page: int = 3) -> AsyncIterator[Chained]:
    chain, world = PostgresAuditChain(room.pool, page), World(clock=SystemClock())  # type: ignore[arg-type]

    async def write(*written: AuditRow) -> None:
        await asyncio.to_thread(insert, url, *written)

    async def lapse() -> None:
        await asyncio.to_thread(rows, url, "UPDATE audit_chain SET until = now() - interval '1 second'")

    yield Chained(replace(till_on(room, world), chain=chain), chain, write, lapse)


def insert(url: str, *written: AuditRow) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for row in written:
            cursor.execute(INSERT, tuple(getattr(row, name) for name in AuditRow.__slots__))


def insert_many(url: str, first: int, last: int) -> None:
    """Rows numbered so, written in one statement; the later the younger."""
    rows(url, SEVERAL, last, last, first, last)


def by_superuser(admin_url: str, *statements: str) -> None:
    """With the triggers off: whoever owns the server can do this."""
    with (
        closing(psycopg2.connect(admin_url, dbname="cleartill")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)
