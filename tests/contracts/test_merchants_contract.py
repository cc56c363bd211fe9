"""What every Merchants port must do: one suite, on the fake and on PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.errors import NotFound, TooManyKeys
from cleartill.domain.merchant import MAX_LIVE_KEYS, ApiKey, Merchant, Scope
from real import origin
from real.house import House

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
NINE = Merchant("merchant_9", "Nine", "nine@merchant.example", NOW, "https://nine.example/hook")


def key(number: int, merchant_id: str = NINE.id) -> ApiKey:
    at = NOW + timedelta(seconds=number)
    prefix = f"sk_test_{merchant_id[-1]}{number:07}"
    scopes = (Scope.PAYMENTS_READ, Scope.ACCOUNT_READ)
    return ApiKey(f"key_{merchant_id[-1]}{number}", merchant_id, prefix, "a" * 64, scopes, f"key {number}", at)


async def add(house: House, merchant: Merchant = NINE) -> bool:
    first = key(1, merchant.id)
    return await house.merchants.add(merchant, first, [merchant.created(), first.created(2)], origin())


async def events(house: House, merchant_id: str = NINE.id) -> list[tuple[int, str]]:
    lease = await house.backlog.lease_outbox("a", 16)
    waiting = await house.backlog.unpublished(lease, 500)
    return [(row.seq, row.type) for row in waiting if row.subject_id == merchant_id]


async def test_a_merchant_is_added_once(house: House) -> None:
    assert await add(house) is True
    assert await add(house) is False

    assert await house.merchants.get(NINE.id) == NINE
    assert await house.merchants.key_of(key(1).prefix) == key(1)
    assert await house.merchants.key_of("sk_test_nobody00") is None
    assert await events(house) == [(1, "merchant.created"), (2, "api_key.created")]


async def test_an_email_address_has_one_account(house: House) -> None:
    await add(house)
    assert await add(house, Merchant("merchant_8", "Eight", NINE.email, NOW)) is False
    with pytest.raises(NotFound):
        await house.merchants.get("merchant_8")
    assert await house.merchants.key_of(key(1, "merchant_8").prefix) is None


async def test_keys_are_listed_the_newest_first(house: House) -> None:
    await add(house)
    await add(house, Merchant("merchant_8", "Eight", "eight@merchant.example", NOW))
    for number in (2, 3):
        await house.merchants.add_key(key(number), origin())
    assert await house.merchants.keys(NINE.id) == [key(3), key(2), key(1)]
    with pytest.raises(NotFound):
        await house.merchants.keys("merchant_0")
    with pytest.raises(NotFound):
        await house.merchants.add_key(key(9, "merchant_0"), origin())


async def test_a_key_is_revoked_once_and_told_in_order(house: House) -> None:
    await add(house)
    await house.merchants.add_key(key(2), origin())
    at = NOW + timedelta(days=1)

    revoked = await house.merchants.revoke_key(NINE.id, key(2).id, at, origin())
    again = await house.merchants.revoke_key(NINE.id, key(2).id, at + timedelta(days=1), origin())
    await house.merchants.add_key(key(3), origin())

    assert again == revoked
    assert revoked.revoked_at == at
    assert await house.merchants.key_of(key(2).prefix) == revoked
    assert await events(house) == [
        (1, "merchant.created"),
        (2, "api_key.created"),
        (3, "api_key.created"),
        (4, "api_key.revoked"),
        (5, "api_key.created"),
    ]


async def test_another_merchants_key_cannot_be_revoked(house: House) -> None:
    await add(house)
    await add(house, Merchant("merchant_8", "Eight", "eight@merchant.example", NOW))
    for merchant_id, key_id in (("merchant_8", key(1).id), (NINE.id, "key_none"), ("merchant_0", key(1).id)):
        with pytest.raises(NotFound):
            await house.merchants.revoke_key(merchant_id, key_id, NOW, origin())
    assert await house.merchants.keys(NINE.id) == [key(1)]


async def test_live_keys_are_bounded_and_revoked_ones_do_not_count(house: House) -> None:
    await add(house)
    for number in range(2, MAX_LIVE_KEYS + 1):
        await house.merchants.add_key(key(number), origin())
    one_more = key(MAX_LIVE_KEYS + 1)
    with pytest.raises(TooManyKeys):
        await house.merchants.add_key(one_more, origin())
    await house.merchants.revoke_key(NINE.id, key(1).id, NOW, origin())
    await house.merchants.add_key(one_more, origin())
    assert len(await house.merchants.keys(NINE.id)) == MAX_LIVE_KEYS + 1


async def test_no_event_tells_a_key(house: House) -> None:
    await add(house)
    lease = await house.backlog.lease_outbox("a", 16)
    told = b"".join(row.event for row in await house.backlog.unpublished(lease, 500))
    assert key(1).digest.encode() not in told
    assert key(1).prefix.encode() in told  # its beginning, by which people tell keys apart
