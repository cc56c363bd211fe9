"""Test cards and events over HTTP: what the tables in the code say, and no more where it would be out of place."""

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.domain.event_catalogue import DESCRIPTIONS
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.simulator.cards import TEST_CARDS
from fakes import World
from fakes.requests import PROCESS, card

CARDS, EVENTS = "/api/v1/test-cards", "/api/v1/event-types"


async def test_every_test_card_is_shown_with_what_it_does(client: httpx.AsyncClient) -> None:
    answer = await client.get(CARDS)
    assert answer.status_code == 200
    shown = {one["number"]: one for one in answer.json()["data"]}
    assert list(shown) == [card.number for card in TEST_CARDS]
    assert shown["378282246310005"] == {
        "number": "378282246310005", "brand": "amex", "name": "approve", "meaning": "approved (American Express)",
        "approved": True, "challenged": False, "decline": None, "response_code": "00", "avs": "Y", "cvc": "M",
        "fault": None, "bank_acts": True,
    }  # fmt: skip
    assert {(one["fault"], one["bank_acts"]) for one in shown.values() if one["fault"]} == {
        ("slow", True), ("timeout_before", False), ("timeout_after", True), ("error500", False), ("reset", True),
        ("malformed", True),
    }  # fmt: skip
    declined = shown["4000000000009995"]
    assert (declined["approved"], declined["decline"], declined["bank_acts"]) == (False, "insufficient_funds", False)
    assert shown["4000000000003220"]["challenged"] is True


async def test_every_test_card_is_one_that_a_payment_takes(client: httpx.AsyncClient) -> None:
    for one in (await client.get(CARDS)).json()["data"]:
        cvv = "1234" if one["brand"] == "amex" else "123"
        assert (await client.post(PROCESS, json=card(card_number=one["number"], cvv=cvv))).status_code == 201


@pytest.mark.parametrize("environment", ["development", "test", "staging", "production"])
async def test_in_production_there_are_no_test_cards(world: World, environment: str) -> None:
    app = create_app(world.till, environment=environment, version="1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://till.example") as client:
        there = await client.get(CARDS, headers={"X-API-Key": DEMO_API_KEY})
        assert there.status_code == (404 if environment == "production" else 200)
        assert (await client.get(EVENTS, headers={"X-API-Key": DEMO_API_KEY})).status_code == 200


async def test_every_event_is_shown_with_an_example(client: httpx.AsyncClient) -> None:
    answer = await client.get(EVENTS)
    shown = {one["type"]: one for one in answer.json()["data"]}
    assert {type: one["description"] for type, one in shown.items()} == DESCRIPTIONS
    assert all(one["example"]["type"] == type for type, one in shown.items())
    assert (await client.get(EVENTS)).content == answer.content
