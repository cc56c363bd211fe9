"""The sealer on a real PostgreSQL: beside writers, beside another sealer, killed, on books that were there before."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import psycopg2
import pytest

from cleartill.adapters.postgres import migrate
from cleartill.adapters.postgres.chain import PostgresAuditChain
from cleartill.adapters.postgres.engine import ConnectionPool, connect
from cleartill.domain.audit_chain import AuditRow, link
from cleartill.domain.errors import BooksUnavailable, Unavailable
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.ports import NoWatch
from cleartill.usecases.seal_audit import seal_audit
from real import captured, open_room, rows
from real.chained import INSERT, Chained, an_audit_row, by_superuser, insert_many, postgres_chained

WRITERS, TURNS, TURNS_MAX = 2, 60, 2_000
SEALER = """
import asyncio, sys
from types import SimpleNamespace
from cleartill.adapters.postgres.chain import PostgresAuditChain
from cleartill.adapters.postgres.engine import ConnectionPool, connect
from cleartill.ports import NoWatch
from cleartill.usecases import seal_audit

async def main():
    pool = ConnectionPool(connect(sys.argv[1], name="sealer", pool_size=1), 1, NoWatch())
    till = SimpleNamespace(chain=PostgresAuditChain(pool))
    while await seal_audit.seal_audit(till, sys.argv[2]):
        print("sealed", flush=True)

seal_audit.BATCH = 7
asyncio.run(main())
"""


@pytest.fixture
async def chained(database_url: str) -> AsyncIterator[Chained]:
    async with open_room(database_url) as room, postgres_chained(room, database_url, page=500) as made:
        yield made


async def sound(chained: Chained, count: int) -> None:
    verdict = await chained.verify()
    assert (verdict.faults, verdict.rows, verdict.head.number) == ((), count, count)


def write_turns(url: str, writer: int, enough: Callable[[], bool]) -> int:
    """Transactions of some rows each; one in three stays open while another of the same writer commits."""
    dice, written = random.Random(writer), 0
    with closing(psycopg2.connect(url)) as one, closing(psycopg2.connect(url)) as other:
        for turn in range(TURNS_MAX):
            if turn >= TURNS and enough():
                break
            late = turn % 3 == 0
            for number in range(dice.randint(1, 4)):
                _put(one if late and number == 0 else other, an_audit_row(writer * 100_000 + turn * 10 + number))
                written += 1
            other.commit()
            if turn % 3 == 1:
                one.commit()
        one.commit()
    return written


def _put(connection: psycopg2.extensions.connection, row: AuditRow) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, tuple(getattr(row, name) for name in AuditRow.__slots__))


async def test_two_sealers_beside_writers_that_commit_in_any_order(chained: Chained, database_url: str) -> None:
    """And a lease that keeps ending under their hands."""
    sealed = {"one": 0, "two": 0}
    writing = [
        asyncio.create_task(asyncio.to_thread(write_turns, database_url, writer, lambda: all(sealed.values())))
        for writer in range(WRITERS)
    ]

    async def sealer(owner: str) -> None:
        while not all(task.done() for task in writing):
            try:
                sealed[owner] += await seal_audit(chained.till, owner)
            except BooksUnavailable:  # it waited for the other one for too long
                continue
            await chained.lapse()

    await asyncio.gather(sealer("one"), sealer("two"), *writing)
    await chained.lapse()
    last = await chained.seal_all("one")
    written = sum(task.result() for task in writing)
    assert sum(sealed.values()) + last == written
    assert all(sealed.values()), "both had their turn"
    await sound(chained, written)
    assert rows(database_url, "SELECT count(*) FROM audit_logs WHERE seal_number IS NULL") == [(0,)]


async def test_sealers_that_are_killed_leave_no_half_batch(chained: Chained, database_url: str) -> None:
    insert_many(database_url, 1, 700)
    for number in range(3):
        sealer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SEALER, database_url, f"sealer {number}", stdout=asyncio.subprocess.PIPE
        )
        assert sealer.stdout is not None
        for _ in range(3):
            assert await sealer.stdout.readline() == b"sealed\n"
        sealer.send_signal(signal.SIGKILL)
        assert await sealer.wait() == -signal.SIGKILL
        await chained.lapse()
        ((number_of_it, count, last),) = rows(
            database_url,
            "SELECT c.number, (SELECT count(seal_number) FROM audit_logs), (SELECT max(seal_number) FROM audit_logs) "
            "FROM audit_chain c",
        )
        assert number_of_it == count == last
    assert 63 <= number_of_it < 700
    await chained.seal_all()
    await sound(chained, 700)


async def test_a_batch_that_fails_in_the_middle_leaves_nothing(
    chained: Chained, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_many(database_url, 1, 10)
    jam = (
        "INSERT INTO audit_logs SELECT 'm', 's', 1, '', '', '', '', '{}', NULL, now(), now(), 5, sha256(''), sha256('')"
    )
    rows(database_url, jam)
    with pytest.raises(Exception, match="audit_logs_chain"):
        await seal_audit(chained.till, "one")
    assert rows(database_url, "SELECT number FROM audit_chain") == [(0,)]
    assert [(fault.kind, fault.number) for fault in (await chained.verify()).faults] == [("inserted", 5)]


async def test_rows_that_are_gone_before_they_are_sealed_leave_no_hole(
    chained: Chained, database_url: str, postgres: EmbeddedPostgres
) -> None:
    insert_many(database_url, 1, 10)
    lease = await chained.chain.lease("one")
    assert lease is not None
    read = await chained.chain.unsealed(10)
    by_superuser(postgres.admin_url, "DELETE FROM audit_logs WHERE subject_id = 'pay_000000005'")
    with pytest.raises(Unavailable):
        await chained.chain.seal(lease, link(lease.head, read))
    assert rows(database_url, "SELECT number FROM audit_chain") == [(0,)]
    assert await seal_audit(chained.till, "one") == 9
    await sound(chained, 9)


async def test_the_books_facts_are_sealed_as_they_are(chained: Chained, database_url: str) -> None:
    async with open_room(database_url) as room:
        for _ in range(5):
            await captured(room.books)
    await chained.seal_all()
    ((count,),) = rows(database_url, "SELECT count(*) FROM audit_logs")
    await sound(chained, count)
    later = "SELECT count(*) FROM audit_logs a JOIN audit_logs b USING (merchant_id, subject_id) "
    assert rows(database_url, later + "WHERE a.seq < b.seq AND a.seal_number > b.seal_number") == [(0,)]


async def test_any_json_and_any_text_is_sealed_once_and_read_alike(chained: Chained, database_url: str) -> None:
    written = [
        '{"b": 1e2, "a": 1.50, "B": -0.0}', '"\\\\u0000"', "null", "[]", '{"é": "\\ud83d\\ude00", "": {"": [1, "1"]}}',
        "123456789012345678901234567890.12345678901234567890", '{"a": "\\u0001\\u007f\\u2028\\"\\\\/"}',
    ]  # fmt: skip
    for number, details in enumerate(written):
        made = an_audit_row(number)
        values = [getattr(made, name) for name in AuditRow.__slots__]
        values[4:6], values[7:9] = ["a\tb\n\"'\\ é\u2028😀", ""], [details, details]
        with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(INSERT, values)
    await chained.seal_all()
    await sound(chained, len(written))


@pytest.mark.parametrize("setting", ["DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "extra_float_digits = 0"])
async def test_the_servers_manners_make_no_difference(chained: Chained, database_url: str, setting: str) -> None:
    insert_many(database_url, 1, 5)
    await chained.seal_all()
    name = setting.split(" = ")[0]
    rows(database_url, f"ALTER ROLE CURRENT_USER SET {setting}")
    try:
        pool = ConnectionPool(connect(database_url, name="another", pool_size=1), 1, NoWatch())
        chained.till.chain = PostgresAuditChain(pool)
        await sound(chained, 5)
        pool.close()
    finally:
        rows(database_url, f"ALTER ROLE CURRENT_USER RESET {name}")


# ── books that were there before ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def before(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of its own, one revision behind."""
    with closing(psycopg2.connect(postgres.admin_url)) as admin:
        admin.autocommit = True
        cursor = admin.cursor()
        cursor.execute("CREATE DATABASE unsealed OWNER cleartill")
        url = postgres.url.rsplit("/", 1)[0] + "/unsealed"
        migrate.command.upgrade(migrate._config(url), "0007")
        yield url
        cursor.execute("DROP DATABASE unsealed WITH (FORCE)")


