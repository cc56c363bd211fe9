"""The whole life of a payment, asserted: what scripts/smoke creates, confirms, captures, voids and lists."""

from typing import Any
from uuid import uuid4

import httpx
from smoke_calls import Smoke

from cleartill.domain.merchant import DEMO_ADMIN_KEY

PAYMENTS = "/api/v1/payments"
CARD = {"expiry_month": 12, "expiry_year": 2034, "cvv": "123", "cardholder_name": "Ada Lovelace"}


def card(number: str = "4242424242424242") -> dict[str, Any]:
    return {"card_data": {"card_number": number, **CARD}}


def life(smoke: Smoke, mockserver: bool) -> None:
    holds(smoke)
    vouched(smoke)
    stored_cards(smoke)
    hard_declines(smoke)
    challenges(smoke, mockserver)
    lists(smoke)
    merchants(smoke)


def _created(smoke: Smoke, what: str, **changes: Any) -> str:
    """A pending payment with a manual capture, its address."""
    body = {"amount": "120.00", "currency": "USD", "capture_method": "manual", "provider": "bank"} | changes
    answer = smoke.post(what, PAYMENTS, body, idempotency_key=_key(), expect={"status": "pending"})
    return f"{PAYMENTS}/{answer.json()['id']}"


def _key() -> str:
    return uuid4().hex


def _authorized(smoke: Smoke) -> str:
    at = _created(smoke, "create 120.00, capture manual")
    smoke.post("confirm with the card", f"{at}/confirm", card(), 200, expect={"status": "authorized"})
    return at


def _forbidden(smoke: Smoke, at: str, steps: str, state: str) -> None:
    for step in steps.split():
        detail = f"Cannot {step} a payment that is {state}"
        smoke.post(f"{step} it", f"{at}/{step}", {}, 409, expect={"code": "invalid_state", "detail": detail})


def holds(smoke: Smoke) -> None:
    smoke.section("Create, confirm, capture, void")
    smoke.post("no idempotency key", PAYMENTS, {"amount": 1, "currency": "USD"}, 400, idempotency_key=None)
    at = _authorized(smoke)
    _forbidden(smoke, at, "confirm fail refund", "authorized")
    smoke.post("capture too much", f"{at}/capture", {"amount": "120.01"}, 409, expect={"code": "amount_too_large"})
    key, part = _key(), {"amount": "90.00"}
    taken = {"status": "captured", "amount_captured_minor": 9000, "amount_minor": 12000}
    first = smoke.post("capture 90.00", f"{at}/capture", part, 200, idempotency_key=key, expect=taken)

    def same(answer: httpx.Response) -> bool:
        return answer.content == first.content and answer.headers.get("Idempotent-Replayed") == "true"

    smoke.post("the same again: byte for byte", f"{at}/capture", part, 200, idempotency_key=key, check=same)
    smoke.post("refund more than was captured", f"{at}/refund", {"amount": "90.01"}, 409)
    smoke.post("refund what was captured", f"{at}/refund", {}, expect={"amount_minor": 9000})
    _forbidden(smoke, at, "confirm capture void fail refund", "refunded")
    at = _authorized(smoke)
    smoke.post("void it", f"{at}/void", None, 200, expect={"status": "voided", "amount_captured_minor": 0})
    _forbidden(smoke, at, "confirm capture void fail refund", "voided")
    at = _created(smoke, "create and give up")
    smoke.post("no card where one is needed", f"{at}/confirm", {}, 422, expect={"code": "invalid_card"})
    smoke.post("fail it", f"{at}/fail", {}, 200, expect={"status": "failed", "decline": None})
    _forbidden(smoke, at, "confirm capture void fail refund", "failed")


def vouched(smoke: Smoke) -> None:
    smoke.section("Providers")
    cash = {"amount": "25.00", "currency": "EUR", "order_id": 17}
    expect = {"status": "pending", "provider": "internal", "order_id": 17}
    made = smoke.post("no card, no provider: internal", PAYMENTS, cash, idempotency_key=_key(), expect=expect).json()
    at = f"{PAYMENTS}/{made['id']}"
    smoke.post("confirm: you vouch for it", f"{at}/confirm", {}, 200, expect={"status": "captured"})
    smoke.post("refund it", f"{at}/refund", {"amount": 5}, expect={"status": "succeeded", "provider": "internal"})
    mock = {"amount": 5, "currency": "EUR", "provider": "mock", "confirm": True}
    smoke.post("mock, at once", PAYMENTS, mock, idempotency_key=_key(), expect={"status": "captured"})
    declined = mock | card("4000000000009995")
    outcome = {"status": "failed", "decline.code": "insufficient_funds"}
    smoke.post("mock declines by the same cards", PAYMENTS, declined, idempotency_key=_key(), expect=outcome)
    unknown = mock | {"provider": "nobody"}
    smoke.post("a provider that is not there", PAYMENTS, unknown, 422, idempotency_key=_key())
    by_id = {"transaction_id": made["id"], "amount": "1.00"}
    smoke.post("refund by transaction_id", "/api/v1/refunds", by_id, expect={"amount_minor": 100})


