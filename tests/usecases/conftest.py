"""A world of fakes, and money operations as the API would begin them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.idempotency import Answer
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.ports import Origin
from cleartill.usecases.charge import Charge, charge
from cleartill.usecases.refund import RefundOrder, refund
from fakes import World

ORIGIN = Origin("key_1", "req_1", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
BUDGET_S = 8.0

Call = Callable[..., Awaitable[Answer]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pay(world: World) -> Call:
    """Charge the demo merchant's payer; keywords change the command."""

    async def pay(**changes: Any) -> Answer:
        fields: dict[str, Any] = {
            "merchant_id": DEMO_MERCHANT_ID, "amount_minor": 10_000, "currency": "USD",
            "payment_method": "credit_card",
            "card": Card(Pan("4242424242424242"), 12, 2040, Cvv("123"), Secret("Ada")), "card_token": None,
            "provider": None, "order_id": None, "customer_email": None, "description": None, "metadata": {},
            "idempotency_key": None,
        }  # fmt: skip
        return await charge(world.till, Charge(**(fields | changes)), ORIGIN, world.clock.monotonic() + BUDGET_S)

    return pay


@pytest.fixture
def give_back(world: World) -> Call:
    """Refund a payment, by its id or its answer."""

    async def give_back(payment: str | Answer, amount: str | None = None, key: str | None = None) -> Answer:
        payment_id = json.loads(payment.body)["id"] if isinstance(payment, Answer) else payment
        command = RefundOrder(DEMO_MERCHANT_ID, payment_id, amount, None, {}, key)
        return await refund(world.till, command, ORIGIN, world.clock.monotonic() + BUDGET_S)

    return give_back
