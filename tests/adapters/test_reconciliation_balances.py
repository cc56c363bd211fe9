"""Balances held against their entries, a page at a time: what is wrong is found, and what is moving is not."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from cleartill.adapters.postgres.reconciliation import PostgresAudits
from cleartill.domain.invariants import check_account
from real import MERCHANT, Room, captured, open_room, rows

MERCHANTS = ("mer_a", "mer_b", "mer_c")


def move(cursor: Any, fact: str, amount: int = 1, merchant: str = MERCHANT) -> None:
    """A journal as the writer leaves it: entries, and as many that wait for their roll-up."""
    moved = "FROM (VALUES ('merchant', %(amount)s), ('acquirer', -%(amount)s)) AS e (account, amount)"
    cursor.execute(
        f"INSERT INTO ledger_entries SELECT %(merchant)s, %(fact)s, account, 'USD', amount, 'pay_1' {moved}; "
        f"INSERT INTO ledger_pending SELECT %(merchant)s, account, 'USD', amount {moved}",
        {"merchant": merchant, "fact": fact, "amount": amount},
    )


class Books:
    """An open transaction on the ledger."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self.cursor = self._connection.cursor()
        self.commit = self._connection.commit
        self.close = self._connection.close


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    with closing(Books(database_url)) as made:
        yield made


@pytest.fixture
async def filled(room: Room, books: Books) -> Room:
    """Three merchants; half of their entries are rolled up."""
    for numbers in (range(4), range(4, 8)):
        await room.ledger.roll_up(64)
        for merchant in MERCHANTS:
            for number in numbers:
                move(books.cursor, f"evt_{number}", 10 + number, merchant)
        books.commit()
    return room


async def walk(audits: PostgresAudits) -> list[tuple[str, str, int]]:
    """The accounts that are off, and by how much; every account is seen once."""
    seen, off = set(), []
    after: tuple[str, ...] | None = ()
    while after is not None:
        page = await audits.accounts(after)
        for one in page.found:
            assert (one.merchant_id, one.account, one.currency) not in seen
            seen.add((one.merchant_id, one.account, one.currency))
            if list(check_account(one)):
                off.append((one.merchant_id, one.account, one.stands - one.entries))
        after = page.end
    return off


PAGES = (1, 2, 3, 7, 16, 48, 1_000)


@pytest.mark.parametrize("page", PAGES)
async def test_what_is_right(filled: Room, page: int) -> None:
    assert await walk(PostgresAudits(filled.pool, page)) == []


async def test_nothing_at_all(room: Room) -> None:
    assert await walk(room.audits) == []


WHERE = "WHERE merchant_id = 'mer_b' AND account = 'merchant'"
PLANTED = {
    "balance altered": (f"UPDATE balances SET amount_minor = amount_minor + 1 {WHERE}", 1),
    "balance gone": (f"DELETE FROM balances {WHERE}", -46),
    "waiting lost": (f"DELETE FROM ledger_pending {WHERE} AND amount_minor = 15", -15),
    "waiting twice": (f"INSERT INTO ledger_pending SELECT * FROM ledger_pending {WHERE} AND amount_minor = 15", 15),
    "entry lost": (f"DELETE FROM ledger_entries {WHERE} AND fact_id = 'evt_2'", 12),
    "entry altered": (f"UPDATE ledger_entries SET amount_minor = amount_minor - 3 {WHERE} AND fact_id = 'evt_7'", 3),
    "all entries lost": (f"DELETE FROM ledger_entries {WHERE}", 108),
}


@pytest.mark.parametrize("page", [1, 5, 1_000])
@pytest.mark.parametrize("what", PLANTED)
async def test_what_is_wrong(filled: Room, database_url: str, what: str, page: int) -> None:
    plant, off = PLANTED[what]
    rows(database_url, plant)
    assert await walk(PostgresAudits(filled.pool, page)) == [("mer_b", "merchant", off)]


@pytest.mark.parametrize("merchant", ["mer_0", "mer_bb", "mer_z"])
@pytest.mark.parametrize("table", ["balances", "ledger_pending"])
async def test_money_of_a_merchant_without_any_entry(
    filled: Room, database_url: str, table: str, merchant: str
) -> None:
    rows(database_url, f"INSERT INTO {table} VALUES ('{merchant}', 'merchant', 'USD', 5)")
    assert await walk(PostgresAudits(filled.pool, 3)) == [(merchant, "merchant", 5)]


async def test_each_currency_is_an_account_of_its_own(filled: Room, database_url: str) -> None:
    rows(database_url, f"UPDATE ledger_entries SET currency = 'EUR' {WHERE} AND fact_id = 'evt_3'")
    assert sorted(await walk(PostgresAudits(filled.pool, 4))) == [
        ("mer_b", "merchant", -13), ("mer_b", "merchant", 13),
    ]  # fmt: skip


# ── while the books go on ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_committed_after_the_first_page_is_of_another_moment(
    room: Room, books: Books, database_url: str
) -> None:
    """Entries behind the walk and before it, whose transactions began before its moment or after, and a roll-up."""
    audits = PostgresAudits(room.pool, 2)
    for number in range(1, 6):
        move(books.cursor, f"evt_{number}")
    books.commit()
    with closing(Books(database_url)) as under_way, closing(Books(database_url)) as later:
        for fact in ("evt_0", "evt_3b", "evt_9"):
            move(under_way.cursor, fact, 100)
        move(books.cursor, "evt_8")
        books.commit()
        first = await audits.accounts(())
        assert (first.found, first.end is None) == ([], False)
        for fact in ("evt_00", "evt_3c", "evt_91"):
            move(later.cursor, fact, 1_000)
        later.commit()
        under_way.commit()
        await room.ledger.roll_up(64)

        after, found = first.end, []
        while after is not None:
            page = await audits.accounts(after)
            found += page.found
            after = page.end
    assert [(one.account, one.stands, one.entries) for one in found] == [("acquirer", -6, -6), ("merchant", 6, 6)]
    assert await walk(audits) == []


async def test_no_alarm_while_captures_and_roll_ups_run(room: Room, database_url: str) -> None:
    def entries() -> int:
        count: int = rows(database_url, "SELECT count(*) FROM ledger_entries")[0][0]
        return count

    async def capture(of: Room) -> None:
        for _ in range(10):
            await asyncio.gather(*(captured(of.books) for _ in range(5)))

    async def roll(of: Room) -> int:
        return sum([await of.ledger.roll_up(64) for _ in range(20)])

    async with open_room(database_url) as other, open_room(database_url) as third:
        await asyncio.gather(*(captured(room.books) for _ in range(40)))
        audits, wrote_meanwhile = PostgresAudits(third.pool, 20), False
        writing = asyncio.gather(capture(room), capture(other), roll(other), roll(third))
        while not writing.done():
            before = entries()
            assert await walk(audits) == []
            wrote_meanwhile = wrote_meanwhile or entries() > before
        *_, rolled, more = await writing

    assert (wrote_meanwhile, rolled + more > 0, entries()) == (True, True, 2 * (40 + 2 * 10 * 5))
    assert await walk(room.audits) == []
