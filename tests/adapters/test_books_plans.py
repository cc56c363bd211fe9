"""With 20,000 payments in the books, what runs for every request goes by the index made for it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import psycopg2
import pytest

from cleartill.adapters.postgres import backlog, statements
from cleartill.adapters.postgres.plans import KEPT_UNITS
from cleartill.domain.outcome import NotSent
from cleartill.ports import Verdict
from real import MERCHANT, Room, captured, claim, intent, open_room, outcome, refund_intent, rows

FILL = """
INSERT INTO transactions (merchant_id, id, status, amount_minor, currency, payment_method, capture_method, provider,
    trace_id, version, seq, unit_id, created_at, updated_at)
SELECT %(merchant)s, 'pay_' || n, 'captured', 100, 'USD', 'credit_card', 'automatic', 'bank', '', 2, 2, 'unt_' || n,
    now(), now() FROM generate_series(1, 20000) n;
INSERT INTO refunds (merchant_id, id, transaction_id, status, amount_minor, currency, provider, trace_id, created_at,
    updated_at)
SELECT %(merchant)s, 'ref_' || n, 'pay_' || n, 'succeeded', 1, 'USD', 'bank', '', now(), now()
    FROM generate_series(1, 20000) n;
INSERT INTO attempts (merchant_id, key, transaction_id, kind, provider, amount_minor, currency, status, origin,
    opened_by, settled_by, settled_at, expires_at, resolve_at)
SELECT %(merchant)s, 'pay_' || n || '.authorize.1', 'pay_' || n, 'authorize', 'bank', 100, 'USD', 'approved', '{}',
    'unt_' || n, 'unt_x' || n, now(), now(), now() FROM generate_series(1, 20000) n;
INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id)
SELECT %(merchant)s, 'process', 'key ' || n, '', 'unt_' || n, 'pay_' || n FROM generate_series(1, 20000) n;
INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, at)
SELECT %(merchant)s, 'pay_' || n, 1, '', '', '', '', '{}', now() FROM generate_series(1, 20000) n;
INSERT INTO outbox (merchant_id, subject_id, seq, shard, type, event, published_at)
SELECT %(merchant)s, 'pay_' || n, 1, n %% 16, '', '{}', now() FROM generate_series(1, 20000) n;
"""

FILLED = re.findall(r"INSERT INTO (\w+)", FILL)


@pytest.fixture
async def room(database_url: str) -> AsyncIterator[Room]:
    """Its writer planned its statements while the tables were empty, and nobody has analysed them since."""
    async with open_room(database_url) as room:
        await asyncio.to_thread(_alter, database_url, "SET (autovacuum_enabled = false)")  # this too ends kept plans
        for _ in range(10):  # after five, PostgreSQL would keep a plan
            await captured(room.books)
        await asyncio.to_thread(_fill, database_url)
        yield room
        await asyncio.to_thread(_alter, database_url, "RESET (autovacuum_enabled)")


def _alter(url: str, how: str) -> None:
    """Or autovacuum analyses the tables in mid-test, if the test takes long enough."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for table in FILLED:
            cursor.execute(f"ALTER TABLE {table} {how}")


def _fill(url: str) -> None:
    """And have what that read counted at once, not in the middle of the test."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(FILL, {"merchant": MERCHANT})
            cursor.execute("SELECT pg_stat_force_next_flush()")


def used(plan: list[tuple[Any, ...]]) -> tuple[set[str], set[str]]:
    """The indexes a plan goes by, and the tables it reads whole: going through the whole of an index is as bad."""
    lines = [line for (line,) in plan]
    words = [line.replace("->", "").split() for line in lines if " Scan" in line]
    indexes = {line[line.index("using") + 1] for line in words if "using" in line}
    indexes |= {line[line.index("on") + 1] for line in words if line[:2] == ["Bitmap", "Index"]}
    whole = {line[line.index("on") + 1] for line in words if line[:2] == ["Seq", "Scan"]}
    for line, next_line in pairwise([*lines, ""]):
        if " Scan using " in line and "Index Cond:" not in next_line:
            whole.add(line.split("using ")[1].split()[0])
    return indexes, whole


async def explain(room: Room, sql: str, parameters: tuple[Any, ...]) -> tuple[set[str], set[str]]:
    """In the writer's own session, with the statements it has prepared."""
    link = await room.writer._connected()
    return used(await link.run("EXPLAIN " + sql, parameters))


READ = """
SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes), (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
    WHERE relname IN %(tables)s)
"""


async def _read(room: Room) -> tuple[int, int]:
    """How many entries of indexes, and how many rows of whole tables, were read until now."""
    link = await room.writer._connected()
    await link.run("SELECT pg_stat_force_next_flush()")
    ((of_indexes, of_tables),) = await link.run(READ, {"tables": tuple(FILLED)})
    return of_indexes, of_tables


async def test_a_batch_finds_its_rows_by_their_keys(room: Room) -> None:
    """After some more batches the plans are made anew, and then know how the tables have grown."""
    for _ in range(KEPT_UNITS):
        await captured(room.books)
    before = await _read(room)

    payment = await captured(room.books)
    refund = refund_intent(payment, 10)
    assert await room.books.record(refund) is Verdict.RECORDED
    assert await room.books.record(outcome(refund)) is Verdict.RECORDED
    unsent = intent(under=claim("k"))
    assert await room.books.record(unsent) is Verdict.RECORDED
    assert await room.books.record(outcome(unsent, NotSent("connect"))) is Verdict.RECORDED

    of_indexes, of_tables = (after - was for after, was in zip(await _read(room), before, strict=True))
    assert of_tables == 0
    assert of_indexes < 100, "the 20,000 of one index would be one that was gone through"


async def test_payments_are_locked_by_their_keys(room: Room) -> None:
    parameters = ([MERCHANT] * 3, ["pay_1", "pay_2", "pay_3"])

    assert await explain(room, "EXECUTE lock_batch (%s, %s)", parameters) == ({"transactions_pkey"}, set())


async def test_the_fate_of_units_is_found_by_key(room: Room) -> None:
    sql = statements.FATE % {"merchants": "%s", "ids": "%s"}

    indexes, whole = await explain(room, sql, ([MERCHANT], ["pay_1"]))

    assert (indexes, whole) == ({"transactions_pkey", "attempts_of_payment"}, set())


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (str(backlog._DUE).replace(":limit", "64"), "attempts_due"),
        (
            "SELECT * FROM outbox WHERE published_at IS NULL AND shard IN (1, 2, 3) "
            "ORDER BY shard, subject_id, seq LIMIT 500",
            "outbox_unpublished",
        ),
        ("SELECT min(created_at) FROM outbox WHERE published_at IS NULL", "outbox_unpublished"),
        ("SELECT * FROM card_vault WHERE key_version <> 2 ORDER BY key_version LIMIT 500", "card_vault_to_rewrap"),
        ("SELECT * FROM api_keys WHERE prefix = 'sk_test_x'", "api_keys_found_by_prefix"),
        (
            "SELECT * FROM idempotency_keys WHERE merchant_id = 'm' AND scope = 'process' AND key = 'k'",
            "idempotency_keys_pkey",
        ),
    ],
)
async def test_other_queries_have_an_index_of_their_own(room: Room, database_url: str, sql: str, index: str) -> None:
    rows(database_url, "ANALYZE transactions, refunds, attempts, outbox, idempotency_keys")

    plan = rows(database_url, "SET enable_seqscan = off; EXPLAIN " + sql.replace("%", "%%"))

    assert index in used(plan)[0]
