"""A statement that somebody cancels by hand (`pg_cancel_backend`) is no fault of the unit or the request it served."""

import asyncio
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import text

from cleartill.domain.errors import BooksUnavailable
from cleartill.ports import Verdict
from real import Room, claim, intent, rows

CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = %s"


async def cancel(url: str, name: str, while_waiting_for: str) -> None:
    while not await asyncio.to_thread(rows, url, CANCEL, name, while_waiting_for):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_the_writer_tries_again(room: Room, database_url: str) -> None:
    """Its statement waits for a claim of the same key, which is then rolled back."""
    claims = "INSERT INTO idempotency_keys VALUES ('merchant_123', 'process', 'k', 'f', 'u', 't')"
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute(claims)
        writing = asyncio.create_task(room.books.record(intent(under=claim("k"))))
        await cancel(database_url, "cleartill test writer", "Lock")
        other.rollback()

    assert await writing is Verdict.RECORDED


async def test_a_read_says_that_the_books_are_away(room: Room, database_url: str) -> None:
    reading = asyncio.create_task(room.pool.run(lambda connection: connection.execute(text("SELECT pg_sleep(4)"))))
    await cancel(database_url, "cleartill test", "Timeout")
    with pytest.raises(BooksUnavailable):
        await reading
