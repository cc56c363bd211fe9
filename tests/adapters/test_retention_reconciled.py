"""Reconciliation of books that were purged: nothing that was let go of is missed, and what is lost still is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from cleartill.domain.retention import KEPT, Perishable
from cleartill.usecases.purge import Sweep, purge
from real import Room
from real.audited import Audited, audited, lives
from real.keeping import DAY, grow_old
from real.providers import simulator

PUBLISHED = "UPDATE outbox SET published_at = created_at"
OLDER_FACTS = """
ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only;
UPDATE audit_logs SET recorded_at = recorded_at - interval '400 days';
ALTER TABLE audit_logs ENABLE TRIGGER audit_logs_append_only
"""


@pytest.fixture
def bank_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
async def books(room: Room, bank_url: str, database_url: str) -> AsyncIterator[Audited]:
    async with audited(room, bank_url, database_url) as made:
        await lives(made.steps, 1)
        await made.resolve_all()
        made.rows(PUBLISHED)
        yield made


async def purged(books: Audited) -> tuple[int, int]:
    """To the end; how many keys and events are left."""
    sweep = Sweep()
    while await purge(books.till, sweep):
        pass
    ((keys, events),) = books.rows("SELECT (SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM outbox)")
    return keys, events


async def test_what_was_purged_is_not_missed(books: Audited, database_url: str) -> None:
    await asyncio.to_thread(grow_old, database_url, 400 * DAY)
    books.rows(OLDER_FACTS)
    assert await purged(books) == (0, 0)
    assert await books.kinds() == {}


@pytest.mark.parametrize("kept", [DAY, DAY + timedelta(seconds=30)])
async def test_nor_is_what_is_purged_as_soon_as_it_may_be(books: Audited, database_url: str, kept: timedelta) -> None:
    """With events kept for the least that can be set."""
    books.till.kept = {**KEPT, Perishable.EVENTS: DAY}
    await asyncio.to_thread(grow_old, database_url, kept)
    books.rows(OLDER_FACTS.replace("400 days", f"{kept.total_seconds()} seconds"))
    before = books.rows("SELECT (SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM outbox)")
    assert [await purged(books)] == before
    assert await books.kinds() == {}


async def test_what_is_lost_within_its_time_is_found(books: Audited, database_url: str) -> None:
    await asyncio.to_thread(grow_old, database_url, DAY - timedelta(minutes=5))
    books.rows("DELETE FROM idempotency_keys WHERE scope = 'process'")
    books.rows("DELETE FROM outbox WHERE type = 'payment.captured'")
    assert {"claim_lost", "event_missing"} <= (await books.kinds()).keys()
