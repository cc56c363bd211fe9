"""What every Sessions port must do: one suite, on the fake and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.errors import LoginFailed
from cleartill.domain.merchant import ApiKey, Merchant, Principal, Scope
from cleartill.domain.retention import KEPT, Perishable
from cleartill.domain.session import IDLE, LONGEST, Session
from real import open_room, origin
from real.keeping import Keeping, fake_keeping, postgres_keeping

NINE = "merchant_9"
A, B, C = "a" * 64, "b" * 64, "c" * 64
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["fake", "postgres"])
async def books(request: pytest.FixtureRequest) -> AsyncIterator[Keeping]:
    """With one merchant more, and its first key."""
    if request.param == "fake":
        async with fake_keeping() as made:
            await onboard(made)
            yield made
        return
    url = request.getfixturevalue("database_url")
    async with open_room(url) as room, postgres_keeping(room, url) as made:
        await onboard(made)
        yield made


KEY = ApiKey(
    "key_9", NINE, "sk_test_nine0000", "0" * 64, (Scope.PAYMENTS_READ,), "first", datetime(2026, 1, 1, tzinfo=UTC)
)
WHO = Principal(NINE, KEY.id, frozenset(KEY.scopes))


async def onboard(books: Keeping) -> None:
    now = books.till.clock.now()
    merchant, key = Merchant(NINE, "Nine", "nine@merchant.example", now), replace(KEY, created_at=now)
    assert await books.till.merchants.add(merchant, key, [merchant.created(), key.created(2)], origin())


async def begin(books: Keeping, digest: str = A, instead_of: str | None = None) -> Session:
    return await books.till.sessions.begin(digest, WHO, instead_of, origin())


async def there(books: Keeping, digest: str = A) -> bool:
    return await books.till.sessions.resume(digest) is not None


async def test_it_is_found_by_its_digest_with_its_key_and_merchant(books: Keeping) -> None:
    made = await begin(books)
    assert (made.merchant_id, made.key_id, made.scopes) == (NINE, KEY.id, KEY.scopes)
    assert (made.merchant_name, made.email) == ("Nine", "nine@merchant.example")
    assert made.principal == WHO
    assert made.used_at == made.created_at
    assert made.expires_at == made.created_at + IDLE
    assert await books.till.sessions.resume(A) == made
    assert await books.till.sessions.resume(B) is None


async def test_a_use_is_noted_once_a_minute_and_the_idle_time_begins_anew(books: Keeping) -> None:
    made = await begin(books)
    await books.age(MINUTE / 2)
    assert (resumed := await books.till.sessions.resume(A))
    assert resumed.used_at == resumed.created_at
    await books.age(MINUTE)
    assert (resumed := await books.till.sessions.resume(A))
    assert resumed.used_at - resumed.created_at >= 1.5 * MINUTE
    for _ in range(3):
        await books.age(IDLE - MINUTE)
        assert (resumed := await books.till.sessions.resume(A))
        assert resumed.id == made.id
    await books.age(IDLE)
    assert not await there(books)
    assert not await there(books), "and does not come back by being asked for"


async def test_after_its_longest_time_it_is_over(books: Keeping) -> None:
    await begin(books)
    for _ in range(int(LONGEST / (20 * MINUTE)) - 1):
        await books.age(20 * MINUTE)
        assert await there(books)
    assert (resumed := await books.till.sessions.resume(A))
    assert resumed.expires_at == resumed.created_at + LONGEST
    await books.age(20 * MINUTE)
    assert not await there(books)


async def test_ended_it_is_gone(books: Keeping) -> None:
    await begin(books)
    await begin(books, B)
    for _ in range(2):
        await books.till.sessions.end(A, origin())
        assert (await there(books), await there(books, B)) == (False, True)


async def test_one_may_take_anothers_place(books: Keeping) -> None:
    first = await begin(books)
    second = await begin(books, B, instead_of=A)
    assert second.id != first.id
    assert (await there(books), await there(books, B)) == (False, True)
    await begin(books, C, instead_of=A)
    assert await there(books, C), "that it replaces nobody is no matter"


async def test_a_revoked_key_ends_all_of_its_sessions_and_begins_none(books: Keeping) -> None:
    await begin(books)
    await begin(books, B)
    await books.till.merchants.revoke_key(NINE, KEY.id, books.till.clock.now(), origin())
    assert (await there(books), await there(books, B)) == (False, False)
    with pytest.raises(LoginFailed):
        await begin(books, C)
    assert not await there(books, C)


async def test_many_questions_at_once_are_all_answered(books: Keeping) -> None:
    await begin(books)
    await books.age(5 * MINUTE)
    found = await asyncio.gather(*(books.till.sessions.resume(A) for _ in range(12)))
    assert all(found)
    latest = await books.till.sessions.resume(A)
    assert latest is not None
    assert latest.used_at - latest.created_at >= 5 * MINUTE


async def test_what_is_over_goes_with_the_old_and_what_is_alive_stays(books: Keeping) -> None:
    await begin(books)
    await books.age(LONGEST)
    await begin(books, B)
    assert await books.purge(Perishable.SESSIONS) == 0, "a minute is left to clocks"
    await books.age(2 * MINUTE)
    assert await books.purge(Perishable.SESSIONS) == 1
    assert await there(books, B)
    assert KEPT[Perishable.SESSIONS] == timedelta(0)
