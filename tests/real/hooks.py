"""Webhook endpoints and deliveries as their contract's suites use them."""

from datetime import UTC, datetime
from typing import Any

from cleartill.domain.ids import new_id
from cleartill.domain.merchant import ApiKey, Merchant, Scope
from cleartill.domain.webhook import DeliveryStatus, Endpoint, Heard, after
from cleartill.ports import DeliveryQuery, Parcel, Tried
from real.house import House
from real.units import MERCHANT, captured, origin

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
OK, DOWN, GONE = Heard(200, None, 2.5, "thanks"), Heard(None, "timeout", 10_000.0), Heard(410, None, 3.0)
ALL = (("", ""), 100)


def endpoint(merchant_id: str = MERCHANT, **more: Any) -> Endpoint:
    fields: dict[str, Any] = {"url": "https://shop.example/", "event_types": (), "description": None}
    fields |= {"secret": b"sealed", "key_version": 1, "created_at": NOW, "updated_at": NOW}
    return Endpoint(id=new_id("we"), merchant_id=merchant_id, **(fields | more))


async def take_on(house: House) -> None:
    """Two merchants, without an endpoint."""
    for id in (MERCHANT, "merchant_9"):
        key = ApiKey(new_id("key"), id, f"sk_test_{id[-8:]:0>8}", "a" * 64, (Scope.PAYMENTS_READ,), "k", NOW)
        merchant = Merchant(id, "M", f"{id}@m.example", NOW)
        await house.merchants.add(merchant, key, [merchant.created()], origin())


async def add(house: House, **more: Any) -> Endpoint:
    """An endpoint, kept."""
    made = endpoint(**more)
    await house.webhooks.add(made, origin())
    return made


async def claim(house: House, *endpoints: Endpoint, room: int = 100) -> list[Parcel]:
    return await house.webhooks.claim([((one.merchant_id, one.id), room) for one in endpoints])


def tried(parcel: Parcel, heard: Heard = OK) -> Tried:
    return Tried(parcel, heard, NOW, *after(heard, parcel.tries + 1, parcel.type), origin())


async def all_of(house: House, of: Endpoint) -> list[tuple[str, DeliveryStatus]]:
    page = await house.webhooks.deliveries(of.merchant_id, of.id, DeliveryQuery(limit=100))
    return [(one.type, one.status) for one in page.items]


async def ready(house: House, events: int = 1, **more: Any) -> Endpoint:
    """An endpoint with so many due deliveries."""
    made = await add(house, **{"event_types": ("payment.captured",), **more})
    for _ in range(events):
        await captured(house.books)
    await house.webhooks.fan_out(1000)
    return made
