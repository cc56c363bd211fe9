"""Stored cards through HTTP: what is shown of one, and that an erased one is gone for everybody but the record."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from cleartill.adapters.aesgcm import AesGcmVault, KeyRing
from cleartill.api.app import create_app
from cleartill.domain.events import timestamp
from cleartill.domain.merchant import DEMO_API_KEY
from fakes import OTHER_API_KEY, READ_ONLY_KEY, WRITE_ONLY_KEY, World
from fakes.requests import CARD, CHARGE, PAN, PROCESS, card, charge

CARDS = "/api/v1/cards"
THEIRS = {"Authorization": f"Bearer {OTHER_API_KEY}"}
VOLATILE = ("request_id", "trace_id", "instance")
SHOWN = {"id", "brand", "last4", "bin", "expiry_month", "expiry_year", "fingerprint", "created_at"}


async def stored(client: httpx.AsyncClient, body: dict[str, Any] = CHARGE, **more: Any) -> dict[str, Any]:
    """The card of a payment just made."""
    answer = await client.post(PROCESS, json=body, **more)
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()["card"]
    return found


def stable(answer: httpx.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name not in VOLATILE}


async def test_a_card_is_shown_without_its_number(client: httpx.AsyncClient, world: World) -> None:
    paid_with = await stored(client)

    answer = await client.get(f"{CARDS}/{paid_with['card_token']}")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": paid_with["card_token"],
        **{name: paid_with[name] for name in SHOWN - {"id", "created_at"}},
        "created_at": timestamp(world.clock.now()),
    }
    for secret in (CARD["card_number"], CARD["cvv"] + '"', CARD["cardholder_name"]):
        assert secret not in answer.text


async def test_an_erased_card_is_gone(client: httpx.AsyncClient, world: World) -> None:
    token = (await stored(client))["card_token"]
    kept = (await stored(client))["card_token"]

    answer = await client.delete(f"{CARDS}/{token}")

    assert (answer.status_code, answer.json()) == (200, {"id": token, "deleted": True})
    assert [held for _, held in world.memory.cards] == [kept]
    again = await client.delete(f"{CARDS}/{token}")
    read = await client.get(f"{CARDS}/{token}")
    paid = await client.post(PROCESS, json={**charge(without="card_data"), "card_token": token})
    never = await client.delete(f"{CARDS}/card_0")
    assert [one.status_code for one in (again, read, paid, never)] == [404] * 4
    assert stable(again) == stable(read) == stable(paid) == stable(never)
    assert (await client.get(f"{CARDS}/{kept}")).status_code == 200


async def test_the_record_keeps_token_and_last4_only(client: httpx.AsyncClient, world: World) -> None:
    paid_with = await stored(client)
    before = len(world.memory.facts)

    await client.delete(f"{CARDS}/{paid_with['card_token']}")
    await client.delete(f"{CARDS}/{paid_with['card_token']}")

    ((fact, origin),) = world.memory.facts[before:]
    assert (fact.type, fact.subject_id, fact.seq) == ("card.erased", paid_with["card_token"], 1)
    assert fact.data == {"id": paid_with["card_token"], "last4": "4242"}
    assert origin.actor.startswith("key_")


async def test_payments_keep_what_they_showed(client: httpx.AsyncClient) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()
    await client.delete(f"{CARDS}/{payment['card']['card_token']}")

    assert (await client.get(f"/api/v1/payments/{payment['id']}")).json() == payment
    assert (await client.post(f"/api/v1/payments/{payment['id']}/refund", json={"amount": 1})).status_code == 201


async def test_one_of_two_at_once_erases_it(client: httpx.AsyncClient, world: World) -> None:
    token = (await stored(client))["card_token"]
    answers = await asyncio.gather(*(client.delete(f"{CARDS}/{token}") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9
    assert [fact.type for fact, _ in world.memory.facts].count("card.erased") == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_another_merchants_card_is_absent(client: httpx.AsyncClient, world: World, method: str) -> None:
    token = (await stored(client))["card_token"]
    rows = world.memory.rows

    theirs = await client.request(method, f"{CARDS}/{token}", headers=THEIRS)
    never = await client.request(method, f"{CARDS}/card_0", headers=THEIRS)

    assert theirs.status_code == never.status_code == 404
    assert stable(theirs) == stable(never)
    assert world.memory.rows == rows
    assert (await client.get(f"{CARDS}/{token}")).status_code == 200


@pytest.mark.parametrize("token", [PAN, "card_" + PAN + "%00", "CARD_1", "card-1", "card_" + "a" * 40, "%ff", "card_é"])
async def test_what_is_no_token_is_absent_and_not_repeated(client: httpx.AsyncClient, token: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await client.request(method, f"{CARDS}/{token}")
        assert answer.status_code == 404
        assert PAN not in answer.text


@pytest.mark.parametrize(
    ("method", "key", "status"),
    [
        ("GET", READ_ONLY_KEY, 200),
        ("GET", WRITE_ONLY_KEY, 403),
        ("DELETE", READ_ONLY_KEY, 403),
        ("DELETE", WRITE_ONLY_KEY, 200),
        ("GET", "", 401),
        ("DELETE", "", 401),
    ],
)
async def test_scopes(client: httpx.AsyncClient, world: World, method: str, key: str, status: int) -> None:
    token = (await stored(client))["card_token"]
    del client.headers["Authorization"]
    answer = await client.request(method, f"{CARDS}/{token}", headers={"X-API-Key": key})
    assert answer.status_code == status
    assert len(world.memory.cards) == (0 if (method, status) == ("DELETE", 200) else 1)


async def test_books_away_is_503_and_erases_nothing(client: httpx.AsyncClient, world: World) -> None:
    token = (await stored(client))["card_token"]
    world.books.away = world.reads.away = True
    for method in ("GET", "DELETE"):
        assert (await client.request(method, f"{CARDS}/{token}")).status_code == 503
    assert len(world.memory.cards) == 1


@pytest.fixture
async def sealing() -> Any:
    """The app over the real vault."""
    ring = KeyRing.parse("1:" + base64.b64encode(b"k" * 32).decode())
    world = World(vault=AesGcmVault(ring, b"pepper"))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(create_app(world.till, environment="test", version="1"))
    headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://till.example", headers=headers) as client:
        yield client


async def test_one_fingerprint_for_a_number_within_a_merchant_and_another_elsewhere(
    sealing: httpx.AsyncClient,
) -> None:
    mine = await stored(sealing)
    again = await stored(sealing, card(card_number="4242 4242 4242 4242", expiry_year=2031, cardholder_name="A. L."))
    other_number = await stored(sealing, card(card_number="4111111111111111"))
    theirs = await stored(sealing, headers=THEIRS)

    assert mine["fingerprint"] == again["fingerprint"]
    assert mine["card_token"] != again["card_token"]
    assert len({mine["fingerprint"], other_number["fingerprint"], theirs["fingerprint"]}) == 3
    for one, headers in ((mine, {}), (theirs, THEIRS)):
        read = await sealing.get(f"{CARDS}/{one['card_token']}", headers=headers)
        assert read.json()["fingerprint"] == one["fingerprint"]


async def test_the_views_are_described_field_by_field(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    token = (await stored(client))["card_token"]
    assert set(schemas["StoredCardView"]["properties"]) == set((await client.get(f"{CARDS}/{token}")).json()) == SHOWN
    assert set(schemas["ErasedView"]["properties"]) == set((await client.delete(f"{CARDS}/{token}")).json())
