"""Payments, refunds and timelines as callers see them; replays byte for byte; slashes; request ids."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.outcome import Approved, Declined, Unknown
from cleartill.ports import Visit
from fakes import Scripted, World
from fakes.requests import CARD, CHARGE, card, charge, raw

PROCESS = "/api/v1/payments/process"
JSON = {"Content-Type": "application/json"}


async def test_a_payment_is_captured_and_read_back(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROCESS, json=charge(order_id="order-1", description="Zwei Stück", metadata={"a": [1]}))
    payment = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "idempotent-replayed" not in answer.headers
    assert payment["id"] == payment["transaction_id"]
    assert (payment["status"], payment["amount"], payment["amount_minor"]) == ("captured", 99.99, 9999)
    assert (payment["order_id"], payment["description"], payment["metadata"]) == ("order-1", "Zwei Stück", {"a": [1]})
    assert payment["merchant_id"] == DEMO_MERCHANT_ID
    assert (payment["card"]["last4"], payment["card"]["bin"]) == ("4242", "424242")
    assert CARD["card_number"] not in answer.text
    read = await client.get(f"/api/v1/payments/{payment['id']}")
    assert (read.status_code, read.content) == (200, answer.content)


@pytest.mark.parametrize(
    ("literal", "currency", "minor"),
    [
        ("99.99", "USD", 9999),
        ('"99.99"', "USD", 9999),
        ("0.1", "USD", 10),
        ("1.10", "USD", 110),
        ("8.41", "USD", 841),
        ("4.35", "EUR", 435),
        ("1.005", "BHD", 1005),
        ("500", "JPY", 500),
        ('"500"', "JPY", 500),
        ("9999999999.99", "USD", 999_999_999_999),
    ],
)
async def test_amounts_are_exact(client: httpx.AsyncClient, literal: str, currency: str, minor: int) -> None:
    body = raw("amount", literal).replace(b'"USD"', f'"{currency}"'.encode())
    answer = await client.post(PROCESS, content=body, headers=JSON)
    assert answer.json()["amount_minor"] == minor


@pytest.mark.parametrize("order_id", ["4711", 4711, 0, -1, 10**17, "ü✓", 1763646517003, "2026-11-20/0001-000000018"])
async def test_an_order_id_comes_back_as_given(client: httpx.AsyncClient, order_id: Any) -> None:
    back = (await client.post(PROCESS, json=charge(order_id=order_id))).json()["order_id"]
    assert (back, type(back)) == (order_id, type(order_id))


@pytest.mark.parametrize(
    "changes",
    [
        {"card_number": "4242 4242 4242 4242"},
        {"card_number": "4242-4242-4242-4242"},
        {"expiry_month": "12", "expiry_year": "2030"},
        {"expiry_month": 12, "expiry_year": 30},
        {"expiry_month": "01", "expiry_year": "30"},
        {"cvv": "1234", "card_number": "378282246310005"},
    ],
)
async def test_a_card_may_be_written_in_several_ways(client: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    payment = (await client.post(PROCESS, json=card(**changes))).json()
    assert (payment["status"], payment["card"]["expiry_year"]) == ("captured", 2030)


@pytest.mark.parametrize(("month", "year"), [(12, 2025), (1, 25), (12, 1999)])
async def test_an_expired_card_is_declined_unasked(
    client: httpx.AsyncClient, world: World, month: int, year: int
) -> None:
    answer = await client.post(PROCESS, json=card(expiry_month=month, expiry_year=year))
    assert (answer.status_code, answer.json()["status"]) == (201, "failed")
    assert answer.json()["decline"]["code"] == "expired_card"
    assert world.bank.asked == []


async def test_a_decline_is_an_outcome(client: httpx.AsyncClient, world: World) -> None:
    world.bank.answers(Declined("insufficient_funds", network_code="51"))
    answer = await client.post(PROCESS, json=CHARGE)
    assert (answer.status_code, answer.json()["status"]) == (201, "failed")
    assert answer.json()["decline"]["category"] == "soft"


async def test_the_provider_named_is_the_one_asked(client: httpx.AsyncClient, world: World) -> None:
    assert (await client.post(PROCESS, json=charge(provider="bank"))).json()["provider"] == "bank"
    assert len(world.bank.asked) == 1


async def test_metadata_comes_back_as_written(client: httpx.AsyncClient) -> None:
    metadata = {"n": None, "t": True, "i": 2**53 - 1, "f": 0.1, "s": "ü", "l": [1, "a"], "o": {"p": {"q": 1}}}
    assert (await client.post(PROCESS, json=charge(metadata=metadata))).json()["metadata"] == metadata


@pytest.mark.parametrize("body", [None, {}, {"amount": None}, {"amount": 99.99}, {"amount": "99.99", "reason": "late"}])
async def test_a_refund_of_the_whole(client: httpx.AsyncClient, body: dict[str, Any] | None) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()
    answer = await client.post(f"/api/v1/payments/{payment['id']}/refund", json=body)
    refund = answer.json()
    assert (answer.status_code, refund["status"], refund["amount_minor"]) == (201, "succeeded", 9999)
    assert refund["transaction_id"] == payment["id"]
    read = await client.get(f"/api/v1/refunds/{refund['id']}")
    assert (read.status_code, read.content) == (200, answer.content)
    assert (await client.get(f"/api/v1/payments/{payment['id']}")).json()["status"] == "refunded"


async def test_refunds_in_parts_never_exceed_the_whole(client: httpx.AsyncClient) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()["id"]
    refund = f"/api/v1/payments/{payment}/refund"
    assert (await client.post(refund, json={"amount": "60.00"})).status_code == 201
    refused = await client.post(refund, json={"amount": "60.00"})
    assert (refused.status_code, refused.json()["code"]) == (409, "amount_too_large")
    assert "39.99 USD" in refused.json()["detail"]
    assert (await client.post(refund)).json()["amount_minor"] == 3999


async def test_sixteen_refunds_at_once_one_succeeds(client: httpx.AsyncClient, world: World) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()["id"]
    asks = [client.post(f"/api/v1/payments/{payment}/refund", json={"amount": 60}) for _ in range(16)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*asks))
    assert statuses == [201] + [409] * 15
    assert sum(operation == "refund" for operation, _ in world.bank.asked) == 1


async def test_the_timeline(client: httpx.AsyncClient) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()
    answer = await client.get(f"/api/v1/payments/{payment['id']}/timeline")
    assert answer.status_code == 200
    assert answer.json()["payment_id"] == payment["id"]
    assert [step["name"] for step in answer.json()["steps"]] == ["payment.created", "payment.captured"]
    assert answer.json()["steps"][0]["details"]["trace_id"] == payment["trace_id"]


# ── idempotency ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", [PROCESS, PROCESS + "/"])
@pytest.mark.parametrize("outcome", [None, Declined("card_declined")])
async def test_a_repeat_gets_the_same_bytes(
    client: httpx.AsyncClient, world: World, path: str, outcome: Declined | None
) -> None:
    if outcome:
        world.bank.answers(outcome)
    key = {"Idempotency-Key": "order-1"}
    first = await client.post(PROCESS, json=charge(description="é"), headers=key)
    again = await client.post(path, json=charge(amount="99.99", description="é"), headers=key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(world.bank.asked) == 1


async def test_a_refund_repeats_too(client: httpx.AsyncClient, world: World) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()["id"]
    key = {"Idempotency-Key": "refund-1"}
    first = await client.post(f"/api/v1/payments/{payment}/refund", headers=key)
    again = await client.post(f"/api/v1/payments/{payment}/refund/", json={}, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.memory.refunds) == 1


async def test_a_key_for_another_body_is_409(client: httpx.AsyncClient, world: World) -> None:
    key = {"Idempotency-Key": "order-1"}
    await client.post(PROCESS, json=CHARGE, headers=key)
    answer = await client.post(PROCESS, json=charge(amount=1), headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert len(world.memory.payments) == 1


async def test_a_key_whose_first_request_runs_is_409(client: httpx.AsyncClient, world: World) -> None:
    world.bank.hold = asyncio.Event()
    key = {"Idempotency-Key": "order-1"}
    first = asyncio.create_task(client.post(PROCESS, json=CHARGE, headers=key))
    await world.bank.reached.wait()
    second = await client.post(PROCESS, json=CHARGE, headers=key)
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_progress")
    assert second.headers["retry-after"] == "1"
    world.bank.hold.set()
    assert (await first).status_code == 201


async def test_thirty_two_at_once_one_charge(client: httpx.AsyncClient, world: World) -> None:
    asks = [client.post(PROCESS, json=CHARGE, headers={"Idempotency-Key": "order-1"}) for _ in range(32)]
    answers = await asyncio.gather(*asks)
    assert len(world.bank.asked) == len(world.memory.payments) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1


async def test_a_doubt_replays_as_the_object_is_now(client: httpx.AsyncClient, world: World) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), Approved("bnk_1")))
    key = {"Idempotency-Key": "order-1"}
    first = await client.post(PROCESS, json=CHARGE, headers=key)
    again = await client.post(PROCESS, json=CHARGE, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_refused_body_leaves_the_key_free(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "order-1"}
    assert (await client.post(PROCESS, json=charge(amount=-1), headers=key)).status_code == 422
    assert (await client.post(PROCESS, json=CHARGE, headers=key)).status_code == 201


# ── around the routes ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_with_and_without_a_slash(client: httpx.AsyncClient) -> None:
    payment = (await client.post(PROCESS + "/", json=CHARGE)).json()["id"]
    for path in (f"/api/v1/payments/{payment}", f"/api/v1/payments/{payment}/timeline", "/health", "/docs", "/"):
        plain, slashed = await client.get(path), await client.get(path.rstrip("/") + "/")
        assert (plain.status_code, slashed.status_code, slashed.history) == (200, 200, [])


@pytest.mark.parametrize("sent", ["abc", "x" * 128, "a/b:c-d_e.f~"])
async def test_a_request_id_is_taken(client: httpx.AsyncClient, sent: str) -> None:
    for path in ("/", "/nowhere"):
        assert (await client.get(path, headers={"X-Request-ID": sent})).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", [b"", b"x" * 129, b"a b", b"caf\xc3\xa9", b"4111111111111111", b"a\x01"])
async def test_an_unfit_request_id_is_replaced(client: httpx.AsyncClient, sent: bytes) -> None:
    answer = await client.get("/nowhere", headers=[(b"x-request-id", sent)])
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_the_visit_is_filled_in(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    visits: list[Visit] = []

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        visits.append(Visit("a" * 32, "b" * 16))
        scope["cleartill.visit"] = visits[-1]
        await app(scope, receive, send)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(seen), base_url="http://till.example", headers=client.headers
    ) as through:
        payment = (await through.post(PROCESS, json=CHARGE, headers={"X-Request-ID": "mine"})).json()
        await through.get("/api/v1/payments/pay_0")
    visit, failed = visits
    assert payment["trace_id"] == "a" * 32
    assert (visit.route, visit.request_id) == (f"POST {PROCESS}", "mine")
    assert (visit.merchant_id, visit.subject_id, visit.problem_code) == (DEMO_MERCHANT_ID, payment["id"], "")
    assert visit.actor.startswith("key_")
    assert len(visit.work) == 1
    assert (failed.route, failed.problem_code) == ("GET /api/v1/payments/{id}", "not_found")
    origins = {(origin.actor, origin.request_id, origin.trace_id, origin.span_id) for _, origin in world.memory.facts}
    assert origins == {(visit.actor, "mine", "a" * 32, "b" * 16)}


async def test_the_deadline_starts_at_arrival(client: httpx.AsyncClient, world: World) -> None:
    await client.post(PROCESS, json=CHARGE)
    assert world.books.units[0].deadline == world.clock.monotonic() + world.till.budget_s
