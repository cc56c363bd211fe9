"""The PostgreSQL adapter, opened as `wiring` does it, and plain SQL beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2

from cleartill.adapters.postgres.backlog import PostgresBacklog
from cleartill.adapters.postgres.books import PostgresBooks
from cleartill.adapters.postgres.engine import ConnectionPool, connect, open_link
from cleartill.adapters.postgres.ledger import PostgresLedger
from cleartill.adapters.postgres.merchants import PostgresMerchants
from cleartill.adapters.postgres.reads import PostgresReads
from cleartill.adapters.postgres.reconciliation import PostgresAudits
from cleartill.adapters.postgres.retention import PostgresRetention
from cleartill.adapters.postgres.sessions import PostgresSessions
from cleartill.adapters.postgres.transfers import PostgresTransfers
from cleartill.adapters.postgres.webhooks import PostgresWebhooks
from cleartill.adapters.postgres.writer import Writer
from cleartill.ports import SystemClock, Till
from fakes import FakeWatch, World


@dataclass
class Room:
    books: PostgresBooks
    reads: PostgresReads
    merchants: PostgresMerchants
    backlog: PostgresBacklog
    webhooks: PostgresWebhooks
    audits: PostgresAudits
    transfers: PostgresTransfers
    ledger: PostgresLedger
    writer: Writer
    pool: ConnectionPool
    watch: FakeWatch


@asynccontextmanager
async def open_room(url: str, *, writer_url: str | None = None, start: bool = True) -> AsyncIterator[Room]:
    """`writer_url`: where the writer connects to, if by another way. Not started, units only queue up."""
    watch = FakeWatch()
    pool = ConnectionPool(connect(url, name="cleartill test", pool_size=4), 4, watch)
    writer = Writer(partial(open_link, writer_url or url, name="cleartill test writer"), watch)
    if start:
        writer.start()
    try:
        yield Room(
            PostgresBooks(pool, writer),
            PostgresReads(pool),
            PostgresMerchants(pool),
            PostgresBacklog(pool),
            PostgresWebhooks(pool),
            PostgresAudits(pool),
            PostgresTransfers(pool),
            PostgresLedger(pool),
            writer,
            pool,
            watch,
        )
    finally:
        await writer.close()
        pool.close()


def till_on(room: Room, world: World) -> Till:
    """A till with real books and everything else scripted. The world's clock is the system's."""
    return Till(
        books=room.books,
        reads=room.reads,
        merchants=room.merchants,
        backlog=room.backlog,
        vault=world.vault,
        providers=world.providers,
        publisher=world.publisher,
        webhooks=room.webhooks,
        courier=world.courier,
        audits=room.audits,
        transfers=room.transfers,
        ledger=room.ledger,
        retention=PostgresRetention(room.pool),
        sessions=PostgresSessions(room.pool),
        clock=SystemClock(),
        watch=world.watch,
    )


def rows(url: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What plain SQL says, committed at once."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []
