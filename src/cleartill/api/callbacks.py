"""What providers tell on their own. Authentic or 401; nothing is changed by a callback that is not."""

from typing import Any

from fastapi import APIRouter
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

_HEARD: dict[int | str, dict[str, Any]] = {200: {"description": "Heard"}}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


@router.post(
    "/bank-callback",
    summary="The bank's callbacks",
    responses=_HEARD | problems(401, 404, 408, 413, 422, 503),
    openapi_extra=_BODY,
)
async def bank_callback(request: Request) -> Response:
    """Signed with WEBHOOK_SECRET over the canonical JSON: `scripts/sign_callback.py` makes one. Heard again it has no
    effect; what contradicts the books moves no money and asks for a review."""
    return await _heard(request, "bank", await _verified(request, "bank", b""))


@router.post(
    "/stripe",
    summary="Stripe's webhooks",
    responses=_HEARD | problems(401, 404, 408, 413, 422, 503),
    openapi_extra=_BODY,
)
async def stripe_webhook(request: Request) -> Response:
    """Verified by Stripe's own package against STRIPE_WEBHOOK_SECRET."""
    return await _heard(request, "stripe", await _verified(request, "stripe", b"stripe-signature"))


@router.post(
    "/mock",
    summary="What the mock provider would say",
    responses=_HEARD | problems(401, 403, 404, 408, 413, 422, 503),
    openapi_extra={**_BODY, "security": SECURITY},
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