def stored_cards(smoke: Smoke) -> None:
    smoke.section("Stored cards")
    order = {"amount": "10.00", "currency": "USD", "payment_method": "credit_card"}
    first = smoke.post("charge a card", f"{PAYMENTS}/process", order | card()).json()["card"]
    same = {"card.fingerprint": first["fingerprint"], "card.card_token": first["card_token"]}
    again = order | {"card_token": first["card_token"]}
    smoke.post("again, by its token", f"{PAYMENTS}/process", again, expect=same)
    at = f"/api/v1/cards/{first['card_token']}"
    smoke.get("what is kept of it", at, expect={"last4": "4242"})
    smoke.call("erase it", "DELETE", at, status=200, expect={"deleted": True})
    smoke.call("it is gone", "DELETE", at, status=404)
    smoke.post("and cannot be charged", f"{PAYMENTS}/process", again, 404)


def hard_declines(smoke: Smoke) -> None:
    smoke.section("Declines that are for ever")
    order = {"amount": "10.00", "currency": "USD", "payment_method": "credit_card"} | card("4000000000009979")
    stolen = {"status": "failed", "decline.code": "stolen_card", "decline.category": "hard"}
    smoke.post("a stolen card", f"{PAYMENTS}/process", order, expect=stolen)
    again = smoke.post("again: the bank is not asked", f"{PAYMENTS}/process", order, expect=stolen).json()["id"]

    def nobody_asked(answer: httpx.Response) -> bool:
        return "provider.call" not in {step["name"] for step in answer.json()["steps"]}

    smoke.get("its timeline says so", f"{PAYMENTS}/{again}/timeline", check=nobody_asked)


def challenges(smoke: Smoke, mockserver: bool) -> None:
    smoke.section("3-D Secure")
    order = {"amount": "60.00", "currency": "USD", "payment_method": "credit_card"} | card("4000000000003220")
    for outcome, status in (("approve", "captured"), ("refuse", "failed")):
        asked = {"status": "requires_action", "action.type": "redirect"}
        made = smoke.post("the payer must act", f"{PAYMENTS}/process", order, 202, expect=asked).json()
        at = f"{PAYMENTS}/{made['id']}"
        smoke.post("it cannot be captured by hand", f"{at}/capture", {}, 409)
        if mockserver:
            continue
        with httpx.Client(trust_env=False) as payer:
            payer.post(made["action"]["url"], data={"outcome": outcome})
        smoke.wait_for(at, lambda answer: answer.json()["status"] != "requires_action", 20.0)
        smoke.get(f"the payer chose to {outcome}", at, expect={"status": status, "action": None})


def lists(smoke: Smoke) -> None:
    smoke.section("Lists")
    page = smoke.get("two payments", f"{PAYMENTS}?limit=2", check=lambda answer: len(answer.json()["data"]) == 2).json()

    def others(answer: httpx.Response) -> bool:
        return not {one["id"] for one in page["data"]} & {one["id"] for one in answer.json()["data"]}

    smoke.get("the next two", f"{PAYMENTS}?limit=2&cursor={page['next_cursor']}", check=others)

    def all_voided(answer: httpx.Response) -> bool:
        return {one["status"] for one in answer.json()["data"]} == {"voided"}

    smoke.get("voided ones", f"{PAYMENTS}?status=voided", check=all_voided)
    smoke.get("of one card", f"{PAYMENTS}?last4=9979&limit=1", check=lambda answer: answer.json()["data"])
    smoke.get("refunds", "/api/v1/refunds?limit=1", check=lambda answer: answer.json()["data"])
    smoke.get("a filter that is none", f"{PAYMENTS}?colour=red", 422)
    smoke.get("a page of 101", f"{PAYMENTS}?limit=101", 422)


def merchants(smoke: Smoke) -> None:
    smoke.section("Merchants and keys")
    about = {"name": "Smoke & Sons", "email": f"{_key()}@merchant.example"}
    smoke.post("only an administrator takes on merchants", "/api/v1/merchants", about, 403)
    made = smoke.post("take one on", "/api/v1/merchants", about, key=DEMO_ADMIN_KEY).json()
    at, key = f"/api/v1/merchants/{made['id']}", made["api_key"]
    smoke.get("its own keys, masked", f"{at}/keys", key=key, check=lambda answer: key not in answer.text)
    smoke.get("another merchant's are not there", f"{at}/keys", 404)
    second = smoke.post("a second key", f"{at}/keys", {"name": "till", "scopes": ["payments:read"]}, key=key).json()
    smoke.get("it reads", f"{PAYMENTS}?limit=1", key=second["api_key"])
    smoke.call("revoke it", "DELETE", f"{at}/keys/{second['id']}", status=200, key=key)
    smoke.get("at once it does not", f"{PAYMENTS}?limit=1", 401, key=second["api_key"])
