"""Creating a payment through HTTP: what it may be made of, who is asked, and every body that is refused."""

import json
from typing import Any

import httpx
import pytest

from cleartill.domain.outcome import Declined, Unknown
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, READ_ONLY_KEY, World
from fakes.requests import CARD, PAN, PROCESS, card, charge, problem_of

PAYMENTS = "/api/v1/payments"
ORDER: dict[str, Any] = {"amount": "99.99", "currency": "USD"}
KEY = {"Idempotency-Key": "k"}


async def create(client: httpx.AsyncClient, key: str = "k", path: str = PAYMENTS, **changes: Any) -> httpx.Response:
    return await client.post(path, json={**ORDER, **changes}, headers={"Idempotency-Key": key})


async def test_a_payment_is_created_and_read_back(client: httpx.AsyncClient, world: World) -> None:
    answer = await create(
        client,
        card_data=CARD,
        capture_method="manual",
        order_id=17,
        customer_email="ada@example.com",
        description="Zwei Stück",
        metadata={"a": [1]},
    )
    made = answer.json()

    assert (answer.status_code, made["status"], made["provider"]) == (201, "pending", "bank")
    assert (made["amount"], made["amount_minor"], made["amount_captured"]) == (99.99, 9999, 0)
    assert (made["order_id"], made["customer_email"], made["metadata"]) == (17, "ada@example.com", {"a": [1]})
    assert (made["capture_method"], made["payment_method"]) == ("manual", "credit_card")
    assert (made["card"]["last4"], made["provider_payment_id"], made["expires_at"]) == ("4242", None, None)
    assert CARD["card_number"] not in answer.text
    assert world.bank.asked == []
    assert (await client.get(f"{PAYMENTS}/{made['id']}")).content == answer.content


@pytest.mark.parametrize(
    ("changes", "provider"),
    [
        ({}, "internal"),
        ({"card_data": CARD}, "bank"),
        ({"provider": "bank"}, "bank"),
        ({"provider": "mock"}, "mock"),
        ({"provider": "internal"}, "internal"),
        ({"provider": "mock", "card_data": CARD}, "mock"),
    ],
)
async def test_who_will_be_asked(client: httpx.AsyncClient, changes: dict[str, Any], provider: str) -> None:
    assert (await create(client, **changes)).json()["provider"] == provider


async def test_a_stored_card_is_named_by_its_token(client: httpx.AsyncClient) -> None:
    token = (await client.post(PROCESS, json=charge())).json()["card"]["card_token"]
    made = (await create(client, card_token=token)).json()
    paid = (await client.post(PROCESS, json=charge(without="card_data", card_token=token))).json()
    assert made["card"]["card_token"] == paid["card"]["card_token"] == token
    assert (made["status"], paid["status"]) == ("pending", "captured")


@pytest.mark.parametrize("path", [PAYMENTS, PROCESS])
async def test_a_token_that_is_not_ones_own_is_absent(client: httpx.AsyncClient, world: World, path: str) -> None:
    theirs = await client.post(PROCESS, json=charge(), headers={"Authorization": f"Bearer {OTHER_API_KEY}"})
    rows = world.memory.rows
    body = {**ORDER, "card_token": theirs.json()["card"]["card_token"]}
    if path == PROCESS:
        body["payment_method"] = "credit_card"
    answer = await client.post(path, json=body, headers=KEY)
    assert (answer.status_code, world.memory.rows) == (404, rows)


# ── confirmed at once ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("capture_method", "status"), [("automatic", "captured"), ("manual", "authorized")])
async def test_it_may_be_confirmed_at_once(client: httpx.AsyncClient, capture_method: str, status: str) -> None:
    first = await create(client, card_data=CARD, confirm=True, capture_method=capture_method)
    again = await create(client, card_data=CARD, confirm=True, capture_method=capture_method)

    assert (first.status_code, first.json()["status"]) == (201, status)
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")


