"""Due work on a real PostgreSQL: leases and their epochs, order per subject, attempts shared by workers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import closing

import psycopg2
import pytest

from cleartill.adapters.postgres import rows as mapping
from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.outcome import Unknown
from cleartill.ports import Lease, OutboxRow, Published, Till
from cleartill.usecases.publish_outbox import publish_outbox
from fakes import World
from real import MERCHANT, Room, captured, intent, open_room, origin, outcome, payment, refund_intent, rows, till_on

ALL = frozenset(range(16))


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        yield room


async def fill(room: Room, subjects: int = 24) -> None:
    """Captured payments: two events each, over all shards."""
    await asyncio.gather(*(captured(room.books) for _ in range(subjects)))


def report(waiting: list[OutboxRow]) -> list[Published]:
    return [Published(row, 3, offset) for offset, row in enumerate(waiting)]


def expire(url: str) -> None:
    rows(url, "UPDATE outbox_leases SET until = now() - interval '1 millisecond'")


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_two_owners_share_the_partitions(room: Room, other: Room) -> None:
    ours, theirs = await asyncio.gather(room.backlog.lease_outbox("a", 8), other.backlog.lease_outbox("b", 8))
    rest = await other.backlog.lease_outbox("b", 8)  # what a row that was locked just then had hidden

    assert len(ours.epochs) == len(rest.epochs) == 8
    assert ours.epochs.keys() | rest.epochs.keys() == ALL
    assert theirs.epochs.keys() <= rest.epochs.keys()


async def test_a_lease_is_renewed_under_its_epoch(room: Room, database_url: str) -> None:
    first = await room.backlog.lease_outbox("a", 16)
    rows(database_url, "UPDATE outbox_leases SET until = until - interval '25 seconds'")
    again = await room.backlog.lease_outbox("a", 16)

    assert again == first
    assert rows(database_url, "SELECT min(until) > now() + interval '25 seconds' FROM outbox_leases") == [(True,)]


async def test_nobody_takes_what_is_leased(room: Room, other: Room) -> None:
    await room.backlog.lease_outbox("a", 16)

    assert await other.backlog.lease_outbox("b", 16) == Lease("b", {})


async def test_an_expired_lease_goes_to_the_next_with_a_new_epoch(room: Room, other: Room, database_url: str) -> None:
    ours = await room.backlog.lease_outbox("a", 16)
    expire(database_url)
    theirs = await other.backlog.lease_outbox("b", 16)

    assert theirs.epochs == {shard: epoch + 1 for shard, epoch in ours.epochs.items()}
    assert await room.backlog.lease_outbox("a", 16) == Lease("a", {})


async def test_an_owner_that_was_away_too_long_gets_a_new_epoch_too(room: Room, database_url: str) -> None:
    """Somebody else may have published meanwhile."""
    first = await room.backlog.lease_outbox("a", 16)
    expire(database_url)
    again = await room.backlog.lease_outbox("a", 16)

    assert set(again.epochs.values()) == {epoch + 1 for epoch in first.epochs.values()}


async def test_a_thawed_owner_marks_nothing(room: Room, other: Room, database_url: str) -> None:
    await fill(room)
    old = await room.backlog.lease_outbox("a", 16)
    waiting = await room.backlog.unpublished(old, 500)
    expire(database_url)
    new = await other.backlog.lease_outbox("b", 16)

    assert await room.backlog.mark_published(old, report(waiting)) == 0
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL") == [(0,)]
    assert await other.backlog.mark_published(new, report(waiting)) == 48


# ── reading and marking ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_events_come_in_order_per_subject_and_once(room: Room, database_url: str) -> None:
    await fill(room)
    lease = await room.backlog.lease_outbox("a", 16)
    seen: list[OutboxRow] = []
    while waiting := await room.backlog.unpublished(lease, 7):
        assert len(waiting) <= 7
        assert await room.backlog.mark_published(lease, report(waiting)) == len(waiting)
        seen += waiting

    assert len(seen) == 48
    last: dict[str, int] = {}
    for row in seen:
        assert row.seq == last.get(row.subject_id, 0) + 1
        last[row.subject_id] = row.seq
    assert set(last.values()) == {2}


async def test_only_leased_partitions_are_read(room: Room) -> None:
    await fill(room)
    lease = await room.backlog.lease_outbox("a", 3)

    waiting = await room.backlog.unpublished(lease, 500)

    assert {mapping.shard(row.subject_id) for row in waiting} <= lease.epochs.keys()
    assert await room.backlog.unpublished(Lease("a", {}), 500) == []


async def test_an_event_is_what_the_fact_said(room: Room) -> None:
    paid = await captured(room.books)
    lease = await room.backlog.lease_outbox("a", 16)

    first, second = await room.backlog.unpublished(lease, 500)

    event = json.loads(second.event)
    assert (first.type, second.type) == ("payment.created", "payment.captured")
    assert second.traceparent == event["traceparent"] == origin().traceparent
    assert event["data"] == paid.view()
    assert (event["sequence"], event["subject"], event["specversion"]) == (2, paid.id, "1.0")


async def test_a_mark_says_where_and_is_set_once(room: Room, database_url: str) -> None:
    await captured(room.books)
    lease = await room.backlog.lease_outbox("a", 16)
    first, second = await room.backlog.unpublished(lease, 500)

    assert await room.backlog.mark_published(lease, [Published(first, 5, 2**40)]) == 1
    assert await room.backlog.mark_published(lease, [Published(first, 6, 1), Published(second, 5, 2**40 + 1)]) == 1

    assert rows(database_url, "SELECT seq, kafka_partition, kafka_offset FROM outbox ORDER BY seq") == [
        (1, 5, 2**40),
        (2, 5, 2**40 + 1),
    ]


async def test_publishing_goes_on_where_it_stopped(room: Room, other: Room, database_url: str) -> None:
    """A broker that is away, then one that refuses a subject: nothing is lost, order holds."""
    world, paid = World(), await captured(room.books)
    await fill(room, 5)
    till: Till = till_on(room, world)
    world.publisher.away = True
    assert await publish_outbox(till, "a") == 0
    world.publisher.away, world.publisher.refused = False, {paid.id}
    assert await publish_outbox(till, "a") == 10
    world.publisher.refused = set()

    assert await publish_outbox(till, "a") == 2
    assert await publish_outbox(till, "a") == 0
    assert await room.reads.outbox_oldest_s() == 0


# ── due attempts ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def doubtful(room: Room, number: int) -> None:
    for _ in range(number):
        asked = intent()
        await room.books.record(asked)
        await room.books.record(outcome(asked, Unknown("timeout")))


def make_due(url: str) -> None:
    rows(url, "UPDATE attempts SET resolve_at = now() WHERE status = 'open'")


async def test_an_attempt_is_due_when_its_time_has_come(room: Room, database_url: str) -> None:
    fresh = intent()
    await room.books.record(fresh)
    assert await room.backlog.due_attempts(10) == []

    make_due(database_url)

    ((attempt, came_from),) = await room.backlog.due_attempts(10)
    assert fresh.attempt is not None
    assert (attempt.key, attempt.tries, came_from) == (fresh.attempt.key, 1, fresh.origin)
    assert attempt.expires_at == fresh.attempt.expires_at


async def test_the_request_owns_its_attempt_at_first(room: Room, database_url: str) -> None:
    asked = intent()
    await room.books.record(asked)
    ask = "SELECT round(extract(epoch FROM resolve_at - {})) FROM attempts"
    assert rows(database_url, ask.format("created_at")) == [(10,)]

    await room.books.record(outcome(asked, Unknown("timeout")))

    written = "(SELECT max(recorded_at) FROM audit_logs)"
    assert rows(database_url, ask.format(written)) == [(2,)]


async def test_two_workers_take_different_attempts(room: Room, other: Room, database_url: str) -> None:
    await doubtful(room, 40)
    make_due(database_url)

    taken = await asyncio.gather(*((room, other)[index % 2].backlog.due_attempts(8) for index in range(10)))

    keys = [attempt.key for batch in taken for attempt, _ in batch]
    assert len(keys) == len(set(keys))
    # A worker skips what another holds just then; the rest is still due.
    rest = [attempt.key for attempt, _ in await room.backlog.due_attempts(100)]
    assert sorted(keys + rest) == sorted({*keys, *rest})
    assert len(keys + rest) == 40


async def test_what_another_worker_holds_is_skipped(room: Room, database_url: str) -> None:
    await doubtful(room, 2)
    make_due(database_url)
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT key FROM attempts ORDER BY key LIMIT 1 FOR UPDATE")
        (held,) = cursor.fetchone() or ("",)
        taken = [attempt.key for attempt, _ in await room.backlog.due_attempts(10)]
        connection.rollback()

    assert len(taken) == 1
    assert held not in taken


async def test_backoff_grows_and_is_bounded(room: Room, database_url: str) -> None:
    await doubtful(room, 1)
    waits = []
    for _ in range(12):
        make_due(database_url)
        assert len(await room.backlog.due_attempts(10)) == 1
        waits += [row[0] for row in rows(database_url, "SELECT extract(epoch FROM resolve_at - now()) FROM attempts")]

    expected = [5, 10, *[20] * 10]
    for wait, middle in zip(waits, expected, strict=True):
        assert middle * 0.85 < float(wait) <= middle * 1.1


async def test_settled_attempts_are_never_due(room: Room, database_url: str) -> None:
    paid = await captured(room.books)
    asked = refund_intent(paid, 1)
    await room.books.record(asked)
    await room.books.record(outcome(asked))
    rows(database_url, "UPDATE attempts SET resolve_at = now() - interval '1 day'")

    assert await room.backlog.due_attempts(10) == []
    assert (await room.books.load_attempt(MERCHANT, f"{paid.id}.authorize.1")).attempt.status is AttemptStatus.APPROVED  # type: ignore[union-attr]


# ── what waits ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def depths(room: Room) -> dict[str, float]:
    return {" ".join((depth.name, *depth.tags.values())): depth.value for depth in await room.backlog.depths()}


async def test_depths_count_events_and_doubt(room: Room, database_url: str) -> None:
    assert await depths(room) == {
        "outbox.pending": 0,
        "outbox.oldest_s": 0,
        "in_doubt.count": 0,
        "in_doubt.oldest_s": 0,
    }
    await doubtful(room, 2)
    await room.books.record(intent(payment(5)))  # under way: nobody doubts it yet
    rows(database_url, "UPDATE outbox SET created_at = now() - interval '100 seconds'")

    found = await depths(room)

    assert (found["outbox.pending"], found["in_doubt.count"], found["in_doubt.amount USD"]) == (5, 2, 20_000)
    assert found["outbox.oldest_s"] >= 100
    assert await room.reads.outbox_oldest_s() >= 100


async def test_doubt_is_counted_however_long_it_is_put_off(room: Room, database_url: str) -> None:
    await doubtful(room, 1)
    rows(database_url, "UPDATE attempts SET tries = 9, resolve_at = now() + interval '659 seconds'")

    assert (await depths(room))["in_doubt.count"] == 1
