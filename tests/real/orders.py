"""Charges and refunds through the use cases, and what plain SQL says of them."""

import json
from typing import Any

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.idempotency import Answer
from cleartill.domain.order import Order
from cleartill.ports import Till
from cleartill.usecases.charge import PROCESS, charge
from cleartill.usecases.refund import RefundOrder, refund
from real.room import rows
from real.units import MERCHANT, later, origin


def order(**changes: Any) -> Order:
    card = Card(Pan("4242424242424242"), 12, 2040, Cvv("123"), Secret("Ada"))
    fields: dict[str, Any] = {
        "merchant_id": MERCHANT, "amount_minor": 10_000, "currency": "USD", "payment_method": "credit_card",
        "capture_method": "automatic",
        "card": card, "card_token": None, "provider": None, "order_id": 7, "customer_email": None, "description": None,
        "metadata": {},
    }  # fmt: skip
    return Order(**(fields | changes))


async def pay(till: Till, idempotency_key: str | None = "k", **changes: Any) -> Answer:
    return await charge(till, order(**changes), PROCESS, idempotency_key, origin(), later(8))


async def back(till: Till, payment_id: str, amount: str | None, key: str | None = None) -> Answer:
    command = RefundOrder(MERCHANT, payment_id, amount, None, {}, key)
    return await refund(till, command, origin(), later(8))


def id_of(answer: Answer) -> str:
    found: str = json.loads(answer.body)["id"]
    return found


def status_of(url: str) -> list[tuple[Any, ...]]:
    return rows(url, "SELECT t.status, a.status FROM transactions t JOIN attempts a ON a.transaction_id = t.id")


def make_due(url: str) -> None:
    rows(url, "UPDATE attempts SET resolve_at = now() WHERE status = 'open'")


def money(url: str) -> int:
    found: int = rows(url, "SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries WHERE account = 'merchant'")[0][0]
    return found
