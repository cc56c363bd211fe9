"""A valid charge as a checkout backend would post it, to be changed by tests; what every refusal of one must be."""

import json
from typing import Any

import httpx

from fakes.world import World

PROCESS = "/api/v1/payments/process"
PAN = "4111111111111111"

CARD: dict[str, Any] = {
    "card_number": "4242424242424242",
    "expiry_month": 12,
    "expiry_year": 2030,
    "cvv": "123",
    "cardholder_name": "Ada Lovelace",
}
CHARGE: dict[str, Any] = {"amount": 99.99, "currency": "USD", "payment_method": "credit_card", "card_data": CARD}


def charge(*, without: str | None = None, **changes: Any) -> dict[str, Any]:
    """The charge with fields changed or one left out."""
    made = {**CHARGE, **changes}
    if without:
        del made[without]
    return made


def card(*, without: str | None = None, **changes: Any) -> dict[str, Any]:
    """The charge with fields of its card changed or one left out."""
    made = {**CARD, **changes}
    if without:
        del made[without]
    return charge(card_data=made)


def raw(field: str, literal: str) -> bytes:
    """The charge as bytes, one top-level field written literally."""
    rest = {name: value for name, value in CHARGE.items() if name != field}
    return (json.dumps(rest)[:-1] + f', "{field}": {literal}}}').encode()


def raw_card(field: str, literal: str) -> bytes:
    """The charge as bytes, one field of the card written literally."""
    rest = json.dumps({name: value for name, value in CARD.items() if name != field})[:-1]
    return raw("card_data", f'{rest}, "{field}": {literal}}}')


def problem_of(answer: httpx.Response, world: World) -> dict[str, Any]:
    """The problem, once it is sure that nothing was written or asked, and that no value came back."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.memory.rows == 0
    assert world.bank.asked == []
    for secret in (PAN, "4242424242424242", "4242-4242", "Lovelace"):
        assert secret not in answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code
    return found
