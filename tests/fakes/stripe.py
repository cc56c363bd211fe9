"""Stripe's API as far as we use it, in the JSON shapes that its documentation shows; it speaks HTTP on loopback.

It keeps intents and refunds, saves every answer under its idempotency key (failures, too), refuses a key used at the
same time or with other parameters, refuses parameters that it does not know, and plays the test cards.
"""

import asyncio
import itertools
import json
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from cleartill.simulator.cards import SLOW_S, Fault, TestCard, card_behaviour

KEY = "sk_test_cleartill"
AVS = {"Y": "pass", "N": "fail"}
CVC = {"M": "pass", "N": "fail"}
DECLINES = {
    "card_declined": ("card_declined", "generic_decline"),
    "insufficient_funds": ("card_declined", "insufficient_funds"),
    "lost": ("card_declined", "lost_card"),
    "stolen": ("card_declined", "stolen_card"),
    "expired": ("expired_card", "expired_card"),
    "incorrect_cvc": ("incorrect_cvc", "incorrect_cvc"),
    "processing_error": ("processing_error", "processing_error"),
    "limit": ("card_declined", "card_velocity_exceeded"),
}
"""A test card's name → `code` and `decline_code`, as Stripe's own test cards of the same numbers answer."""
CREATE = {"amount", "currency", "capture_method", "allowed_payment_method_types", "metadata", "expand"}
CONFIRM = {"payment_method_data", "return_url", "expand"}
CAPTURE = {"amount_to_capture", "expand"}
REFUND = {"payment_intent", "amount", "metadata"}

Form = dict[str, Any]
Answer = tuple[int, Form]


class StripeError(Exception):
    def __init__(self, status: int, type: str, code: str | None = None, **more: Any) -> None:
        self.answer: Answer = (status, {"error": {"type": type, "code": code, "message": "No.", **more}})


