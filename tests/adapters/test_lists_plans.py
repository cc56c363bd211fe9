"""With 20,000 payments in the books, counted by PostgreSQL or not, a page reads what it shows and little more."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from sqlalchemy import event

from cleartill.domain.ids import first_id
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.ports import PaymentQuery, Reads, RefundQuery
from real import MERCHANT, Room, open_room, rows
from real.listing import CARD, START

MANY = 20_000
FILL = """
-- In no order, as updates leave them: then walking down an index looks dear to PostgreSQL.
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT n, pay, ref, at FROM unnest(%(pays)s, %(refs)s, %(times)s::timestamptz[])
    WITH ORDINALITY AS made (pay, ref, at, n);
INSERT INTO transactions (merchant_id, id, status, amount_minor, currency, payment_method, capture_method, provider,
    card, order_id, trace_id, version, seq, unit_id, created_at, updated_at)
SELECT %(merchant)s, pay, CASE WHEN n = 7000 THEN 'pending' ELSE 'captured' END, 100, 'USD', 'credit_card',
    'automatic', 'bank', %(card)s::jsonb || jsonb_build_object('last4', lpad((n %% 5000)::text, 4, '0')),
    CASE WHEN n %% 2 = 0 THEN to_jsonb(n / 4) ELSE to_jsonb((n / 4)::text) END, '', 2, 2, 'unt_' || n, at, at
FROM made ORDER BY md5(pay);
INSERT INTO refunds (merchant_id, id, transaction_id, status, amount_minor, currency, provider, trace_id, created_at,
    updated_at)
SELECT %(merchant)s, ref, pay, 'succeeded', 1, 'USD', 'bank', '', at, at FROM made ORDER BY md5(ref);
INSERT INTO attempts (merchant_id, key, transaction_id, kind, provider, amount_minor, currency, status, provider_id,
    origin, opened_by, settled_by, settled_at, expires_at, resolve_at)
SELECT %(merchant)s, pay || '.authorize.1', pay, 'authorize', 'bank', 100, 'USD', 'approved', 'bnk_' || n, '{}',
    'unt_' || n, 'unt_x' || n, now(), now(), now() FROM made ORDER BY n;
