"""Rows and keys that somebody else holds, and two processes after the same thing."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2 import extensions

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.outcome import NotSent
from cleartill.ports import Verdict
from real import MERCHANT, Room, captured, claim, intent, later, open_room, outcome, refund_intent, rows
from real.asking import count, queued

WAITS = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE application_name = 'cleartill test writer' AND wait_event_type = 'Lock' AND datname = current_database()"
)
"""Whether a writer of ours waits for a lock."""


@pytest.fixture
async def idle(database_url: str) -> AsyncIterator[Room]:
    """Its writer is not started yet: units queue up, to be taken as one batch."""
    async with open_room(database_url, start=False) as room:
        yield room


@contextmanager
def foreign(url: str) -> Iterator[extensions.cursor]:
    """A transaction of somebody else, open until left."""
    with closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()


# ── what somebody else holds ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE"])
async def test_a_held_payment_waits_alone(room: Room, idle: Room, database_url: str, lock: str) -> None:
    """The rest of its batch is written at once, in one transaction: nothing was waited for and tried again."""
    held, free = await captured(room.books), [await captured(room.books) for _ in range(5)]
    others = [refund_intent(one, 1) for one in free]
    with foreign(database_url) as theirs:
        theirs.execute(f"SELECT FROM transactions WHERE id = %s {lock}", (held.id,))
        stuck, *rest = await queued(idle, refund_intent(held, 1), *others)
        idle.writer.start()

        assert set(await asyncio.gather(*rest)) == {Verdict.RECORDED}
        assert len({unit.stamps["batch_id"] for unit in others}) == 1
        assert not stuck.done()

    assert await stuck is Verdict.RECORDED


async def test_a_payment_held_for_too_long_is_given_up(room: Room, database_url: str) -> None:
    held = await captured(room.books)
    with foreign(database_url) as theirs:
        theirs.execute("SELECT FROM transactions WHERE id = %s FOR UPDATE", (held.id,))
        with pytest.raises(BooksUnavailable):
            await room.books.record(refund_intent(held, 1, within_s=0.1))

    assert count(database_url, "refunds") == 0


async def test_a_key_held_by_an_open_insert_stops_nobody_else(idle: Room, database_url: str) -> None:
    with foreign(database_url) as theirs:
        theirs.execute(
            "INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id) "
            "VALUES (%s, 'process', 'held', 'f', 'u', 't')",
            (MERCHANT,),
        )
        tasks = await queued(idle, *(intent(under=claim(f"k{index}")) for index in range(20)))
        (stuck,) = await queued(idle, intent(under=claim("held")))
        idle.writer.start()

        assert set(await asyncio.gather(*tasks)) == {Verdict.RECORDED}
        assert not stuck.done()

    assert await stuck is Verdict.RECORDED  # theirs was rolled back


async def test_a_key_that_is_taken_while_we_look_is_taken(room: Room, database_url: str) -> None:
    """Theirs commits when ours, which did not see it, is about to write: to have looked before is no claim."""
    for number in range(3):
        with foreign(database_url) as theirs:
            theirs.execute(
                "INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id) "
                "VALUES (%s, 'process', %s, 'f', 'u', 't')",
                (MERCHANT, f"k{number}"),
            )
            ours = asyncio.create_task(room.books.record(intent(under=claim(f"k{number}"))))
            while not rows(database_url, WAITS):
                assert not ours.done()
                await asyncio.sleep(0.005)
            theirs.connection.commit()

        assert await ours is Verdict.KEY_TAKEN

    assert count(database_url, "transactions") == 0


async def test_a_key_held_for_too_long_is_given_up(room: Room, database_url: str) -> None:
    with foreign(database_url) as theirs:
        theirs.execute(
            "INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id) "
            "VALUES (%s, 'process', 'held', 'f', 'u', 't')",
            (MERCHANT,),
        )
        with pytest.raises(BooksUnavailable):
            await room.books.record(intent(under=claim("held"), within_s=0.4))

    assert count(database_url, "transactions") == 0


# ── two processes' writers ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("turn", [0, 1])
async def test_one_key_in_two_writers_at_once(room: Room, database_url: str, turn: int) -> None:
    async with open_room(database_url) as other:
        for number in range(10):
            units = [intent(under=claim(f"k{number}")) for _ in range(2)]
            order = [room.books, other.books][:: 1 if turn else -1]
            verdicts = await asyncio.gather(*(books.record(unit) for books, unit in zip(order, units, strict=True)))

            assert sorted(verdict.value for verdict in verdicts) == ["key_taken", "recorded"]

    assert count(database_url, "transactions") == count(database_url, "idempotency_keys") == 10


async def test_one_payment_in_two_writers_at_once(room: Room, database_url: str) -> None:
    async with open_room(database_url) as other:
        for _ in range(10):
            paid = await captured(room.books)
            units = [
                refund_intent((await books.load(MERCHANT, paid.id)).payment, 1) for books in (room.books, other.books)
            ]
            verdicts = await asyncio.gather(room.books.record(units[0]), other.books.record(units[1]))

            assert sorted(verdict.value for verdict in verdicts) == ["conflict", "recorded"]

    assert count(database_url, "refunds") == 10


async def test_a_losing_step_leaves_no_claim_behind_in_a_crowd(room: Room, database_url: str) -> None:
    """Sixteen refunds of one payment, each with its key, from two writers: one wins, and one key is taken."""
    paid = await captured(room.books)
    async with open_room(database_url) as other:
        units = [
            refund_intent((await room.books.load(MERCHANT, paid.id)).payment, 1, under=claim(f"r{index}"))
            for index in range(16)
        ]
        verdicts = await asyncio.gather(
            *((room, other)[index % 2].books.record(unit) for index, unit in enumerate(units))
        )

    assert sorted(verdict.value for verdict in verdicts) == ["conflict"] * 15 + ["recorded"]
    assert count(database_url, "idempotency_keys") == count(database_url, "refunds") == 1


async def test_a_freed_key_can_be_taken_again(room: Room) -> None:
    first = intent(under=claim("k"))
    await room.books.record(first)
    assert await room.books.record(intent(under=claim("k"))) is Verdict.KEY_TAKEN
    await room.books.record(outcome(first, NotSent("connect")))

    assert await room.books.record(intent(under=claim("k"))) is Verdict.RECORDED


async def test_a_claim_is_of_one_merchant_and_scope(room: Room) -> None:
    assert await room.books.record(intent(under=claim("k"))) is Verdict.RECORDED
    assert await room.books.record(intent(under=claim("k", "refund:pay_1"))) is Verdict.RECORDED


async def test_nothing_is_held_while_nothing_is_written(room: Room, database_url: str) -> None:
    """Between batches the writer's session is outside any transaction, so that vacuum and migrations get through."""
    await room.books.record(intent())
    end = later(5)
    ask = "SELECT state FROM pg_stat_activity WHERE application_name = 'cleartill test writer'"
    while (found := rows(database_url, ask)) != [("idle",)]:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)
