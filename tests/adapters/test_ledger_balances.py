"""Balances on a real PostgreSQL: what is rolled up and what waits is counted once, whoever else is at it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import Connection

from cleartill.adapters.postgres import ledger as adapter
from cleartill.adapters.postgres.ledger import BALANCES, PostgresLedger, covered
from cleartill.domain.ledger import Balance
from real import MERCHANT, Room, captured, open_room, rows

CAPTURES = 1_000


def append(url: str, entries: int, account: str = "merchant", amount: int = 1, merchants: int = 1) -> None:
    """Entries that wait, as a batch of the writer leaves them."""
    rows(
        url,
        """
        INSERT INTO ledger_pending (merchant_id, account, currency, amount_minor)
        SELECT CASE number %% %s WHEN 0 THEN %s ELSE 'm_' || number %% %s END, %s, 'USD', %s
        FROM generate_series(1, %s) AS number
        """,
        merchants,
        MERCHANT,
        merchants,
        account,
        amount,
        entries,
    )


def waiting(url: str) -> int:
    count: int = rows(url, "SELECT count(*) FROM ledger_pending")[0][0]
    return count


async def balance(ledger: PostgresLedger, merchant: str = MERCHANT) -> int:
    return sum(one.amount_minor for one in await ledger.balances(merchant) if one.account == "merchant")


@pytest.fixture
async def others(database_url: str) -> AsyncIterator[list[Room]]:
    """Two more processes over the same books."""
    async with open_room(database_url) as one, open_room(database_url) as two:
        yield [one, two]


async def test_a_balance_is_what_was_rolled_up_and_what_waits(room: Room, database_url: str) -> None:
    await captured(room.books, 10_000)
    before = await room.ledger.balances(MERCHANT)
    assert before == [Balance("acquirer", "USD", -10_000), Balance("merchant", "USD", 10_000)]
    assert await room.ledger.roll_up(64) == 2
    assert waiting(database_url) == 0
    assert await room.ledger.balances(MERCHANT) == before
    await captured(room.books, 5_000)
    assert await balance(room.ledger) == 15_000
    assert await room.ledger.balances("merchant_456") == []


async def test_every_account_has_its_turn(room: Room, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the first ones are."""
    monkeypatch.setattr(adapter, "ENTRIES_AT_ONCE", 10)
    append(database_url, 2_000, merchants=20)
    for _ in range(10):
        await room.ledger.roll_up(4)
        append(database_url, 20, account="acquirer")
    assert rows(database_url, "SELECT count(*) FROM balances WHERE account = 'merchant' AND amount_minor > 0") == [
        (20,)
    ]


async def test_a_round_is_bounded(room: Room, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "ENTRIES_AT_ONCE", 100)
    append(database_url, 250)
    assert [await room.ledger.roll_up(64) for _ in range(4)] == [100, 100, 50, 0]
    assert await balance(room.ledger) == 250


async def test_readers_and_many_workers_never_see_another_sum(
    room: Room, others: list[Room], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "ENTRIES_AT_ONCE", 7)
    append(database_url, 600)
    done = asyncio.Event()

    async def read() -> set[int]:
        seen = set()
        while not done.is_set():
            seen.add(await balance(room.ledger))
        return seen

    async def work(by: Room) -> int:
        total = 0
        for _ in range(60):
            total += await by.ledger.roll_up(64)
        return total

    readers = [asyncio.create_task(read()) for _ in range(2)]
    rolled = await asyncio.gather(*(work(by) for by in [*others, *others]))
    while waiting(database_url):
        rolled.append(await room.ledger.roll_up(64))
    done.set()
    assert sum(rolled) == 600
    assert {one for seen in await asyncio.gather(*readers) for one in seen} == {600}
    assert rows(database_url, "SELECT sum(amount_minor) FROM balances") == [(600,)]


async def test_cover_is_counted_once_while_entries_are_rolled_up(
    room: Room, others: list[Room], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locking and summing in one statement counted what was rolled up meanwhile twice."""
    monkeypatch.setattr(adapter, "ENTRIES_AT_ONCE", 5)
    append(database_url, 500)

    def look(connection: Connection) -> int:
        return covered(connection, MERCHANT, "merchant", "USD")

    async def roll() -> None:
        for _ in range(40):
            await others[0].ledger.roll_up(64)
            await asyncio.sleep(random.random() / 500)

    async def ask() -> set[int]:
        return {await others[1].pool.run(look) for _ in range(40)}

    _, *seen = await asyncio.gather(roll(), ask(), ask())
    assert set().union(*seen) == {500}


async def test_captures_wait_for_nobody(room: Room, database_url: str) -> None:
    """A thousand captures of one merchant while its balance's row is held, and none waits for a lock."""
    append(database_url, 1)
    await room.ledger.roll_up(64)
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM balances WHERE merchant_id = %s FOR UPDATE", (MERCHANT,))
        assert cursor.rowcount == 1
        paid = await asyncio.gather(*(captured(room.books, 100) for _ in range(CAPTURES)))
        assert {payment.status for payment in paid} == {"captured"}
        assert await room.ledger.roll_up(64) == CAPTURES, "the acquirer's account is free; the merchant's is held"
        holder.rollback()
    assert await balance(room.ledger) == 100 * CAPTURES + 1


async def test_a_read_touches_no_entry_but_those_that_wait(room: Room, database_url: str) -> None:
    """Whatever the number of entries: two index scans."""
    append(database_url, 20_000, merchants=500)
    rows(
        database_url,
        """
        INSERT INTO balances (merchant_id, account, currency, amount_minor)
        SELECT 'm_' || number, account, 'USD', 1
        FROM generate_series(1, 5000) AS number, unnest(ARRAY['merchant', 'acquirer']) AS account
        """,
    )
    rows(database_url, "ANALYZE balances, ledger_pending")

    def explain(connection: Connection) -> str:
        plan = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {BALANCES.text}".replace(":merchant_id", "'m_7'")
        )
        return "\n".join(line for (line,) in plan)

    plan = await room.pool.run(explain)
    assert "ledger_entries" not in plan
    assert "Seq Scan" not in plan
    assert "balances_pkey" in plan
    assert "ledger_pending_of_account" in plan
