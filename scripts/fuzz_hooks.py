"""What Schemathesis runs with for `make fuzz`: ids that exist, callbacks that are signed, and a line for every call.

Loaded by Schemathesis, in its own environment (SCHEMATHESIS_HOOKS); nothing of cleartill is there. It draws ids and
bodies from what the description says; so most would be about nothing. Here half of the cases that are meant to be valid
get ids of objects made a moment ago, so that what is behind the 404 is asked too. Every call is written to FUZZ_CALLS,
with the request id that the books keep beside what a request made of them.
"""

import hashlib
import hmac
import json
import os
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import requests
import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.generation.meta import TestPhase

API, KEY, SECRET = os.environ["FUZZ_API"], os.environ["FUZZ_KEY"], os.environ["FUZZ_SECRET"].encode()
SEED, RUN = os.environ["FUZZ_SEED"], os.environ["FUZZ_RUN"]
MERCHANT, EMAIL = os.environ["FUZZ_MERCHANT"], os.environ["FUZZ_EMAIL"]
DEAD = os.environ["FUZZ_DEAD"].split()
"""Dead letters, each for one retry."""
NOWHERE = "http://127.0.0.1:8443/hook"
MOST_ENDPOINTS = 8
EXAMPLE_KEY, FRESH = "order-4711-try-1", 0.8
"""The description's own key is sent with every body: most would be refused for that, and a few shall be."""
CARD = {
    "card_number": "4242424242424242",
    "expiry_month": 12,
    "expiry_year": 2034,
    "cvv": "123",
    "cardholder_name": "Ada Lovelace",
}
KEYS_OF_A_MERCHANT = "/api/v1/merchants/{id}/keys/{key_id}"

chance = random.Random(SEED)
calls = open(os.environ["FUZZ_CALLS"], "a", buffering=1)  # noqa: SIM115  (open as long as the process)
number = 0
endpoints: list[str] = []

Json = dict[str, Any]


def noted(operation: str, request_id: str, status: int, replayed: bool) -> None:
    line = {"operation": operation, "request_id": request_id, "status": status, "replayed": replayed}
    calls.write(json.dumps(line) + "\n")


def next_id() -> str:
    global number
    number += 1
    return f"{RUN}-{number}"


# ── what exists ───────────────────────────────────────────────────────────────────────────────────────────────────────


def do(method: str, path: str, body: Json | None = None, at: str | None = None) -> Json:
    """One call of our own, noted like all; `at`: the path as the description has it."""
    request_id = next_id()
    headers = {"Authorization": f"Bearer {KEY}", "X-Request-ID": request_id}
    if method == "POST":
        headers["Idempotency-Key"] = request_id
    answer = requests.request(method, API + path, json=body, headers=headers, timeout=20)
    noted(f"{method} {at or path}", request_id, answer.status_code, False)
    found: Json = answer.json()
    return found


def created(**changes: Any) -> str:
    body = {"amount": "50.00", "currency": "USD", "provider": "bank", **changes}
    return str(do("POST", "/api/v1/payments", body)["id"])


def held(**changes: Any) -> str:
    return created(capture_method="manual", confirm=True, card_data=CARD, **changes)


def captured() -> Json:
    body = {"amount": "50.00", "currency": "USD", "payment_method": "credit_card", "card_data": CARD}
    return do("POST", "/api/v1/payments/process", body)


def refunded() -> str:
    body = {"amount": "1.00"}
    return str(do("POST", f"/api/v1/payments/{captured()['id']}/refund", body, "/api/v1/payments/{id}/refund")["id"])


def moved(kind: str) -> str:
    if kind == "withdrawals":
        captured()
    return str(do("POST", f"/api/v1/{kind}", {"amount": "1.00", "currency": "USD"})["id"])


def another_key() -> str:
    body = {"name": "for a moment", "scopes": ["payments:read"]}
    return str(do("POST", f"/api/v1/merchants/{MERCHANT}/keys", body, "/api/v1/merchants/{id}/keys")["id"])


def endpoint() -> str:
    make_room()
    endpoints.append(str(do("POST", "/api/v1/webhook-endpoints", {"url": NOWHERE})["id"]))
    return endpoints[-1]


def make_room() -> None:
    while len(endpoints) >= MOST_ENDPOINTS:
        do("DELETE", f"/api/v1/webhook-endpoints/{endpoints.pop(0)}", at="/api/v1/webhook-endpoints/{id}")


def delivery() -> str:
    at = "/api/v1/webhook-endpoints/{id}/test"
    return str(do("POST", at.replace("{id}", endpoint()), at=at)["id"])


@cache
def kept(kind: str) -> Json:
    """Made once, for those who only read it, or leave it as it is."""
    paid = captured()
    match kind:
        case "payments":
            return {"id": paid["id"]}
        case "cards":
            return {"token": paid["card"]["card_token"]}
        case "refunds":
            return {"id": refunded()}
        case "endpoints":
            return {"id": do("POST", "/api/v1/webhook-endpoints", {"url": NOWHERE})["id"]}
        case "deliveries":
            return {"id": delivery()}
    return {"id": moved(kind)}


# ── what a valid case is about ────────────────────────────────────────────────────────────────────────────────────────

