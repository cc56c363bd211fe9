"""Payments: charge a card in one step, create a payment, read a payment."""

from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.orders import CREATE_EXAMPLES, PROCESS_EXAMPLES, CreateBody, ProcessBody, order_of
from cleartill.api.route import LeanRoute, object_id, send_answer, send_view
from cleartill.domain.idempotency import Answer
from cleartill.domain.merchant import Scope
from cleartill.domain.states import PaymentStatus
from cleartill.usecases.charge import CREATE, PROCESS, charge
from cleartill.usecases.create import create

router = APIRouter(prefix="/api/v1/payments", tags=["payments"], route_class=LeanRoute)
PaymentId = Annotated[str, Path(description="`pay_…`", examples=["pay_01kabcdefghjkmnpqrstvwxyz0"])]

# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class CardView(BaseModel):
    """What may be shown of a card (PCI DSS 3.4.1)."""

    brand: str = Field(examples=["visa"])
    last4: str = Field(examples=["4242"])
    bin: str = Field(examples=["424242"])
    expiry_month: int
    expiry_year: int
    fingerprint: str = Field(description="Equal for one card number within a merchant.")
    card_token: str
    avs_result: str | None
    cvc_result: str | None


class DeclineView(BaseModel):
    code: str = Field(examples=["insufficient_funds"])
    network_code: str | None = Field(description="ISO 8583 response code.", examples=["51"])
    category: Literal["hard", "soft", "data"] = Field(description="hard: never retry; soft: later; data: fix the input")
    retryable: bool
    advice: str


class ActionView(BaseModel):
    """Send the payer there; the outcome comes as an event, and shows when the payment is read again."""

    type: Literal["redirect"]
    url: str = Field(examples=["https://bank.example/3ds/bnk_01kabcdefghjkmnpqrstvwxyz0"])


class PaymentView(BaseModel):
    """A payment as its merchant sees it. Amounts are in major units, `*_minor` in minor units."""

    id: str
    transaction_id: str = Field(description="The same as `id`.")
    merchant_id: str
    status: PaymentStatus
    amount: float
    amount_minor: int
    amount_captured: float
    amount_captured_minor: int
    amount_refunded: float
    amount_refunded_minor: int
    currency: str
    payment_method: str
    capture_method: str
    provider: str
    provider_payment_id: str | None
    bank_reference: str | None
    order_id: str | int | None
    customer_email: str | None
    card: CardView | None
    decline: DeclineView | None
    action: ActionView | None
    expires_at: datetime | None = Field(description="When the hold, or the payer's time to act, ends.")
    needs_review: str | None
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    trace_id: str


# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def payment_answers(status: int, decided: str, undecided: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says about the answers of an operation on a payment."""
    return {
        status: {"model": PaymentView, "description": decided, "headers": idempotency.REPLAYED},
        202: {"model": PaymentView, "description": undecided},
        **problems(401, 403, 404, 408, 409, 413, 415, 422, 503),
    }


UNDECIDED = "`in_doubt`: being resolved, or `requires_action`: the payer must act; read the payment again"


@router.post(
    "/process",
    status_code=201,
    summary="Charge a card in one step",
    responses=payment_answers(201, "Decided: `captured`, or `failed` with `decline`", UNDECIDED),
    openapi_extra={
        "security": SECURITY,
        "parameters": [idempotency.PARAMETER],
        **body_of(ProcessBody, PROCESS_EXAMPLES),
    },
)
async def process(request: Request) -> Response:
    """Store the card, authorize, capture. A decline is an outcome, not an error: 201 with `status: failed`."""
    here = arrival(request)
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    key = idempotency.idempotency_key(request)
    order = await order_of(request, principal, await read_body(request, ProcessBody))
    here.visit.merchant_id = order.merchant_id
    work = charge(desk(request).till, order, PROCESS, key, here.origin(), here.deadline)
    return await _made(request, work)


@router.post(
    "",
    status_code=201,
    summary="Create a payment, to be confirmed later or at once",
    responses=payment_answers(201, "`pending`; with `confirm`: decided", UNDECIDED),
    openapi_extra={
        "security": SECURITY,
        "parameters": [{**idempotency.PARAMETER, "required": True}],
        **body_of(CreateBody, CREATE_EXAMPLES),
    },
)
async def create_payment(request: Request) -> Response:
    """A card given here is stored without its CVV: send it with confirm if the CVV is to be checked, or confirm at
    once."""
    here = arrival(request)
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    key = idempotency.needed_key(request)
    body = await read_body(request, CreateBody)
    order = await order_of(request, principal, body)
    here.visit.merchant_id, till = order.merchant_id, desk(request).till
    if body.confirm:
        return await _made(request, charge(till, order, CREATE, key, here.origin(), here.deadline))
    return await _made(request, create(till, order, key, here.origin(), here.deadline))


async def _made(request: Request, work: Coroutine[Any, Any, Answer]) -> Response:
    here = arrival(request)
    answer = await desk(request).carry_out(here.visit, work)
    here.visit.subject_id = object_id(answer)
    return send_answer(answer)


@router.get(
    "/{id}",
    summary="Read a payment",
    responses={200: {"model": PaymentView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_payment(request: Request, id: PaymentId) -> Response:
    """The payment as it is now."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    about(request, id)
    payment = await desk(request).till.reads.payment(principal.merchant_id, id)
    return send_view(payment.view())
