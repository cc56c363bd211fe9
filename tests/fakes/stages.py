"""Payments brought into every state there is, through the HTTP API on fakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from cleartill.domain.outcome import ActionRequired, Approved, Declined, Unknown
from cleartill.domain.payment import HOLD_LASTS
from cleartill.domain.states import PaymentStatus
from cleartill.usecases.expire import expire
from fakes.providers import Scripted
from fakes.requests import CARD
from fakes.world import World

PAYMENTS = "/api/v1/payments"
ACS = ActionRequired("bnk_1", "https://bank.example/3ds")
S = PaymentStatus

OPERATIONS = ("confirm", "capture", "void", "fail", "refund")
ALLOWED: dict[tuple[PaymentStatus, str], PaymentStatus] = {
    (S.PENDING, "confirm"): S.CAPTURED,
    (S.PENDING, "fail"): S.FAILED,
    (S.AUTHORIZED, "capture"): S.CAPTURED,
    (S.AUTHORIZED, "void"): S.VOIDED,
    (S.CAPTURED, "refund"): S.REFUNDED,
    (S.PARTIALLY_REFUNDED, "refund"): S.REFUNDED,
}
"""What may be asked of a payment in a state, and where that leads when the provider says yes. Everything else: 409."""


def refusal(operation: str, status: PaymentStatus) -> tuple[str, str]:
    """The problem's code, and what its detail begins with."""
    code = "in_doubt" if status is S.IN_DOUBT else "invalid_state"
    return code, f"Cannot {operation} a payment that is {status}"


@dataclass
class Stage:
    client: httpx.AsyncClient
    world: World
    made: int = 0

    async def ask(self, payment_id: str, operation: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"{PAYMENTS}/{payment_id}/{operation}", json=body)

    async def make(self, **changes: Any) -> str:
        """A new payment with a card."""
        self.made += 1
        body = {"amount": "99.99", "currency": "USD", "card_data": CARD, **changes}
        answer = await self.client.post(PAYMENTS, json=body, headers={"Idempotency-Key": f"made-{self.made}"})
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def status(self, payment_id: str) -> str:
        return str((await self.client.get(f"{PAYMENTS}/{payment_id}")).json()["status"])

    async def hold(self) -> str:
        return await self.make(capture_method="manual", confirm=True)

    @asynccontextmanager
    async def payment(self, status: PaymentStatus) -> AsyncIterator[str]:
        """The id of a payment that is in this state until the block ends."""
        if status is S.PROCESSING:
            async with self.under_way() as payment_id:
                yield payment_id
            return
        payment_id = await self._brought_to(status)
        assert await self.status(payment_id) == status
        yield payment_id

    async def _brought_to(self, status: PaymentStatus) -> str:
        bank = self.world.bank
        match status:
            case S.PENDING:
                return await self.make()
            case S.AUTHORIZED:
                return await self.hold()
            case S.CAPTURED:
                return await self.make(confirm=True)
            case S.REQUIRES_ACTION:
                bank.answers(Scripted(ACS))
            case S.FAILED:
                bank.answers(Declined("do_not_honor", "05"))
            case S.IN_DOUBT:
                bank.answers(Scripted(Unknown("timeout"), Approved("bnk_9")))
            case _:
                return await self._ended(status)
        return await self.make(confirm=True)

    async def _ended(self, status: PaymentStatus) -> str:
        if status in (S.VOIDED, S.EXPIRED):
            payment_id = await self.hold()
            if status is S.VOIDED:
                await self.ask(payment_id, "void")
            else:
                self.world.clock.advance(HOLD_LASTS.total_seconds())
                await expire(self.world.till)
            return payment_id
        payment_id = await self.make(confirm=True)
        await self.ask(payment_id, "refund", **({"amount": "1.00"} if status is S.PARTIALLY_REFUNDED else {}))
        return payment_id

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[str]:
        """A payment whose provider has not answered yet."""
        bank, payment_id = self.world.bank, await self.make()
        bank.hold = asyncio.Event()
        bank.reached.clear()
        asking = asyncio.create_task(self.ask(payment_id, "confirm"))
        await bank.reached.wait()
        try:
            yield payment_id
        finally:
            bank.hold.set()
            await asking
            bank.hold = None