IDS: dict[str, Callable[[], Json]] = {
    "POST /api/v1/payments/{id}/confirm": lambda: {"id": created(card_data=CARD)},
    "POST /api/v1/payments/{id}/fail": lambda: {"id": created()},
    "POST /api/v1/payments/{id}/capture": lambda: {"id": held()},
    "POST /api/v1/payments/{id}/void": lambda: {"id": held()},
    "POST /api/v1/payments/{id}/refund": lambda: {"id": captured()["id"]},
    "DELETE /api/v1/cards/{token}": lambda: {"token": captured()["card"]["card_token"]},
    "DELETE /api/v1/webhook-endpoints/{id}": lambda: {"id": endpoint()},
    "POST /api/v1/transfers/{id}/retry": lambda: {"id": DEAD.pop()} if DEAD else {},
    "/api/v1/payments/": lambda: kept("payments"),
    "/api/v1/refunds/": lambda: kept("refunds"),
    "/api/v1/cards/": lambda: kept("cards"),
    "/api/v1/deposits/": lambda: kept("deposits"),
    "/api/v1/withdrawals/": lambda: kept("withdrawals"),
    "/api/v1/transfers/": lambda: kept("deposits"),
    f"DELETE {KEYS_OF_A_MERCHANT}": lambda: {"id": MERCHANT, "key_id": another_key()},
    "/api/v1/merchants/": lambda: {"id": MERCHANT},
    "/api/v1/users/": lambda: {"id": MERCHANT},
    "/api/v1/webhook-endpoints/": lambda: kept("endpoints"),
    "/api/v1/webhook-deliveries/": lambda: kept("deliveries"),
}
"""By operation, or by the beginning of its path; the first that fits. Those that change what they are about get one of
their own."""


def ids_for(operation: str, path: str) -> Json:
    return next((make() for name, make in IDS.items() if name == operation or path.startswith(name)), {})


def signed_by_the_bank(said: Json) -> Json:
    body = {**said, "transaction_id": f"{captured()['id']}.authorize.1", "status": "success", "bank_reference": "bnk_x"}
    body.pop("signature", None)
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {**body, "signature": hmac.new(SECRET, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()}


def of_stripe(_: Json) -> Json:
    return {"id": "evt_fuzz", "type": "charge.updated", "data": {"object": {"id": "ch_fuzz"}}}


def of_the_mock(said: Json) -> Json:
    id = created(provider="mock", confirm=True, card_data=CARD)
    return {**said, "transaction_id": f"{id}.authorize.1", "status": "success", "bank_reference": "mock_x"}


BODIES: dict[str, Callable[[Json], Json]] = {
    "POST /api/v1/merchants": lambda body: {"name": body.get("name"), "email": f"{next_id()}@merchant.example"},
    "POST /api/v1/webhook-endpoints": lambda body: {**body, "url": NOWHERE},
    "POST /api/v1/payments/process": lambda body: body if "card_data" in body else {**body, **a_stored_card()},
    "POST /api/v1/refunds": lambda body: {
        "transaction_id": captured()["id"],
        **{k: body[k] for k in body if k in SAID},
    },
    "POST /api/v1/withdrawals": lambda body: {**body, "amount": "1.00", "currency": "USD"},
    "POST /webhooks/bank-callback": signed_by_the_bank,
    "POST /webhooks/stripe": of_stripe,
    "POST /webhooks/mock": of_the_mock,
}
SAID = ("reason", "metadata")


def a_stored_card() -> Json:
    return {"card_token": kept("cards")["token"]}


def make_real(case: Case, operation: str) -> None:
    """Its ids those of things that exist, its body one that can succeed."""
    for name, value in ids_for(operation, case.path).items():
        case.path_parameters[name] = value
    case.query.pop("cursor", None)
    if operation == "POST /api/v1/webhook-endpoints":
        make_room()
    if operation in BODIES and isinstance(case.body, dict):
        case.body = BODIES[operation](case.body)


OF_A_SESSION = {"GET /api/v1/auth/session", "POST /api/v1/auth/logout"}


def as_a_browser(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The request under a session's cookie, instead of the key that Schemathesis sends with everything."""
    request_id, body = next_id(), {"email": EMAIL, "api_key": KEY}
    answer = requests.post(f"{API}/api/v1/auth/login", json=body, headers={"X-Request-ID": request_id}, timeout=20)
    noted("POST /api/v1/auth/login", request_id, answer.status_code, False)
    request.headers.pop("Authorization", None)
    request.headers["Cookie"] = f"cleartill_session={answer.cookies['cleartill_session']}"
    request.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return request


# ── the hooks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    operation = f"{case.method} {case.path}"
    request_id = case.headers["X-Request-ID"] = next_id()
    if case.headers.get("Idempotency-Key") == EXAMPLE_KEY and chance.random() < FRESH:
        case.headers["Idempotency-Key"] = request_id
    meta = case.meta
    if meta is not None and meta.generation.mode is GenerationMode.POSITIVE:
        share = {TestPhase.EXAMPLES: 1.0, TestPhase.STATEFUL: 0.0}.get(meta.phase.name, 0.5)
        if chance.random() < share:
            make_real(case, operation)
    if case.path == KEYS_OF_A_MERCHANT and case.method == "DELETE":
        case.path_parameters["key_id"] = another_key()  # never the one it asks with
    if operation in OF_A_SESSION:
        kwargs["auth"] = as_a_browser
    if operation == "POST /webhooks/stripe" and isinstance(case.body, dict) and case.body.get("id") == "evt_fuzz":
        sent = json.dumps(case.body).encode()
        case.headers["Stripe-Signature"] = stripe_signature(sent)


def stripe_signature(payload: bytes) -> str:
    at = int(time.time())
    return f"t={at},v1={hmac.new(SECRET, b'%d.%b' % (at, payload), hashlib.sha256).hexdigest()}"


@schemathesis.hook
def after_call(_context: schemathesis.HookContext, case: Case, response: Any) -> None:
    replayed = "idempotent-replayed" in response.headers
    request_id = response.headers.get("x-request-id", [""])[0]
    noted(f"{case.method} {case.path}", request_id, response.status_code, replayed)
    if f"{case.method} {case.path}" == "POST /api/v1/webhook-endpoints" and response.status_code == 201:
        endpoints.append(response.json()["id"])
