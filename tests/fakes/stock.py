"""Payments and refunds that are just there, each made at a time of its own."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from cleartill.domain.card import CardSummary
from cleartill.domain.ids import first_id
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PaymentStatus, RefundStatus
from fakes.world import World

CARD = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, "card_1")


def stock(world: World, seconds: float, *, last4: str = "4242", **fields: Any) -> Payment:
    """A captured payment, made so many seconds after the world's clock."""
    at = world.clock.now() + timedelta(seconds=seconds)
    made = Payment(
        id=first_id("pay", at),
        merchant_id=DEMO_MERCHANT_ID,
        amount_minor=100,
        currency="USD",
        provider="bank",
        status=PaymentStatus.CAPTURED,
        trace_id="0" * 32,
        created_at=at,
        updated_at=at,
        amount_captured_minor=100,
        card=replace(CARD, last4=last4),
    )
    made = replace(made, **fields)
    world.memory.payments[(made.merchant_id, made.id)] = made
    return made


def stock_refund(world: World, seconds: float, **fields: Any) -> Refund:
    """A refund that succeeded, likewise."""
    at = world.clock.now() + timedelta(seconds=seconds)
    made = Refund(
        id=first_id("ref", at),
        merchant_id=DEMO_MERCHANT_ID,
        payment_id="pay_1",
        amount_minor=100,
        currency="USD",
        provider="bank",
        status=RefundStatus.SUCCEEDED,
        trace_id="0" * 32,
        created_at=at,
        updated_at=at,
    )
    made = replace(made, **fields)
    world.memory.refunds[(made.merchant_id, made.id)] = made
    return made