"""
FORGET = """
SELECT pg_clear_attribute_stats('public', relname, attname, false)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relname IN ('transactions', 'refunds', 'attempts') AND attnum > 0 AND NOT attisdropped
"""
TIMES = [START + timedelta(seconds=n) for n in range(MANY)]
PAYS, REFS = ([first_id(prefix, at) for at in TIMES] for prefix in ("pay", "ref"))
Ask = Callable[[Reads], Awaitable[Any]]


def _fill(url: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        made = {"merchant": MERCHANT, "pays": PAYS, "refs": REFS, "times": TIMES, "card": json.dumps(asdict(CARD))}
        cursor.execute(FILL, made)


@pytest.fixture(params=["counted", "never counted"])
async def room(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        await asyncio.to_thread(_fill, database_url)
        if request.param == "counted":
            await asyncio.to_thread(rows, database_url, "ANALYZE transactions, refunds, attempts")
        else:
            await asyncio.to_thread(rows, database_url, FORGET)
        yield room


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


async def explain(room: Room, url: str, ask: Ask) -> tuple[set[str], int]:
    """The indexes that a question goes by (or the way it goes without one), and how many rows it fetches."""
    said: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    event.listen(room.pool._engine, "before_cursor_execute", listen)
    await ask(room.reads)
    event.remove(room.pool._engine, "before_cursor_execute", listen)
    indexes, fetched = set(), 0
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for statement, parameters in said:
            if not statement.startswith(("SELECT", "(SELECT")):
                cursor.execute(statement)
                continue
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            for node in _nodes(cursor.fetchone()[0][0]["Plan"]):  # type: ignore[index]
                if "Relation Name" in node:
                    indexes.add(node.get("Index Name", node["Node Type"]))
                    fetched += round(
                        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
                    )
    return indexes, fetched


def of_payments(**asked: Any) -> Ask:
    return lambda reads: reads.payments(MERCHANT, PaymentQuery(**asked))


def of_refunds(**asked: Any) -> Ask:
    return lambda reads: reads.refunds(MERCHANT, RefundQuery(**asked))


CAPTURED, PENDING = frozenset({PaymentStatus.CAPTURED}), frozenset({PaymentStatus.PENDING})
SUCCEEDED = frozenset({RefundStatus.SUCCEEDED})
IN_TIME = {"created_from": TIMES[5_000], "created_to": TIMES[5_100]}


PAGES: list[tuple[Ask, str, int]] = [
    (of_payments(), "transactions_pkey", 21),
    (of_payments(limit=100), "transactions_pkey", 101),
    (of_payments(before=PAYS[10_000]), "transactions_pkey", 21),
    (of_payments(statuses=CAPTURED), "transactions_pkey", 21),
    (of_payments(provider="bank", before=PAYS[3]), "transactions_pkey", 2 * 3),
    (of_payments(**IN_TIME), "transactions_pkey", 21 + 10),
    (of_payments(**IN_TIME, limit=100), "transactions_pkey", 2 * (100 + 20)),
    (of_payments(order_id="1000"), "transactions_of_order", 4),
    (of_payments(order_id="none"), "transactions_of_order", 0),
    (of_payments(order_id="1000", statuses=CAPTURED), "transactions_of_order", 2 * 4),
    (of_payments(last4="4242"), "transactions_of_card", 4),
    (of_payments(last4="4242", statuses=PENDING), "transactions_of_card", 2 * 4),
    (of_payments(statuses=PENDING, look_at=1_000), "transactions_pkey", 2 * 1_000),
    (of_payments(statuses=PENDING, look_at=1_000, before=PAYS[19_000]), "transactions_pkey", 2 * 1_000),
    (of_payments(provider="nobody", look_at=1_000), "transactions_pkey", 2 * 1_000),
    (of_refunds(), "refunds_pkey", 21),
    (of_refunds(before=REFS[10_000]), "refunds_pkey", 21),
    (of_refunds(statuses=SUCCEEDED), "refunds_pkey", 21),
    (of_refunds(provider="nobody", look_at=1_000), "refunds_pkey", 2 * 1_000),
    (of_refunds(**IN_TIME), "refunds_pkey", 21 + 10),
    (of_refunds(payment_id=PAYS[7]), "refunds_of_payment", 1),
    (of_refunds(payment_id=PAYS[7], statuses=SUCCEEDED), "refunds_of_payment", 2),
]
"""Each with the index it goes by and the rows it may fetch; twice, where it must ask how far it came."""


async def test_a_page_reads_little_more_than_it_shows(room: Room, database_url: str) -> None:
    for number, (ask, index, most) in enumerate(PAGES):
        indexes, fetched = await explain(room, database_url, ask)
        assert (number, indexes) == (number, {index})
        assert fetched <= most, number


async def test_a_payment_is_found_by_its_providers_name_at_once(room: Room, database_url: str) -> None:
    indexes, fetched = await explain(
        room, database_url, lambda reads: reads.payment_at_provider(MERCHANT, "bank", "bnk_123")
    )

    assert (indexes, fetched) == ({"attempts_at_provider", "transactions_pkey"}, 2)


async def test_the_one_that_is_pending_is_found_in_the_end(room: Room) -> None:
    found, pages, before = [], 0, None
    while pages < 30:
        listed = await room.reads.payments(MERCHANT, PaymentQuery(PENDING, before=before, look_at=1_000))
        found += [one.id for one in listed.items]
        pages, before = pages + 1, listed.next
        if before is None:
            break

    assert found == [PAYS[6_999]]
    assert pages == MANY / 1_000 + 1


async def test_the_walk_is_for_its_own_transaction_only(room: Room) -> None:
    """The pool's connections are for other questions too."""
    await room.reads.payments(MERCHANT, PaymentQuery())
    settings = (
        "SELECT name, setting FROM pg_settings WHERE name IN ('enable_sort', 'enable_seqscan', 'enable_bitmapscan')"
    )

    said = await room.pool.run(lambda connection: connection.exec_driver_sql(settings).all())

    assert {setting for _, setting in said} == {"on"}