class FakeStripe:
    """`asked` counts requests by method and path; `fail_next`: answers instead of the next."""

    def __init__(self) -> None:
        self.intents: dict[str, Form] = {}
        self.refunds: list[Form] = []
        self.asked: Counter[str] = Counter()
        self.fail_next: list[StripeError] = []
        self.refund_status = "succeeded"
        self._saved: dict[str, tuple[str, Form, Answer | None]] = {}
        self._number = itertools.count(1)

    def forget_keys(self) -> None:
        """As after a day."""
        self._saved.clear()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/v1/{tail:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        form = unflatten(parse_qsl(request.query_string if request.method == "GET" else await request.text()))
        try:
            if request.headers.get("Authorization") != f"Bearer {KEY}":
                raise StripeError(401, "invalid_request_error")
            if self.fail_next:
                raise self.fail_next.pop(0)
            status, body = await self._once(request, form)
        except StripeError as error:
            status, body = error.answer
        fault = body.pop("_fault", None)
        if fault is Fault.RESET:
            assert request.transport is not None
            request.transport.abort()
        if fault in (Fault.TIMEOUT_AFTER, Fault.TIMEOUT_BEFORE):
            await asyncio.sleep(60)
        if fault is Fault.SLOW:
            await asyncio.sleep(SLOW_S)
        text = "<html>" if fault is Fault.MALFORMED else json.dumps(body, indent=2)
        return web.Response(status=status, text=text, content_type="application/json")

    async def _once(self, request: web.Request, form: Form) -> Answer:
        key = request.headers.get("Idempotency-Key", "")
        saved = self._saved.get(key)
        if saved is not None and key:
            if saved[:2] != (request.path, form):
                raise StripeError(400, "idempotency_error")
            if saved[2] is None:
                raise StripeError(409, "idempotency_error", "idempotency_key_in_use")
            return saved[2][0], {name: value for name, value in saved[2][1].items() if name != "_fault"}
        self._saved[key] = (request.path, form, None)
        await asyncio.sleep(0.01)
        try:
            self.asked[f"{request.method} {request.path}"] += 1
            answer = self._route(request.method, request.path.removeprefix("/v1/").split("/"), form)
        except StripeError as error:
            answer = error.answer
        self._saved[key] = (request.path, form, answer)
        if answer[1].get("_fault") is Fault.TIMEOUT_BEFORE:
            del self._saved[key]
        return answer

    def _route(self, method: str, path: list[str], form: Form) -> Answer:
        match method, *path:
            case "POST", "payment_intents":
                return 200, self._create(form)
            case "GET", "payment_intents":
                return 200, {"object": "list", "data": list(self.intents.values())[: int(form["limit"])]}
            case "GET", "payment_intents", id:
                return 200, dict(self._intent(id))
            case "POST", "payment_intents", id, "confirm":
                return self._confirm(self._intent(id), form)
            case "POST", "payment_intents", id, "capture":
                return 200, self._capture(self._intent(id), form)
            case "POST", "payment_intents", id, "cancel":
                return 200, self._cancel(self._intent(id), form)
            case "POST", "refunds":
                return 200, self._refund(form)
            case "GET", "refunds":
                self._intent(form["payment_intent"])
                made = [refund for refund in self.refunds if refund["payment_intent"] == form["payment_intent"]]
                return 200, {"object": "list", "data": made[::-1][: int(form["limit"])]}
        raise StripeError(404, "invalid_request_error")

    def _intent(self, id: str) -> Form:
        if id not in self.intents:
            raise StripeError(404, "invalid_request_error", "resource_missing")
        return self.intents[id]

    def _create(self, form: Form) -> Form:
        only(form, CREATE)
        amount = int(form["amount"])
        if amount < 50 or amount > 99_999_999:
            raise StripeError(400, "invalid_request_error", "amount_too_small" if amount < 50 else "amount_too_large")
        id = f"pi_{next(self._number)}"
        self.intents[id] = {
            "id": id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "canceled_at": None,
            "capture_method": form["capture_method"],
            "client_secret": f"{id}_secret_x",
            "currency": form["currency"],
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": form["metadata"],
            "next_action": None,
            "payment_method_types": ["card"],
            "status": "requires_payment_method",
        }
        return dict(self.intents[id])

    def _confirm(self, intent: Form, form: Form) -> Answer:
        only(form, CONFIRM)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise unexpected(intent)
        card = card_behaviour(form["payment_method_data"]["card"]["number"])
        if card.fault is Fault.ERROR_500:
            raise StripeError(500, "api_error")
        if card.fault is Fault.TIMEOUT_BEFORE:
            return 200, {"_fault": card.fault}
        if card.challenged:
            url = f"https://hooks.stripe.com/redirect/authenticate/{intent['id']}"
            action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": form["return_url"]}}
            intent.update(status="requires_action", next_action=action)
        elif card.decline is not None:
            code, decline_code = DECLINES[card.name]
            error = {"code": code, "decline_code": decline_code, "network_decline_code": card.response_code}
            error |= {"type": "card_error", "charge": "ch_x", "message": "Your card was declined."}
            intent.update(last_payment_error=error, latest_charge="ch_x")
            raise StripeError(402, payment_intent=dict(intent), **error)
        else:
            self.pay(intent, card)
        return 200, dict(intent) | {"_fault": card.fault}

    def pay(self, intent: Form, card: TestCard | None = None) -> None:
        """The money is held or taken."""
        manual = intent["capture_method"] == "manual"
        intent["status"] = "requires_capture" if manual else "succeeded"
        intent["next_action"] = None
        intent["amount_capturable" if manual else "amount_received"] = intent["amount"]
        checks = {"address_line1_check": None, "cvc_check": CVC.get(card.cvc) if card else None}
        checks["address_postal_code_check"] = AVS.get(card.avs) if card else None
        charge = {"id": f"ch_{next(self._number)}", "object": "charge"}
        intent["latest_charge"] = charge | {"payment_method_details": {"type": "card", "card": {"checks": checks}}}

    def _capture(self, intent: Form, form: Form) -> Form:
        only(form, CAPTURE)
        amount = int(form["amount_to_capture"])
        if intent["status"] != "requires_capture":
            raise unexpected(intent)
        if amount > intent["amount_capturable"]:
            raise StripeError(400, "invalid_request_error", "amount_too_large")
        intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
        return dict(intent)

    def _cancel(self, intent: Form, form: Form) -> Form:
        only(form, set())
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise unexpected(intent)
        intent.update(status="canceled", amount_capturable=0, next_action=None)
        return dict(intent)

    def _refund(self, form: Form) -> Form:
        only(form, REFUND)
        intent, amount = self._intent(form["payment_intent"]), int(form["amount"])
        refunded = sum(refund["amount"] for refund in self.refunds if refund["payment_intent"] == intent["id"])
        if amount > intent["amount_received"] - refunded:
            raise StripeError(400, "invalid_request_error", "charge_already_refunded" if refunded else None)
        refund: Form = {
            "id": f"re_{next(self._number)}",
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "metadata": form["metadata"],
            "payment_intent": intent["id"],
            "status": self.refund_status,
        }
        self.refunds.append(refund)
        return dict(refund)


def unexpected(intent: Form) -> StripeError:
    return StripeError(
        400, "invalid_request_error", "payment_intent_unexpected_state", payment_intent=json.loads(json.dumps(intent))
    )


def only(form: Form, known: set[str]) -> None:
    if "payment_method_types" in form:
        raise StripeError(400, "invalid_request_error", "payment_method_types_no_longer_supported")
    if form.keys() - known:
        raise StripeError(400, "invalid_request_error", "parameter_unknown")


def unflatten(pairs: list[tuple[str, str]]) -> Form:
    """`a[b][c]=1` → {"a": {"b": {"c": "1"}}}; lists come as numbered keys and stay dicts."""
    form: Form = {}
    for name, value in pairs:
        *outer, last = name.replace("]", "").split("[")
        at = form
        for part in outer:
            at = at.setdefault(part, {})
        at[last] = value
    return form
