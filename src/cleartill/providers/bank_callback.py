"""What the bank tells us by itself: `POST /webhooks/bank-callback`, its signature inside the body."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from cleartill.domain import signature
from cleartill.domain.errors import BadSignature, InvalidCallback
from cleartill.domain.outcome import Approved, Declined
from cleartill.ports.providers import Callback, Verifier

STALE_AFTER = timedelta(minutes=5)
"""A callback that was signed longer ago is not believed: somebody may have kept it."""
_TEXT_MAX = 255


def bank_verifier(secret: bytes, now: Callable[[], datetime]) -> Verifier:
    """From the bytes of a callback to what it says. The bank sends no signature header.

    The verifier raises BadSignature (wrong, missing, stale) and InvalidCallback (no JSON object, or signed nonsense).
    """

    def verify(body: bytes, _: str) -> Callback:
        document = _document(body)
        if not signature.verify(document, secret):
            raise BadSignature
        callback = parse_callback(document)
        if callback.occurred_at is not None and callback.occurred_at < now() - STALE_AFTER:
            raise BadSignature
        return callback

    return verify


def unsigned(body: bytes, _: str) -> Callback:
    """The same without a signature, for whom it is asked in another way who speaks. Raises InvalidCallback."""
    return parse_callback(_document(body))


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidCallback from None
    if not isinstance(document, dict):
        raise InvalidCallback
    return document


def parse_callback(body: dict[str, Any]) -> Callback:
    """A verified callback. Its `transaction_id` is our attempt key; `event_id` is made of what it says if the bank gave
    none. Raises InvalidCallback."""
    attempt_key = _text(body, "transaction_id")
    status = _text(body, "status")
    error = body.get("error_message")
    if attempt_key is None or status not in ("success", "failed") or not (error is None or isinstance(error, str)):
        raise InvalidCallback
    reference = _text(body, "bank_reference")
    if status == "failed":
        outcome: Approved | Declined = Declined("card_declined", provider_id=reference)
    elif reference is not None:
        outcome = Approved(reference, reference)
    else:
        raise InvalidCallback
    return Callback(
        event_id=_text(body, "event_id") or f"{attempt_key}:{status}:{reference}",
        payment_id=attempt_key.partition(".")[0],
        attempt_key=attempt_key,
        outcome=outcome,
        occurred_at=_time(body),
        amount_minor=_amount(body),
        currency=_text(body, "currency"),
    )


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or (isinstance(value, str) and 0 < len(value) <= _TEXT_MAX and value.isprintable()):
        return value
    raise InvalidCallback


def _time(body: dict[str, Any]) -> datetime | None:
    value = body.get("occurred_at")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidCallback from None
    raise InvalidCallback


def _amount(body: dict[str, Any]) -> int | None:
    value = body.get("amount_minor")
    if value is None or (type(value) is int and value > 0):
        return value
    raise InvalidCallback
