"""What providers tell on their own. Authentic or 401; nothing is changed by a callback that is not."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import read_raw
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.route import LeanRoute
from cleartill.domain.errors import NotFound
from cleartill.domain.merchant import Scope
from cleartill.ports import Callback
from cleartill.usecases.receive_callback import receive_callback

router = APIRouter(prefix="/webhooks", tags=["callbacks"], route_class=LeanRoute)


class HeardView(BaseModel):
    received: bool = Field(examples=[True])


def _said(required: list[str], properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says about a callback: what is read of it. There may be more, which is signed like the rest."""
    schema = {"type": "object", "required": required, "properties": properties}
    content = {"application/json": {"schema": schema, "examples": {"a callback": {"value": example}}}}
    return {"requestBody": {"required": True, "content": content}}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": 255, "description": description}


_HEARD: dict[int | str, dict[str, Any]] = {200: {"model": HeardView, "description": "Heard"}}
_OUTCOME: dict[str, Any] = {
    "transaction_id": _text("The reference that the bank was given."),
    "status": {"type": "string", "enum": ["success", "failed"]},
    "bank_reference": {**_text("The bank's own; needed with `success`."), "type": ["string", "null"]},
    "error_message": {"type": ["string", "null"]},
    "event_id": {**_text("Unlike that of any other; made of the rest if not given."), "type": ["string", "null"]},
    "occurred_at": {"type": ["string", "null"], "format": "date-time", "description": "Older than 5 minutes: 401."},
    "amount_minor": {"type": ["integer", "null"], "minimum": 1, "description": "If given, it must be what was asked."},
    "currency": {**_text("ISO 4217."), "type": ["string", "null"], "examples": ["USD"]},
}
_SIGNATURE = {
    "type": "string",
    "description": "HMAC-SHA256, in hex, over the JSON without it: sorted keys, no blanks, UTF-8.",
}
_SUCCESS = {
    "transaction_id": "pay_01kabcdefghjkmnpqrstvwxyz0.authorize.1",
    "status": "success",
    "bank_reference": "bnk_01kabcdefg",
}
_OF_THE_BANK = _said(
    ["transaction_id", "status", "signature"],
    {**_OUTCOME, "signature": _SIGNATURE},
    {**_SUCCESS, "signature": "0" * 64},
)
_OF_THE_MOCK = _said(["transaction_id", "status"], _OUTCOME, _SUCCESS)
_OF_STRIPE = _said(
    ["id", "type", "data"],
    {
        "id": {"type": "string"},
        "type": {"type": "string"},
        "data": {"type": "object", "required": ["object"], "properties": {"object": {"type": "object"}}},
    },
    {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1"}}},
)


@router.post(
    "/bank-callback",
    summary="The bank's callbacks",
    responses=_HEARD | problems(401, 404, 408, 413, 422, 503),
    openapi_extra=_OF_THE_BANK,
)
async def bank_callback(request: Request) -> Response:
    """Signed with WEBHOOK_SECRET over the canonical JSON: `scripts/sign_callback.py` makes one. Heard again it has no
    effect; what contradicts the books moves no money and asks for a review."""
    return await _heard(request, "bank", await _verified(request, "bank", b""))


@router.post(
    "/stripe",
    summary="Stripe's webhooks",
    responses=_HEARD | problems(401, 404, 408, 413, 422, 503),
    openapi_extra=_OF_STRIPE,
)
async def stripe_webhook(request: Request) -> Response:
    """Verified by Stripe's own package against STRIPE_WEBHOOK_SECRET."""
    return await _heard(request, "stripe", await _verified(request, "stripe", b"stripe-signature"))


@router.post(
    "/mock",
    summary="What the mock provider would say",
    responses=_HEARD | problems(401, 403, 404, 408, 413, 422, 503),
    openapi_extra={**_OF_THE_MOCK, "security": SECURITY},
)
async def mock_webhook(request: Request) -> Response:
    """Said by whoever holds a key of the attempt's merchant; never in production."""
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    callback = await _verified(request, "mock", b"")
    await desk(request).till.books.load_attempt(principal.merchant_id, callback.attempt_key)
    return await _heard(request, "mock", callback)


async def _verified(request: Request, provider: str, header: bytes) -> Callback:
    """Raises NotFound where the provider is not to be had, BadSignature, InvalidCallback."""
    verify = desk(request).till.verifiers.get(provider)
    if verify is None:
        raise NotFound
    return verify(await read_raw(request), arrival(request).headers.get(header, b"").decode("latin-1"))


async def _heard(request: Request, provider: str, callback: Callback) -> Response:
    here, till = arrival(request), desk(request).till
    if callback.outcome is not None:  # else it may be about nothing of ours
        about(request, callback.payment_id)
    await receive_callback(till, provider, callback, here.origin())
    return JSONResponse({"received": True})
