"""Purging real tables: beside payments, beside another purge, around what is held; and what is left to tell."""

import asyncio
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from cleartill.adapters.postgres.retention import TRIES_PER_DELIVERY, PostgresRetention
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.retention import KEPT, Perishable
from cleartill.ports import Purged, Till
from real import MERCHANT, Room, rows
from real.hooks import claim, ready, take_on, tried
from real.house import House
from real.keeping import DAY, grow_old, keys_of
from real.old import fill
from real.orders import back, id_of, pay

KEYS, CALLBACKS, EVENTS, DELIVERIES, SESSIONS = Perishable
LEFT = """
SELECT (SELECT count(*) FROM idempotency_keys WHERE scope = 'process'),
    (SELECT count(*) FROM idempotency_keys WHERE scope LIKE 'callback:%'),
    (SELECT count(*) FROM outbox WHERE subject_id LIKE 'pay_%'),
    (SELECT count(*) FROM webhook_deliveries), (SELECT count(*) FROM webhook_attempts),
    (SELECT count(*) FROM sessions)
"""


async def sweep(till: Till, what: Perishable, limit: int) -> list[Purged]:
    """Batch by batch, to the end."""
    batches = [await till.retention.purge(what, KEPT[what], None, limit)]
    while batches[-1].beyond is not None:
        batches.append(await till.retention.purge(what, KEPT[what], batches[-1].beyond, limit))
        assert len(batches) < 1_000
    return batches


async def test_no_batch_is_larger_than_asked_for_and_all_that_may_go_goes(till: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 200)
    for what in Perishable:
        batches = await sweep(till, what, 30)
        assert max(batch.gone for batch in batches) <= 30
        assert sum(batch.gone for batch in batches) == (200 if what is CALLBACKS else 180)
    assert rows(database_url, LEFT.replace("%", "%%")) == [(20, 0, 20, 20, 40, 20)]


@pytest.mark.parametrize(
    "answer",
    ["answer_status = 202, answered_at = created_at", "answer_status = NULL, answer_body = NULL, answered_at = NULL"],
)
async def test_a_key_without_a_final_answer_stays(till: Till, database_url: str, answer: str) -> None:
    """Whatever else the books say of what it was used for."""
    await asyncio.to_thread(fill, database_url, 9)
    rows(database_url, f"UPDATE idempotency_keys SET {answer} WHERE key IN ('key 3', 'key 4')")
    assert (await till.retention.purge(KEYS, KEPT[KEYS], None, 500)).gone == 7
    assert {"key 3", "key 4"} <= keys_of(database_url)


async def test_a_sweep_over_rows_of_one_moment_ends(till: Till, database_url: str) -> None:
    """Even if those that stay fill more than a batch."""
    await asyncio.to_thread(fill, database_url, 100)
    rows(database_url, "UPDATE idempotency_keys SET created_at = now() - interval '9 days'")
    rows(database_url, "UPDATE outbox SET published_at = now() - interval '40 days' WHERE published_at IS NOT NULL")
    for what, may_go in ((KEYS, 90), (CALLBACKS, 100), (EVENTS, 90)):
        gone = 0
        for _ in range(5):
            gone += sum([batch.gone for batch in await sweep(till, what, 7)])
        assert 0 < gone <= may_go


async def test_two_at_once_share_the_work(till: Till, other: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 1_000)
    for what in Perishable:
        shares = await asyncio.gather(sweep(till, what, 20), sweep(other, what, 20), sweep(till, what, 20))
        gone = sum(batch.gone for batches in shares for batch in batches)
        assert gone == (1_000 if what is CALLBACKS else 900)
        assert (await till.retention.purge(what, KEPT[what], None, 500)).gone == 0


async def test_payments_go_on_beside_it(till: Till, other: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 1_000)

    async def purging() -> int:
        return sum([batch.gone for what in Perishable for batch in await sweep(other, what, 25)])

    async def paying(number: int) -> list[str]:
        paid = [await pay(till, f"new {number}.{turn}") for turn in range(10)]
        given_back = [
            await back(till, id_of(answer), "1.00", f"back {number}.{turn}") for turn, answer in enumerate(paid)
        ]
        assert {answer.status for answer in paid + given_back} == {201}
        return [id_of(answer) for answer in paid]

    gone, *paid = await asyncio.gather(purging(), *(paying(number) for number in range(8)))

    assert gone == 900 + 1_000 + 900 + 900 + 900
    new = [payment_id for several in paid for payment_id in several]
    assert len({key for key in keys_of(database_url) if key.startswith(("new", "back"))}) == 2 * len(new)
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE subject_id = ANY (%s)", new) == [(4 * len(new),)]


