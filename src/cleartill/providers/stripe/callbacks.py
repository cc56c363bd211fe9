"""What Stripe tells us by itself: verified by its own package, then read by a pure function.

Every intent and every refund of ours carries our attempt key in its metadata; what does not is none of our business.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import stripe

from cleartill.domain.errors import BadSignature, InvalidCallback
from cleartill.domain.money import EXPONENTS
from cleartill.domain.outcome import Approved, Declined
from cleartill.ports import Callback, Verifier
from cleartill.providers.stripe.amounts import Inexpressible, from_stripe
from cleartill.providers.stripe.answers import approved, at, outcome_of_refund
from cleartill.providers.stripe.declines import declined

TOLERANCE_S = 300
_REFUND_EVENTS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")


def verifier(secret: str) -> Verifier:
    """Checks with the endpoint's secret (`whsec_…`)."""

    def verify(payload: bytes, header: str) -> Callback:
        return verify_webhook(payload, header, secret)

    return verify


def verify_webhook(payload: bytes, header: str, secret: str) -> Callback:
    """What a request to `POST /webhooks/stripe` says; `header` is its `Stripe-Signature`.

    Raises BadSignature if it is not Stripe's or older than five minutes, InvalidCallback if it is no event.
    """
    try:
        stripe.WebhookSignature.verify_header(payload, header, secret, TOLERANCE_S)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise BadSignature from None
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise InvalidCallback from None
    return callback_of(event)


def callback_of(event: object) -> Callback:
    """What an event means. `outcome` is None for what is told elsewhere, is not final or is not ours."""
    there = at(event, "data", "object")
    id, kind = at(event, "id"), at(event, "type")
    if not isinstance(there, Mapping) or not isinstance(id, str) or not isinstance(kind, str):
        raise InvalidCallback
    payment_id, attempt_key = at(there, "metadata", "payment_id"), at(there, "metadata", "attempt_key")
    ours = isinstance(attempt_key, str) and isinstance(there.get("id"), str)
    amount_minor, currency = _money(there)
    return Callback(
        event_id=id,
        payment_id=payment_id if isinstance(payment_id, str) else "",
        attempt_key=attempt_key if ours else "",
        outcome=_outcome(kind, there) if ours else None,
        occurred_at=_time(at(event, "created")),
        amount_minor=amount_minor,
        currency=currency,
    )


def _outcome(kind: str, there: Mapping[str, Any]) -> Approved | Declined | None:
    """A charge that was refunded bears the metadata of its authorization, and says nothing about that: its refund's
    own event does. An intent that was cancelled after its card was charged is a hold released: who released it knows.
    """
    match kind:
        case "payment_intent.succeeded" | "payment_intent.amount_capturable_updated":
            return approved(there)
        case "payment_intent.payment_failed":
            return declined(there.get("last_payment_error") or {}, there["id"])
        case "payment_intent.canceled" if there.get("latest_charge") is None:
            return Declined("not_charged", provider_id=there["id"])
        case _ if kind in _REFUND_EVENTS:
            return outcome_of_refund(there)
        case _:
            return None


def _money(there: Mapping[str, Any]) -> tuple[int | None, str | None]:
    amount, currency = there.get("amount"), there.get("currency")
    if type(amount) is not int or not isinstance(currency, str) or currency.upper() not in EXPONENTS:
        return None, None
    try:
        return from_stripe(amount, currency.upper()), currency.upper()
    except Inexpressible:
        return None, None


def _time(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if type(seconds) is int and 0 < seconds < 1 << 36 else None
