"""The steps of a payment's life as the API begins them, on any till."""

import json
from dataclasses import dataclass
from typing import Any

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.idempotency import Answer
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.order import Order
from cleartill.ports import Origin, Till
from cleartill.usecases.capture import Capture, capture
from cleartill.usecases.charge import PROCESS, charge
from cleartill.usecases.confirm import Confirmation, confirm
from cleartill.usecases.create import create
from cleartill.usecases.fail import Failure, fail
from cleartill.usecases.refund import RefundOrder, refund
from cleartill.usecases.void import Void, void

ORIGIN = Origin("key_1", "req_1", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
BUDGET_S = 8.0


def card(pan: str = "4242424242424242", year: int = 2040, cvv: str = "123") -> Card:
    return Card(Pan(pan), 12, year, Cvv(cvv), Secret("Ada"))


def order(**changes: Any) -> Order:
    """100.00 USD from the demo merchant's payer, taken at once; keywords change it."""
    fields: dict[str, Any] = {
        "merchant_id": DEMO_MERCHANT_ID, "amount_minor": 10_000, "currency": "USD", "payment_method": "credit_card",
        "capture_method": "automatic", "card": card(), "card_token": None, "provider": None, "order_id": None,
        "customer_email": None, "description": None, "metadata": {},
    }  # fmt: skip
    return Order(**(fields | changes))


def body(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def id_of(payment: str | Answer) -> str:
    return payment if isinstance(payment, str) else str(body(payment)["id"])


@dataclass
class Steps:
    """`payment`: by its id or by an answer about it. `key`: the idempotency key."""

    till: Till

    def _until(self) -> tuple[Origin, float]:
        return ORIGIN, self.till.clock.monotonic() + BUDGET_S

    async def charge(self, key: str | None = None, scope: str = PROCESS, **changes: Any) -> Answer:
        return await charge(self.till, order(**changes), scope, key, *self._until())

    async def create(self, key: str | None = None, **changes: Any) -> Answer:
        return await create(self.till, order(**changes), key, *self._until())

    async def hold(self, **changes: Any) -> Answer:
        """A payment that was created and confirmed, its money held."""
        return await self.confirm(await self.create(capture_method="manual", **changes))

    async def confirm(
        self,
        payment: str | Answer,
        card: Card | None = None,
        token: str | None = None,
        key: str | None = None,
        merchant_id: str = DEMO_MERCHANT_ID,
    ) -> Answer:
        command = Confirmation(merchant_id, id_of(payment), card, token, key)
        return await confirm(self.till, command, *self._until())

    async def capture(
        self,
        payment: str | Answer,
        amount: str | None = None,
        key: str | None = None,
        merchant_id: str = DEMO_MERCHANT_ID,
    ) -> Answer:
        return await capture(self.till, Capture(merchant_id, id_of(payment), amount, key), *self._until())

    async def void(self, payment: str | Answer, key: str | None = None, merchant_id: str = DEMO_MERCHANT_ID) -> Answer:
        return await void(self.till, Void(merchant_id, id_of(payment), key), *self._until())

    async def fail(self, payment: str | Answer, key: str | None = None, merchant_id: str = DEMO_MERCHANT_ID) -> Answer:
        return await fail(self.till, Failure(merchant_id, id_of(payment), key), *self._until())

    async def refund(
        self,
        payment: str | Answer,
        amount: str | None = None,
        key: str | None = None,
        merchant_id: str = DEMO_MERCHANT_ID,
    ) -> Answer:
        command = RefundOrder(merchant_id, id_of(payment), amount, None, {}, key)
        return await refund(self.till, command, *self._until())
