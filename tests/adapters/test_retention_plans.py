"""With thousands of old rows of each kind, counted or not, a batch reads what it deletes and little more."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, TextClause, text

from cleartill.adapters.postgres import retention
from cleartill.adapters.postgres.retention import PostgresRetention
from cleartill.domain.retention import KEPT, Perishable
from real import Room, open_room, rows
from real.old import fill

MANY, LIMIT = 5_000, 50
TABLES = "idempotency_keys, attempts, transfers, outbox, webhook_wanted, webhook_deliveries, webhook_attempts, sessions"
BY = {
    Perishable.IDEMPOTENCY_KEYS: {"idempotency_keys_by_age", "idempotency_keys_pkey"},
    Perishable.CALLBACKS: {"callbacks_by_age", "idempotency_keys_pkey"},
    Perishable.EVENTS: {"outbox_published", "outbox_pkey", "webhook_wanted_pkey"},
    Perishable.DELIVERIES: {"webhook_deliveries_at_rest", "webhook_deliveries_pkey", "webhook_attempts_pkey"},
    Perishable.SESSIONS: {"sessions_by_age", "sessions_pkey"},
}
EITHER_WILL_DO = {"attempts_pkey", "attempts_by_key", "transfers_pkey", "transfers_by_id"}
BY_INDEX = {"Index Scan", "Index Only Scan", "Bitmap Index Scan", "Bitmap Heap Scan"}


@pytest.fixture(params=["counted", "never counted"])
async def room(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Room]:
    async with open_room(database_url) as room:
        await asyncio.to_thread(fill, database_url, MANY)
        if request.param == "counted":
            await asyncio.to_thread(rows, database_url, f"ANALYZE {TABLES}")
        yield room


class Explained:
    """A connection, or a pool of one, that explains each statement before it runs; the plans are in `plans`."""

    def __init__(self, room: Room) -> None:
        self._room, self.plans = room, list[dict[str, Any]]()
        self._connection: Connection

    async def run(self, work: Callable[[Any], Any]) -> Any:
        def explained(connection: Connection) -> Any:
            self._connection = connection
            return work(self)

        return await self._room.pool.run(explained)

    def execute(self, statement: TextClause, parameters: Any = None) -> Any:
        if statement is not retention._BOUNDS:
            tried = self._connection.begin_nested()
            plan = text("EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text)
            self.plans.append(self._connection.execute(plan, parameters).scalar_one()[0]["Plan"])
            tried.rollback()
        return self._connection.execute(statement, parameters)


def scans(plan: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Each scan of a table: how, by which index, and how many rows it came across."""
    for part in plan.get("Plans", ()):
        yield from scans(part)
    if plan["Node Type"] in BY_INDEX or plan["Node Type"] == "Seq Scan":
        met = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Node Type"], plan.get("Index Name", ""), met * plan["Actual Loops"]


async def test_a_batch_reads_what_it_deletes(room: Room) -> None:
    for what in Perishable:
        eyes: Any = Explained(room)
        first = await PostgresRetention(room.pool).purge(what, KEPT[what], None, LIMIT)

        then = await PostgresRetention(eyes).purge(what, KEPT[what], first.beyond, LIMIT)

        assert LIMIT * 0.8 <= then.gone <= LIMIT
        found = [scan for plan in eyes.plans for scan in scans(plan)]
        assert {index for _, index, _ in found if index} - EITHER_WILL_DO == BY[what]
        assert {how for how, _, _ in found} <= BY_INDEX
        assert max(met for _, _, met in found) <= 3 * LIMIT, (what, found)