async def test_confirmed_at_once_it_is_declined_or_in_doubt_as_any(client: httpx.AsyncClient, world: World) -> None:
    world.bank.answers(Declined("insufficient_funds", "51"), Unknown("timeout"))
    no = await create(client, "no", card_data=CARD, confirm=True)
    silence = await create(client, "silence", card_data=CARD, confirm=True)
    assert (no.status_code, no.json()["decline"]["code"]) == (201, "insufficient_funds")
    assert (silence.status_code, silence.json()["status"]) == (202, "in_doubt")


async def test_money_that_the_caller_vouches_for_is_captured_at_once(client: httpx.AsyncClient, world: World) -> None:
    paid = (await create(client, confirm=True)).json()
    assert (paid["status"], paid["provider"], world.bank.asked) == ("captured", "internal", [])
    assert world.memory.balance("merchant", "USD") == 9_999


async def test_without_the_card_that_is_needed_nothing_is_written(client: httpx.AsyncClient, world: World) -> None:
    found = problem_of(await create(client, provider="bank", confirm=True), world)
    assert (found["status"], found["code"], found["errors"][0]["field"]) == (422, "invalid_card", "card_data")


@pytest.mark.parametrize("path", [PROCESS, PAYMENTS])
async def test_an_amount_that_the_provider_cannot_move_is_refused(
    client: httpx.AsyncClient, world: World, path: str
) -> None:
    world.bank.refused_amounts.add(9_999)
    body = charge() if path == PROCESS else {**ORDER, "card_data": CARD, "confirm": True}
    found = problem_of(await client.post(path, json=body, headers=KEY), world)
    assert (found["status"], found["code"], found["errors"][0]["field"]) == (422, "invalid_amount", "amount")


# ── the key ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("confirm", [False, True])
async def test_a_key_is_needed(client: httpx.AsyncClient, world: World, confirm: bool) -> None:
    found = problem_of(await client.post(PAYMENTS, json={**ORDER, "confirm": confirm}), world)
    assert (found["status"], found["code"]) == (400, "invalid_idempotency_key")


async def test_a_trailing_slash_is_no_other_address(client: httpx.AsyncClient, world: World) -> None:
    first, again = await create(client), await create(client, path=f"{PAYMENTS}/")
    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert len(world.memory.payments) == 1


async def test_another_body_under_the_key_is_refused(client: httpx.AsyncClient) -> None:
    await create(client)
    for changes in ({"amount": "1"}, {"capture_method": "manual"}, {"confirm": True}, {"provider": "mock"}):
        answer = await create(client, **changes)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


async def test_equal_amounts_are_one_body(client: httpx.AsyncClient) -> None:
    first = await create(client, amount="100.00")
    assert (await create(client, amount=100)).content == first.content


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("both_cards", {"card_data": CARD, "card_token": "card_1"}, "card_data"),
    ("unknown_field", {"colour": "red"}, "colour"),
    ("unknown_field_of_the_card", {"card_data": {**CARD, "pin": "1234"}}, "card_data.pin"),
    ("provider_not_enabled", {"provider": "paypal"}, "provider"),
    ("provider_in_capitals", {"provider": "Bank"}, "provider"),
    ("provider_number", {"provider": 1}, "provider"),
    ("provider_empty", {"provider": ""}, "provider"),
    ("provider_pan", {"provider": PAN}, "provider"),
    ("capture_method", {"capture_method": "later"}, "capture_method"),
    ("capture_method_null", {"capture_method": None}, "capture_method"),
    ("payment_method", {"payment_method": "cash"}, "payment_method"),
    ("confirm_text", {"confirm": "true"}, "confirm"),
    ("confirm_number", {"confirm": 1}, "confirm"),
    ("amount_zero", {"amount": 0}, "amount"),
    ("amount_negative", {"amount": "-1"}, "amount"),
    ("amount_over_precise", {"amount": "1.001"}, "amount"),
    ("amount_missing", {"amount": None}, "amount"),
    ("currency_unknown", {"currency": "XYZ"}, "currency"),
    ("currency_small", {"currency": "usd"}, "currency"),
    ("email_without_at", {"customer_email": "ada"}, "customer_email"),
    ("email_with_blank", {"customer_email": "a da@example.com"}, "customer_email"),
    ("email_long", {"customer_email": "a" * 250 + "@b.example"}, "customer_email"),
    ("email_pan", {"customer_email": f"{PAN}@b.example"}, "customer_email"),
    ("token_empty", {"card_token": ""}, "card_token"),
    ("token_signs", {"card_token": "card 1"}, "card_token"),
    ("token_pan", {"card_token": PAN}, "card_token"),
    ("token_nul", {"card_token": "card_\0"}, "card_token"),
    ("cvv_missing", {"card_data": {name: value for name, value in CARD.items() if name != "cvv"}}, "card_data.cvv"),
    ("month_13", {"card_data": {**CARD, "expiry_month": 13}}, "card_data.expiry_month"),
    ("luhn", {"card_data": {**CARD, "card_number": "4242424242424243"}}, "card_data.card_number"),
    ("metadata_pan", {"metadata": {"a": PAN}}, "metadata"),
    ("order_id_float", {"order_id": 1.5}, "order_id"),
]


