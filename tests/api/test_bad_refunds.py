"""A refund that makes no sense is refused and leaves the payment alone."""

import json

import httpx
import pytest

from fakes import World
from fakes.requests import CHARGE, PROCESS

JSON = {"Content-Type": "application/json"}
WHOLE = json.dumps(CHARGE).encode()


REFUNDS: list[tuple[str, bytes, int]] = [
    ("array", b"[]", 422),
    ("truncated", b'{"amount": 1', 400),
    ("duplicate", b'{"amount": 1, "amount": 2}', 400),
    ("unknown", b'{"currency": "USD"}', 422),
    ("merchant", b'{"merchant_id": "merchant_123"}', 422),
    ("zero", b'{"amount": 0}', 422),
    ("negative", b'{"amount": -1}', 422),
    ("over_precise", b'{"amount": "1.001"}', 422),
    ("exponent", b'{"amount": 1e1}', 422),
    ("true", b'{"amount": true}', 422),
    ("reason_number", b'{"reason": 1}', 422),
    ("reason_pan", b'{"reason": "for 4111111111111111"}', 422),
    ("reason_long", b'{"reason": "' + b"r" * 501 + b'"}', 422),
    ("metadata_pan", b'{"metadata": {"a": 4111111111111111}}', 422),
]


@pytest.mark.parametrize(("body", "status"), [pytest.param(body, status, id=name) for name, body, status in REFUNDS])
async def test_a_bad_refund_leaves_the_payment_alone(
    client: httpx.AsyncClient, world: World, body: bytes, status: int
) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()
    rows, asked = world.memory.rows, len(world.bank.asked)
    answer = await client.post(f"/api/v1/payments/{payment['id']}/refund", content=body, headers=JSON)
    assert answer.status_code == status
    assert (world.memory.rows, len(world.bank.asked)) == (rows, asked)
    assert "4111111111111111" not in answer.text
