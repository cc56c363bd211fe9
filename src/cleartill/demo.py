"""The demo merchant with its documented keys, and a payment of every outcome for those who want to look around."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import CleartillError, EmailTaken
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID, MERCHANT_SCOPES, Scope
from cleartill.domain.order import Order
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Till
from cleartill.simulator.cards import TEST_CARDS
from cleartill.usecases.charge import PROCESS, charge
from cleartill.usecases.onboard import onboard
from cleartill.usecases.refund import RefundOrder, refund

ADMIN_MERCHANT_ID = "merchant_admin"
BUDGET_S = 4.0


def _origin() -> Origin:
    return Origin(actor="seed", request_id="", trace_id=token_hex(16), span_id=token_hex(8), keep=False)


async def seed_demo(till: Till) -> None:
    """The demo merchant and an administrator; nothing if they are there."""
    for merchant_id, name, email, key, scopes in (
        (DEMO_MERCHANT_ID, "Demo Merchant", "demo@merchant.example", DEMO_API_KEY, MERCHANT_SCOPES),
        (ADMIN_MERCHANT_ID, "Administrator", "admin@merchant.example", DEMO_ADMIN_KEY, tuple(Scope)),
    ):
        with suppress(EmailTaken):
            await onboard(
                till, merchant_id=merchant_id, name=name, email=email, key=key, scopes=scopes, origin=_origin()
            )


async def fill(till: Till, say: Callable[[str], None]) -> None:
    """A second merchant, a payment with every test card, and refunds of the captured ones; needs a bank."""
    with suppress(EmailTaken):
        await onboard(
            till,
            merchant_id="merchant_456",
            name="Second Demo Merchant",
            email="second@merchant.example",
            key="sk_test_demo4567CleartillSecondMerchantKeyForTests",
            scopes=MERCHANT_SCOPES,
            origin=_origin(),
        )
    for number, card in enumerate(TEST_CARDS):
        asked = Order(
            merchant_id=DEMO_MERCHANT_ID,
            amount_minor=1_000 + 250 * number,
            currency="USD",
            payment_method="credit_card",
            capture_method="automatic",
            card=Card(Pan(card.number), 12, 2034, Cvv("1234" if card.number.startswith("3") else "123"), Secret("Ada")),
            card_token=None,
            provider=None,
            order_id=f"demo-{number}",
            customer_email=None,
            description=card.name,
            metadata={"demo": True},
        )
        try:
            made = await charge(till, asked, PROCESS, None, _origin(), time.monotonic() + BUDGET_S)
            payment = json.loads(made.body)
            say(f"  {card.name:<22} {payment['status']}")
        except CleartillError as error:
            say(f"  {card.name:<22} {error}")
            continue
        if payment["status"] == PaymentStatus.CAPTURED:
            order = RefundOrder(DEMO_MERCHANT_ID, payment["id"], "5.00" if number % 2 else None, "demo", {}, None)
            await refund(till, order, _origin(), time.monotonic() + BUDGET_S)
