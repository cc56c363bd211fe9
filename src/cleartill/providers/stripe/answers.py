"""What Stripe's answers mean: pure functions over its JSON objects; what is not clear is Unknown.

Only an intent that carries our attempt key in its metadata, with our amount and currency, settles anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from cleartill.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import Asked, Reversal
from cleartill.providers.stripe.amounts import Inexpressible, to_stripe
from cleartill.providers.stripe.declines import DECLINE_CODES, declined

AVS = {"pass": "Y", "fail": "N", "unavailable": "U", "unchecked": "U"}
CVC = {"pass": "M", "fail": "N", "unavailable": "U", "unchecked": "P"}
"""Stripe's checks → the card schemes' letters."""
_PROCESSING_ERROR = "processing_error"
_UNEXPECTED_STATE = "payment_intent_unexpected_state"

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe's own no: this request did nothing. `error` says why."""

    error: Said = field(repr=False)


Heard = Said | Refused | Unknown | NotSent


def refusal_of(status: int | None, body: object) -> Refused | Unknown | NotSent:
    """What an answer other than 2xx means.

    401, 403: Stripe looked at the key and at nothing else: not sent, and the operator's fault. 429: turned away before
    anything ran, be it for the rate or since another request holds the object. 409, or a key that was used with other
    parameters: something under our key runs or ran, and this answer does not say what: Unknown. The rest is Stripe's
    no.
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return Unknown("unreadable")
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return NotSent("credentials")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return NotSent("rate_limited")
        case HTTPStatus.CONFLICT:
            return Unknown("in_progress")
        case HTTPStatus.BAD_REQUEST | HTTPStatus.PAYMENT_REQUIRED | HTTPStatus.NOT_FOUND:
            return Unknown("in_progress") if error.get("type") == "idempotency_error" else Refused(error)
        case _:
            return Unknown("unreadable")


def prepared(heard: Heard) -> str | Outcome:
    """The new intent's id."""
    match heard:
        case Unknown() | NotSent():
            return heard
        case Refused(error):
            return _no(error, None)
        case _:
            return _id(heard) or Unknown("unreadable")


def authorized(heard: Heard, ask: Asked) -> Outcome:
    """What the answer to a confirmation means."""
    if isinstance(heard, Refused):
        there = _intent_in(heard)
        if there is None:
            return _no(heard.error, ask.provider_payment_id)
        heard = there  # confirmed before, or cancelled
    if isinstance(heard, Unknown | NotSent):
        return heard
    match finding_of(heard, ask):
        case Found(outcome):
            return outcome
        case Never():
            return Declined("not_charged", provider_id=ask.provider_payment_id)
        case NotYet():
            return Unknown("processing")
        case Disagrees():
            return Unknown("unreadable")


def finding_of(intent: Said, ask: Asked) -> Finding:
    """What an intent says about the attempt that made it."""
    if _key(intent) != ask.attempt_key or _id(intent) is None:
        return Disagrees("kind")
    if not _is_money_of(intent, intent.get("amount"), ask):
        return Disagrees("amount")
    error = intent.get("last_payment_error")
    match intent.get("status"):
        case "succeeded" | "requires_capture":
            return Found(approved(intent))
        case "requires_action" if (page := _redirect_of(intent)) is not None:
            return Found(ActionRequired(intent["id"], page))
        case "requires_payment_method" if isinstance(error, Mapping):
            return Found(declined(error, intent["id"]))
        case "canceled":
            return Never()
        case _:
            return NotYet()


def can_still_be_forbidden(intent: Said) -> bool:
    """Whether nothing was confirmed yet, or a payer must act: such an intent may be cancelled."""
    return intent.get("status") in ("requires_confirmation", "requires_payment_method", "requires_action")


def _redirect_of(intent: Said) -> str | None:
    """The page that the payer must go to."""
    page = at(intent, "next_action", "redirect_to_url", "url")
    return page if isinstance(page, str) and page.startswith(("https://", "http://")) else None