async def test_books_that_were_there_before_are_sealed_oldest_first(before: str) -> None:
    """While the release before goes on writing: it names the columns that it knows."""
    async with open_room(before) as old:
        insert_many(before, 1, 1200)
        await captured(old.books)
        migrate.upgrade(before)
        await captured(old.books)
        async with postgres_chained(old, before, page=500) as chained:
            await chained.seal_all()
            ((count,),) = rows(before, "SELECT count(*) FROM audit_logs")
            assert count > 1200
            await sound(chained, count)
    ages = "SELECT count(*) FROM audit_logs a JOIN audit_logs b ON b.seal_number = a.seal_number + 1"
    assert rows(before, ages + " WHERE b.recorded_at < a.recorded_at") == [(0,)]

    migrate.command.downgrade(migrate._config(before), "0007")
    migrate.upgrade(before)
    async with open_room(before) as again, postgres_chained(again, before, page=500) as chained:
        assert await chained.seal_all() == count
        await sound(chained, count)


async def test_what_is_not_sealed_is_found_by_the_index_that_holds_nothing_else(database_url: str) -> None:
    asked = "EXPLAIN SELECT 1 FROM audit_logs WHERE seal_number IS NULL ORDER BY recorded_at LIMIT 500"
    plan = "\n".join(line for (line,) in rows(database_url, f"SET enable_seqscan = off; {asked}"))
    assert "audit_logs_unsealed" in plan