@pytest.mark.parametrize(("changes", "field"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
async def test_a_bad_order_is_refused_by_field_and_leaves_nothing(
    client: httpx.AsyncClient, world: World, changes: dict[str, Any], field: str
) -> None:
    found = problem_of(await create(client, **changes), world)
    assert (found["status"], [error["field"] for error in found["errors"]]) == (422, [field])


@pytest.mark.parametrize("missing", ["amount", "currency"])
async def test_what_is_needed_is_named(client: httpx.AsyncClient, world: World, missing: str) -> None:
    body = {name: value for name, value in ORDER.items() if name != missing}
    found = problem_of(await client.post(PAYMENTS, json=body, headers=KEY), world)
    assert (found["status"], found["errors"]) == (422, [{"field": missing, "reason": "is required"}])


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"{", 400), (b"[]", 422), (b'{"amount":1,"amount":1}', 400)])
async def test_a_body_that_is_none_is_refused(
    client: httpx.AsyncClient, world: World, body: bytes, status: int
) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    assert problem_of(await client.post(PAYMENTS, content=body, headers=headers), world)["status"] == status


@pytest.mark.parametrize(("cards", "reason"), [(0, "exactly one"), (2, "exclude")])
async def test_process_needs_exactly_one_card(client: httpx.AsyncClient, world: World, cards: int, reason: str) -> None:
    body = charge(card_token="card_1") if cards else charge(without="card_data")
    found = problem_of(await client.post(PROCESS, json=body), world)
    assert (found["status"], found["errors"][0]["field"]) == (422, "card_data")
    assert reason in found["errors"][0]["reason"]


@pytest.mark.parametrize("changes", [{"capture_method": "manual"}, {"confirm": True}])
async def test_process_takes_the_money_at_once_and_nothing_else(
    client: httpx.AsyncClient, world: World, changes: dict[str, Any]
) -> None:
    found = problem_of(await client.post(PROCESS, json=charge(**changes)), world)
    assert found["errors"] == [{"field": next(iter(changes)), "reason": "is not a known field"}]


async def test_an_expired_card_is_an_outcome(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(PROCESS, json=card(expiry_year=2025))
    assert (answer.status_code, answer.json()["decline"]["code"], world.bank.asked) == (201, "expired_card", [])


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_that_may_only_read_creates_nothing(client: httpx.AsyncClient, world: World) -> None:
    client.headers["Authorization"] = f"Bearer {READ_ONLY_KEY}"
    assert problem_of(await create(client), world)["code"] == "missing_scope"


async def test_another_merchants_payment_is_not_made(client: httpx.AsyncClient, world: World) -> None:
    found = problem_of(await create(client, merchant_id=OTHER_MERCHANT_ID), world)
    assert (found["status"], found["code"]) == (403, "not_your_merchant")


async def test_the_openapi_examples_are_true(client: httpx.AsyncClient) -> None:
    """Who copies an example gets what its name says."""
    document = (await client.get("/openapi.json")).json()
    for path in (PROCESS, PAYMENTS):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for number, (name, example) in enumerate(content["examples"].items()):
            body = json.dumps(example["value"])
            answer = await client.post(
                path, content=body, headers={"Content-Type": "application/json", "Idempotency-Key": f"{path}{number}"}
            )
            assert answer.status_code == (404 if name == "a stored card" else 201), (name, answer.text)
