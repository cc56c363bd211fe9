"""Merchants and keys on a real PostgreSQL: what happens at once, and what is written when."""

import asyncio
from datetime import UTC, datetime, timedelta

from cleartill.domain.merchant import ApiKey, Merchant, Scope
from real import Room, origin, rows

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
NINE = Merchant("m_9", "Nine", "nine@merchant.example", NOW)


def key(number: int) -> ApiKey:
    return ApiKey(f"key_{number}", NINE.id, f"sk_test_{number:08}", "a" * 64, (Scope.PAYMENTS_READ,), "k", NOW)


async def add(room: Room) -> bool:
    return await room.merchants.add(NINE, key(1), [NINE.created(), key(1).created(2)], origin())


async def test_a_merchant_is_taken_on_once(room: Room, database_url: str) -> None:
    assert sorted(await asyncio.gather(*(add(room) for _ in range(3)))) == [False, False, True]
    assert rows(database_url, "SELECT count(*) FROM outbox") == [(2,)]
    assert rows(database_url, "SELECT seq FROM merchants") == [(2,)]


async def test_facts_are_numbered_without_gaps_whoever_comes_first(room: Room, database_url: str) -> None:
    await add(room)
    await asyncio.gather(*(room.merchants.add_key(key(number), origin()) for number in range(2, 8)))
    at = NOW + timedelta(days=1)
    await asyncio.gather(
        *(room.merchants.revoke_key(NINE.id, key(number).id, at, origin()) for number in (2, 2, 2, 3, 3))
    )
    for table in ("outbox", "audit_logs"):
        assert rows(database_url, f"SELECT seq FROM {table} ORDER BY seq") == [(seq,) for seq in range(1, 11)]
    assert rows(database_url, "SELECT event, count(*) FROM audit_logs GROUP BY event ORDER BY event") == [
        ("api_key.created", 7),
        ("api_key.revoked", 2),
        ("merchant.created", 1),
    ]
    assert rows(database_url, "SELECT DISTINCT subject_id, actor FROM audit_logs") == [(NINE.id, origin().actor)]


async def test_the_last_use_is_written_at_most_once_a_minute(room: Room, database_url: str) -> None:
    await add(room)
    use = room.merchants.use

    def last_used() -> datetime | None:
        found: datetime | None = rows(database_url, "SELECT last_used_at FROM api_keys")[0][0]
        return found

    for _ in range(3):
        room.merchants.used(key(1))
    assert last_used() is None, "not on the way of a request"
    assert len(use._noted) == 1
    await use.write()
    first = last_used()
    assert first is not None

    room.merchants.used(key(1))
    assert not use._noted
    use._noted[NINE.id, key(1).id] = first + timedelta(seconds=59)  # another process saw it too
    await use.write()
    assert last_used() == first
    use._noted[NINE.id, key(1).id] = first + timedelta(seconds=61)
    await use.write()
    assert last_used() == first + timedelta(seconds=61)


async def test_what_was_noted_last_is_written_at_the_end(room: Room, database_url: str) -> None:
    await add(room)
    room.merchants.use.start()
    room.merchants.used(key(1))
    await room.merchants.use.close()
    assert rows(database_url, "SELECT last_used_at IS NOT NULL FROM api_keys") == [(True,)]
    assert (await room.merchants.keys(NINE.id))[0].last_used_at is not None
