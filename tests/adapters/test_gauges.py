"""What PostgreSQL tells the gauges, and what is counted when its connections break."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from cleartill.domain.reconciliation import Discrepancy, Kind
from cleartill.domain.report import Report
from cleartill.ports import Verdict
from real import MERCHANT, Room, intent, open_room, origin, rows

SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'cleartill test%%'"


def lost(room: Room) -> set[str]:
    return {tags["part"] for name, _, tags in room.watch.seen if name == "books.lost"}


async def test_sessions_that_were_ended_are_counted(room: Room, database_url: str) -> None:
    await room.books.record(intent())
    await room.audits.depths()
    assert lost(room) == set()
    assert rows(database_url, SESSIONS)

    assert await room.books.record(intent()) is Verdict.RECORDED
    await room.audits.depths()

    assert lost(room) == {"writer", "pool"}


async def test_units_that_wait_are_seen(database_url: str) -> None:
    async with open_room(database_url, start=False) as idle:
        assert idle.writer.waiting == 0
        waiting = [asyncio.create_task(idle.books.record(intent())) for _ in range(3)]
        await asyncio.sleep(0)
        assert idle.writer.waiting == 3
        idle.writer.start()
        await asyncio.gather(*waiting)
        assert idle.writer.waiting == 0


async def test_connections_in_use_or_waited_for_are_seen(room: Room) -> None:
    asking = [asyncio.create_task(room.pool.run(lambda on: on.execute(text("SELECT 1")).one())) for _ in range(9)]
    await asyncio.sleep(0)
    assert room.pool.busy == 9
    await asyncio.gather(*asking)
    assert room.pool.busy == 0


async def test_an_event_says_when_it_was_committed(room: Room, database_url: str) -> None:
    await room.books.record(intent())
    rows(database_url, "UPDATE outbox SET created_at = '2030-01-02T03:04:05Z'")
    lease = await room.backlog.lease_outbox("worker", 16)
    events = await room.backlog.unpublished(lease, 10)
    assert {event.at for event in events} == {datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)}


async def test_reconciliations_are_dated_and_what_they_found_stands_until_it_is_gone(
    room: Room, database_url: str
) -> None:
    async def depths() -> dict[str, float]:
        return {depth.name: depth.value for depth in await room.audits.depths()}

    rows(database_url, "UPDATE reconcile_lease SET ended_at = now() - interval '30 hours'")
    assert timedelta(hours=30).total_seconds() <= (await depths())["reconcile.age_s"] < 31 * 3600
    run = await room.audits.begin("by hand", 0)
    assert run is not None
    found = [Discrepancy(Kind.STATE, MERCHANT, None, f"pay_{number}.authorize.1", "planted") for number in range(2)]
    await room.audits.note(run, found, origin())
    assert (await depths())["reconcile.open"] == 2

    await room.audits.end(run, None)
    assert (await depths())["reconcile.age_s"] >= 30 * 3600, "a run that failed is no run"
    run = await room.audits.begin("by hand", 0)
    assert run is not None
    now = run.began_at
    nothing = Report(run.number, now, now, None, 120.0, {}, {}, 0, 0, {}, 0, [], now)
    await room.audits.end(run, nothing, [Kind.STATE])

    now_clean = await depths()
    assert now_clean["reconcile.open"] == 0
    assert now_clean["reconcile.age_s"] < 3600
