"""Refunding a payment that is named in the body: by our id or by the provider's, under one idempotency key."""

from typing import Any

import httpx
import pytest

from fakes import OTHER_API_KEY, World
from fakes.requests import PAN
from fakes.stages import PAYMENTS, Stage

THEIRS = {"Authorization": f"Bearer {OTHER_API_KEY}"}


@pytest.fixture
def stage(client: httpx.AsyncClient, world: World) -> Stage:
    return Stage(client, world)


OF_BAD: list[tuple[str, dict[str, Any], int, str | None]] = [
    ("nobody", {}, 422, "transaction_id"),
    ("half", {"provider": "bank"}, 422, "transaction_id"),
    ("other_half", {"provider_payment_id": "bnk_1"}, 422, "transaction_id"),
    ("both", {"transaction_id": "ID", "provider": "bank", "provider_payment_id": "bnk_1"}, 422, "transaction_id"),
    ("one_and_a_half", {"transaction_id": "ID", "provider": "bank"}, 422, "transaction_id"),
    ("unknown_field", {"transaction_id": "ID", "currency": "USD"}, 422, "currency"),
    ("too_much", {"transaction_id": "ID", "amount": "100.00"}, 409, None),
    ("zero", {"transaction_id": "ID", "amount": 0}, 422, "amount"),
    ("absent", {"transaction_id": "pay_none"}, 404, None),
    ("no_id", {"transaction_id": "-"}, 404, None),
    ("number", {"transaction_id": 1}, 422, "transaction_id"),
    ("pan", {"transaction_id": PAN}, 422, "transaction_id"),
    ("unknown_there", {"provider": "bank", "provider_payment_id": "bnk_none"}, 404, None),
    ("another_provider", {"provider": "mock", "provider_payment_id": "BNK"}, 404, None),
    ("provider_pan", {"provider": "bank", "provider_payment_id": PAN}, 422, "provider_payment_id"),
]


async def paid(stage: Stage) -> dict[str, Any]:
    made: dict[str, Any] = (await stage.client.get(f"{PAYMENTS}/{await stage.make(confirm=True)}")).json()
    return made


@pytest.mark.parametrize("by", ["ours", "theirs"])
async def test_a_refund_by_either_name(stage: Stage, world: World, by: str) -> None:
    payment = await paid(stage)
    named = {"provider": "bank", "provider_payment_id": payment["provider_payment_id"]}
    named = {"transaction_id": payment["id"]} if by == "ours" else named
    answer = await stage.client.post("/api/v1/refunds", json={**named, "amount": "60.00"})

    assert (answer.status_code, answer.json()["transaction_id"]) == (201, payment["id"])
    assert (answer.json()["status"], world.memory.balance("merchant", "USD")) == ("succeeded", 3_999)


async def test_one_key_holds_for_every_way_to_the_same_refund(stage: Stage, world: World) -> None:
    payment, key = await paid(stage), {"Idempotency-Key": "k"}
    named = {"provider": "bank", "provider_payment_id": payment["provider_payment_id"]}
    first = await stage.client.post(f"{PAYMENTS}/{payment['id']}/refund", json={"amount": 60}, headers=key)
    for name in ({"transaction_id": payment["id"]}, named):
        again = await stage.client.post("/api/v1/refunds/", json={**name, "amount": "60.00"}, headers=key)
        assert (again.status_code, again.content) == (201, first.content)
    assert len(world.memory.refunds) == 1


@pytest.mark.parametrize(("body", "status", "field"), [pytest.param(*row[1:], id=row[0]) for row in OF_BAD])
async def test_a_bad_refund_by_name_changes_nothing(
    stage: Stage, world: World, body: dict[str, Any], status: int, field: str | None
) -> None:
    payment = await paid(stage)
    real = {"ID": payment["id"], "BNK": payment["provider_payment_id"]}
    rows = world.memory.rows
    sent = {name: real.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    answer = await stage.client.post("/api/v1/refunds", json=sent)

    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert (world.memory.rows, PAN in answer.text) == (rows, False)


async def test_another_merchants_name_at_the_provider_is_absent(stage: Stage, world: World) -> None:
    payment = await paid(stage)
    rows = world.memory.rows
    for named in (
        {"transaction_id": payment["id"]},
        {"provider": "bank", "provider_payment_id": payment["provider_payment_id"]},
    ):
        answer = await stage.client.post("/api/v1/refunds", json=named, headers=THEIRS)
        assert (answer.status_code, world.memory.rows) == (404, rows)
