"""Refunds: give back all or part of a payment, read a refund."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import Amount, Metadata, text
from cleartill.api.orders import ProviderName
from cleartill.api.payments import DeclineView, PaymentId
from cleartill.api.route import LeanRoute, send_answer, send_view
from cleartill.domain.merchant import Scope
from cleartill.domain.states import RefundStatus
from cleartill.usecases.refund import RefundOrder, refund

router = APIRouter(prefix="/api/v1", tags=["refunds"], route_class=LeanRoute)
RefundId = Annotated[str, Path(description="`ref_…`", examples=["ref_01kabcdefghjkmnpqrstvwxyz0"])]


class RefundBody(Body):
    """Without an amount: all that is left. No body at all is the same as `{}`."""

    amount: Amount | None = None
    reason: Annotated[str, text(500, examples=["Event cancelled"])] | None = None
    metadata: Metadata | None = None


class RefundOfBody(RefundBody):
    """By `transaction_id`, or by `provider` and its own `provider_payment_id`."""

    transaction_id: Annotated[str, text(64, "[A-Za-z0-9_-]+", examples=["pay_01kabcdefghjkm"])] | None = None
    provider: ProviderName | None = None
    provider_payment_id: Annotated[str, text(128, "[A-Za-z0-9_.-]+", examples=["bnk_01kabcdefg"])] | None = None

    @model_validator(mode="after")
    def _one_payment(self) -> "RefundOfBody":
        named = self.provider is not None and self.provider_payment_id is not None
        half = (self.provider is None) != (self.provider_payment_id is None)
        if half or named == (self.transaction_id is not None):
            raise PydanticCustomError(
                "transaction_id", "either transaction_id, or provider and provider_payment_id are needed"
            )
        return self


_OF_EXAMPLES = {
    "by our id": {"transaction_id": "pay_01kabcdefghjkmnpqrstvwxyz0", "amount": "25.00"},
    "by the provider's": {"provider": "bank", "provider_payment_id": "bnk_01kabcdefg"},
}
_EXAMPLES = {"a part": {"amount": "25.00", "reason": "One ticket returned"}, "all that is left": {}}


class RefundView(BaseModel):
    """A refund as its merchant sees it."""

    id: str
    transaction_id: str = Field(description="The payment.")
    status: RefundStatus
    amount: float
    amount_minor: int
    currency: str
    provider: str
    provider_refund_id: str | None
    bank_reference: str | None
    reason: str | None
    decline: DeclineView | None
    needs_review: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    trace_id: str


_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {
        "model": RefundView,
        "description": "Decided: `succeeded`, or `failed` with `decline`",
        "headers": idempotency.REPLAYED,
    },
    202: {"model": RefundView, "description": "`in_doubt`: being resolved; read the refund again"},
    **problems(401, 403, 404, 408, 409, 413, 415, 422, 503),
}


@router.post(
    "/payments/{id}/refund",
    status_code=201,
    summary="Refund a payment, whole or in part",
    responses=_ANSWERS,
    openapi_extra={
        "security": SECURITY,
        "parameters": [idempotency.PARAMETER],
        **body_of(RefundBody, _EXAMPLES, required=False),
    },
)
async def refund_payment(request: Request, id: PaymentId) -> Response:
    """Several refunds may follow each other until nothing is left; together they never exceed what was captured."""
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    about(request, id)
    key = idempotency.idempotency_key(request)
    body = await read_body(request, RefundBody, may_be_absent=True)
    return await _refunded(request, principal.merchant_id, id, body, key)


@router.post(
    "/refunds",
    status_code=201,
    summary="Refund a payment that is named in the body",
    responses=_ANSWERS,
    openapi_extra={
        "security": SECURITY,
        "parameters": [idempotency.PARAMETER],
        **body_of(RefundOfBody, _OF_EXAMPLES),
    },
)
async def refund_of(request: Request) -> Response:
    """The same as refunding a payment by its address: one idempotency key holds for both."""
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    key = idempotency.idempotency_key(request)
    body = await read_body(request, RefundOfBody)
    payment_id = body.transaction_id
    if payment_id is None:
        assert body.provider is not None
        assert body.provider_payment_id is not None
        reads = desk(request).till.reads
        found = await reads.payment_at_provider(principal.merchant_id, body.provider, body.provider_payment_id)
        payment_id = found.id
    about(request, payment_id)
    return await _refunded(request, principal.merchant_id, payment_id, body, key)


async def _refunded(request: Request, merchant_id: str, payment_id: str, body: RefundBody, key: str | None) -> Response:
    here, till = arrival(request), desk(request).till
    order = RefundOrder(merchant_id, payment_id, body.amount, body.reason, body.metadata or {}, key)
    return send_answer(await desk(request).carry_out(here.visit, refund(till, order, here.origin(), here.deadline)))


@router.get(
    "/refunds/{id}",
    summary="Read a refund",
    responses={200: {"model": RefundView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_refund(request: Request, id: RefundId) -> Response:
    """The refund as it is now."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    about(request, id)
    found = await desk(request).till.reads.refund(principal.merchant_id, id)
    return send_view(found.view())