async def test_what_somebody_holds_is_passed_over(till: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 50)
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM idempotency_keys WHERE key = 'key 7' FOR NO KEY UPDATE")
        assert (await till.retention.purge(KEYS, KEPT[KEYS], None, 500)).gone == 44
        holder.rollback()
    assert (await till.retention.purge(KEYS, KEPT[KEYS], None, 500)).gone == 1


async def test_what_may_not_go_is_not_locked(till: Till, room: Room, database_url: str) -> None:
    """The resolver could not write down the end of what is in doubt."""
    await asyncio.to_thread(fill, database_url, 50)

    def within() -> list[tuple[str]]:
        with closing(psycopg2.connect(database_url)) as beside, beside, beside.cursor() as cursor:
            cursor.execute("SELECT key FROM idempotency_keys WHERE scope = 'process' FOR UPDATE SKIP LOCKED")
            return cursor.fetchall()

    class Pool:
        async def run(self, work):  # type: ignore[no-untyped-def]
            return await room.pool.run(lambda connection: (work(connection), within()))

    retention = PostgresRetention(Pool())  # type: ignore[arg-type]
    purged, free = await retention.purge(KEYS, KEPT[KEYS], None, 500)  # type: ignore[misc]
    assert (purged.gone, sorted(free)) == (45, sorted((f"key {n}",) for n in range(10, 51, 10)))


async def test_it_waits_for_nobody(till: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 10)
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE idempotency_keys, outbox, webhook_deliveries, sessions IN ACCESS EXCLUSIVE MODE")
        for what in Perishable:
            with pytest.raises(BooksUnavailable):
                await till.retention.purge(what, KEPT[what], None, 500)
        holder.rollback()
    assert (await till.retention.purge(KEYS, KEPT[KEYS], None, 500)).gone == 9


async def test_a_key_used_again_as_it_goes_is_used_anew(till: Till, database_url: str) -> None:
    first = await pay(till, "k")
    with closing(psycopg2.connect(database_url)) as purger, purger.cursor() as cursor:
        cursor.execute("DELETE FROM idempotency_keys WHERE key = 'k'")
        paying = asyncio.create_task(pay(till, "k"))
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(30):
            while not (await asyncio.to_thread(rows, database_url, waiting))[0][0]:
                pass
        purger.commit()
        anew = await paying
    assert (anew.status, anew.replayed, id_of(anew) == id_of(first)) == (201, False, False)


async def test_a_delivery_with_any_number_of_tries_goes_in_parts(till: Till, database_url: str) -> None:
    await asyncio.to_thread(fill, database_url, 1)
    many = 25 * TRIES_PER_DELIVERY
    rows(
        database_url,
        "INSERT INTO webhook_attempts (merchant_id, delivery_id, number, at, latency_ms, answer) "
        "SELECT merchant_id, id, n, now(), 1, '' FROM webhook_deliveries, generate_series(3, %s) n",
        many,
    )
    left = []
    for purged in range(3):
        gone = (await till.retention.purge(DELIVERIES, KEPT[DELIVERIES], None, 10)).gone
        left.append(rows(database_url, "SELECT count(*) FROM webhook_attempts")[0][0])
        assert gone == (1 if purged == 2 else 0)
    assert left == [many - 10 * TRIES_PER_DELIVERY, many - 20 * TRIES_PER_DELIVERY, 0]


async def test_a_timeline_tells_of_facts_and_webhooks_when_the_events_are_gone(
    till: Till, room: Room, database_url: str
) -> None:
    house = House(room.books, room.reads, room.merchants, room.backlog, room.webhooks, asyncio.Event().wait)  # type: ignore[arg-type]
    await take_on(house)
    endpoint = await ready(house, 1)
    (parcel,) = await claim(house, endpoint)
    await room.webhooks.settle([tried(parcel)])
    rows(database_url, "UPDATE outbox SET published_at = now(), kafka_partition = 1, kafka_offset = 2")
    before = [(step.name, step.outcome) for step in await till.reads.timeline(MERCHANT, parcel.subject_id)]
    grow_old(database_url, KEPT[EVENTS] - DAY)
    assert (await till.retention.purge(EVENTS, KEPT[EVENTS], None, 500)).gone == 0
    grow_old(database_url, timedelta(days=2))
    assert (await till.retention.purge(EVENTS, KEPT[EVENTS], None, 500)).gone > 0

    after = [(step.name, step.outcome) for step in await till.reads.timeline(MERCHANT, parcel.subject_id)]

    assert ("payment.captured → webhook", "delivered") in after
    assert [step for step in before if step[1] == "published"] == [
        ("payment.created → kafka", "published"),
        ("payment.captured → kafka", "published"),
    ]
    assert sorted(after) == sorted(step for step in before if step[1] != "published")
