"""What every Webhooks port must do with endpoints and events: one suite, on the fake and on PostgreSQL."""

import pytest

from cleartill.domain.errors import NotFound, TooManyEndpoints
from cleartill.domain.webhook import MAX_ENDPOINTS, DeliveryStatus, Endpoint
from real import MERCHANT, captured, origin
from real.hooks import NOW, add, all_of, claim, take_on
from real.house import House


@pytest.fixture(autouse=True)
async def _merchants(house: House) -> None:
    await take_on(house)


# ── endpoints ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_endpoint_is_kept_as_it_is(house: House) -> None:
    first = await add(house, event_types=("payment.captured",), description="orders")
    second = await add(house)
    assert await house.webhooks.get(MERCHANT, first.id) == first
    assert await house.webhooks.endpoints(MERCHANT) == sorted([first, second], key=lambda one: one.id, reverse=True)
    assert await house.webhooks.endpoints("merchant_9") == []
    with pytest.raises(NotFound):
        await house.webhooks.get("merchant_9", first.id)


async def test_not_for_a_merchant_that_is_not_there_and_not_too_many(house: House) -> None:
    with pytest.raises(NotFound):
        await add(house, merchant_id="merchant_0")
    made = [await add(house) for _ in range(MAX_ENDPOINTS)]
    with pytest.raises(TooManyEndpoints):
        await add(house)
    await house.webhooks.change(MERCHANT, made[0].id, lambda one: one.deleted(NOW), origin())
    await add(house)


async def test_a_change_comes_with_its_fact(house: House) -> None:
    made = await add(house)
    changed = await house.webhooks.change(
        MERCHANT, made.id, lambda one: one.changed(NOW, url="https://other.example/", enabled=False), origin()
    )
    assert (changed.url, changed.open, changed.seq) == ("https://other.example/", False, 2)
    assert await house.webhooks.get(MERCHANT, made.id) == changed
    lease = await house.backlog.lease_outbox("a", 16)
    events = [(row.seq, row.type) for row in await house.backlog.unpublished(lease, 500) if row.subject_id == made.id]
    assert events == [(1, "webhook_endpoint.created"), (2, "webhook_endpoint.updated")]
    with pytest.raises(NotFound):
        await house.webhooks.change("merchant_9", made.id, lambda one: one.deleted(NOW), origin())


async def test_a_deleted_endpoint_is_absent(house: House) -> None:
    made = await add(house)
    await captured(house.books)
    await house.webhooks.fan_out(100)
    (parcel, *_) = await claim(house, made)
    await house.webhooks.change(MERCHANT, made.id, lambda one: one.deleted(NOW), origin())
    with pytest.raises(NotFound):
        await house.webhooks.get(MERCHANT, made.id)
    with pytest.raises(NotFound):
        await house.webhooks.resend(MERCHANT, parcel.id)
    assert (await house.webhooks.delivery(MERCHANT, parcel.id)).delivery.id == parcel.id
    assert await house.webhooks.endpoints(MERCHANT) == []


async def test_secrets_under_another_key_are_sealed_again(house: House) -> None:
    old, new = await add(house, old_secret=b"older"), await add(house, key_version=2)

    def again(one: Endpoint) -> Endpoint:
        return one.resealed(b"again", b"again too", 2)

    assert await house.webhooks.secrets_by_key() == {1: 1, 2: 1}
    assert await house.webhooks.reseal(2, again, 10) == 1
    assert await house.webhooks.secrets_by_key() == {2: 2}
    assert await house.webhooks.reseal(2, again, 10) == 0
    found = await house.webhooks.get(MERCHANT, old.id)
    assert (found.secret, found.old_secret, found.key_version) == (b"again", b"again too", 2)
    assert await house.webhooks.get(MERCHANT, new.id) == new


# ── from events to deliveries ─────────────────────────────────────────────────────────────────────────────────────────


async def test_each_event_becomes_one_delivery_for_each_that_wants_it(house: House) -> None:
    await captured(house.books)  # before there was an endpoint: nobody hears of it
    everything = await add(house)
    captures = await add(house, event_types=("payment.captured",))
    others = await add(house, merchant_id="merchant_9")
    payment = await captured(house.books)

    while await house.webhooks.fan_out(1):
        pass
    assert await house.webhooks.fan_out(100) == 0

    created, pending = ("payment.created", DeliveryStatus.PENDING), ("payment.captured", DeliveryStatus.PENDING)
    told = [one for one in await all_of(house, everything) if one[0].startswith("payment.")]
    assert sorted(told) == [pending, created]
    assert await all_of(house, captures) == [pending]
    assert [one for one in await all_of(house, others) if one[0].startswith("payment.")] == []
    (parcel,) = await claim(house, captures)
    assert (parcel.subject_id, parcel.seq, parcel.url) == (payment.id, 2, captures.url)
    assert payment.id.encode() in parcel.body


async def test_a_disabled_endpoint_is_told_nothing_that_happens_meanwhile(house: House) -> None:
    made = await add(house, event_types=("payment.captured",))
    await house.webhooks.change(MERCHANT, made.id, lambda one: one.changed(NOW, enabled=False), origin())
    await captured(house.books)
    await house.webhooks.fan_out(100)
    await house.webhooks.change(MERCHANT, made.id, lambda one: one.changed(NOW, enabled=True), origin())
    await house.webhooks.fan_out(100)
    assert await all_of(house, made) == []
