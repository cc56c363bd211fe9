"""The Idempotency-Key header: its form, and what OpenAPI says about it."""

from typing import Any

from starlette.requests import Request

from cleartill.api.arrival import arrival
from cleartill.api.errors import InvalidIdempotencyKey
from cleartill.api.pan import holds_pan
from cleartill.domain.idempotency import KEY

PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same body has one effect and gets one answer, byte for byte, marked "
    "`Idempotent-Replayed: true`. Kept at least 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
    "example": "order-4711-try-1",
}

REPLAYED: dict[str, Any] = {
    "Idempotent-Replayed": {"description": "`true` if this answer was given before.", "schema": {"type": "string"}}
}


def idempotency_key(request: Request) -> str | None:
    """The key, if one was sent. Raises InvalidIdempotencyKey."""
    sent = arrival(request).headers.get(b"idempotency-key")
    if sent is None:
        return None
    key = sent.decode("latin-1")
    if not KEY.fullmatch(key) or holds_pan(key):
        raise InvalidIdempotencyKey("Idempotency-Key must be 1 to 255 printable ASCII characters, and no card number")
    return key


def needed_key(request: Request) -> str:
    """The key of an operation that must have one. Raises InvalidIdempotencyKey."""
    key = idempotency_key(request)
    if key is None:
        raise InvalidIdempotencyKey("Idempotency-Key is needed here")
    return key
