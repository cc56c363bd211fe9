"""Refunds: give back all or part of a payment, read a refund."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import Amount, Metadata, text
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


@router.post(
    "/payments/{id}/refund",
    status_code=201,
    summary="Refund a payment, whole or in part",
    responses={
        201: {
            "model": RefundView,
            "description": "Decided: `succeeded`, or `failed` with `decline`",
            "headers": idempotency.REPLAYED,
        },
        202: {"model": RefundView, "description": "`in_doubt`: being resolved; read the refund again"},
        **problems(401, 403, 404, 408, 409, 413, 415, 422, 503),
    },
    openapi_extra={
        "security": SECURITY,
        "parameters": [idempotency.PARAMETER],
        **body_of(RefundBody, _EXAMPLES, required=False),
    },
)
async def refund_payment(request: Request, id: PaymentId) -> Response:
    """Several refunds may follow each other until nothing is left; together they never exceed what was captured."""
    here = arrival(request)
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    about(request, id)
    key = idempotency.idempotency_key(request)
    body = await read_body(request, RefundBody, may_be_absent=True)
    command = RefundOrder(
        merchant_id=principal.merchant_id,
        payment_id=id,
        amount=body.amount,
        reason=body.reason,
        metadata=body.metadata or {},
        idempotency_key=key,
    )
    till = desk(request).till
    answer = await desk(request).carry_out(here.visit, refund(till, command, here.origin(), here.deadline))
    return send_answer(answer)


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