def captured(heard: Heard, ask: Reversal) -> Outcome:
    """An intent is captured once; that it stands captured with our amount is our capture, whoever hears of it late."""
    intent, refused = _state(heard)
    if intent is None:
        return refused
    if intent.get("status") == "succeeded" and _is_money_of(intent, intent.get("amount_received"), ask):
        return approved(intent)
    return refused


def voided(heard: Heard) -> Outcome:
    """A hold that stands released is released."""
    intent, refused = _state(heard)
    return Approved(intent["id"]) if intent is not None and intent.get("status") == "canceled" else refused


def refunded(heard: Heard, ask: Reversal) -> Outcome:
    """What a refund's state means. Pending: Stripe's own word for not yet."""
    match heard:
        case Unknown() | NotSent():
            return heard
        case Refused(error):
            return _no(error, None)
    if _key(heard) != ask.attempt_key or not _is_money_of(heard, heard.get("amount"), ask):
        return Unknown("unreadable")
    return outcome_of_refund(heard) or Unknown("processing")


def made_before(page: Said, ask: Reversal) -> Said | None:
    """The refund of our attempt among those of its payment."""
    return next((refund for refund in page.get("data") or () if _key(refund) == ask.attempt_key), None)


def outcome_of_refund(refund: Said) -> Approved | Declined | None:
    """None: not yet."""
    id = _id(refund)
    match refund.get("status"):
        case "succeeded" if id is not None:
            reference = at(refund, "destination_details", "card", "reference")
            return Approved(id, reference if isinstance(reference, str) else id)
        case "failed" | "canceled":
            return Declined(_PROCESSING_ERROR, provider_id=id)
        case _:
            return None


def approved(intent: Said) -> Approved:
    """A statement shows the charge."""
    charge = intent.get("latest_charge")
    checks = at(intent, "latest_charge", "payment_method_details", "card", "checks") or {}
    return Approved(
        intent["id"],
        charge if isinstance(charge, str) else at(intent, "latest_charge", "id"),
        avs_result=AVS.get(str(checks.get("address_postal_code_check"))),
        cvc_result=CVC.get(str(checks.get("cvc_check"))),
    )


def _state(heard: Heard) -> tuple[Said | None, Outcome]:
    """The intent that an answer to a capture or a void tells of, and what the answer means if that is not what was
    asked for."""
    match heard:
        case Unknown() | NotSent():
            return None, heard
        case Refused(error):
            intent = _intent_in(heard)
            known = intent is not None or error.get("code") != _UNEXPECTED_STATE
            return intent, _no(error, None) if known else Unknown("unreadable")
        case _ if _id(heard) is None:
            return None, Unknown("unreadable")
        case _:
            return heard, Unknown("unreadable")


def _intent_in(refused: Refused) -> Said | None:
    """The intent as it stands, where a request came that its state does not allow."""
    intent = refused.error.get("payment_intent")
    is_state = refused.error.get("code") == _UNEXPECTED_STATE
    return intent if is_state and isinstance(intent, Mapping) and _id(intent) else None


def _no(error: Said, provider_id: str | None) -> Declined:
    """Of errors that are not about a card only the amount's limits have words of their own."""
    if error.get("type") == "card_error":
        return declined(error, provider_id)
    code = error.get("code")
    return Declined(DECLINE_CODES.get(str(code), _PROCESSING_ERROR), provider_id=provider_id)


def _is_money_of(there: Said, amount: object, ask: Asked | Reversal) -> bool:
    try:
        asked = to_stripe(ask.amount_minor, ask.currency)
    except Inexpressible:
        return False
    return type(amount) is int and amount == asked and there.get("currency") == ask.currency.lower()


def _id(there: Said) -> str | None:
    id = there.get("id")
    return id if isinstance(id, str) and 0 < len(id) <= 255 else None


def _key(there: Said) -> object:
    return at(there, "metadata", "attempt_key")


def at(there: object, *path: str) -> Any:
    """What lies there, or None."""
    for name in path:
        there = there.get(name) if isinstance(there, Mapping) else None
    return there
