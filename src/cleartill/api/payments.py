"""Payments: charge a card in one step, read a payment."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, acting_for, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import Amount, CardCvv, CardHolder, CardNumber, Metadata, Month, OrderId, Year, text
from cleartill.api.route import LeanRoute, object_id, send_answer, send_view
from cleartill.domain.card import Card
from cleartill.domain.merchant import Scope
from cleartill.domain.money import EXPONENTS, parse_minor
from cleartill.domain.states import PaymentStatus
from cleartill.usecases.charge import Charge, charge

router = APIRouter(prefix="/api/v1/payments", tags=["payments"], route_class=LeanRoute)
PaymentId = Annotated[str, Path(description="`pay_…`", examples=["pay_01kabcdefghjkmnpqrstvwxyz0"])]

# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class CardData(Body):
    """A card as the cardholder typed it. It is encrypted at once; the CVV is never stored."""

    card_number: CardNumber
    expiry_month: Month
    expiry_year: Year
    cvv: CardCvv
    cardholder_name: CardHolder

    def card(self) -> Card:
        return Card(self.card_number, self.expiry_month, self.expiry_year, self.cvv, self.cardholder_name)


class ProcessBody(Body):
    """Exactly one of `card_data` and `card_token`."""

    merchant_id: (
        Annotated[str, text(64, "[A-Za-z0-9_-]+", description="The key's own; admin keys may name any.")] | None
    ) = None
    amount: Amount
    currency: Annotated[str, text(3, "[A-Z]{3}", description="ISO 4217.", enum=sorted(EXPONENTS), examples=["USD"])]
    payment_method: Literal["credit_card", "debit_card"]
    card_data: CardData | None = None
    card_token: Annotated[str, text(64, "[A-Za-z0-9_-]+", description="Of a card charged before.")] | None = None
    provider: Literal["bank"] | None = None
    order_id: OrderId | None = None
    customer_email: Annotated[str, text(254, r"[^@\s]+@[^@\s]+", examples=["ada@example.com"])] | None = None
    description: Annotated[str, text(500, examples=["Two tickets"])] | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _one_card(self) -> "ProcessBody":
        if (self.card_data is None) == (self.card_token is None):
            raise PydanticCustomError("card_data", "exactly one of card_data and card_token is needed")
        return self


_CARD = {"expiry_month": 12, "expiry_year": 2030, "cvv": "123", "cardholder_name": "Ada Lovelace"}
_EXAMPLE = {"amount": 99.99, "currency": "USD", "payment_method": "credit_card"}
_EXAMPLES = {
    "captured": {**_EXAMPLE, "card_data": {"card_number": "4242424242424242", **_CARD}, "order_id": "order-4711"},
    "declined": {**_EXAMPLE, "card_data": {"card_number": "4000000000009995", **_CARD}},
    "a card charged before": {**_EXAMPLE, "card_token": "card_01kabcdefghjkmnpqrstvwxyz0"},
}

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
    needs_review: str | None
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    trace_id: str


# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "/process",
    status_code=201,
    summary="Charge a card in one step",
    responses={
        201: {
            "model": PaymentView,
            "description": "Decided: `captured`, or `failed` with `decline`",
            "headers": idempotency.REPLAYED,
        },
        202: {"model": PaymentView, "description": "`in_doubt`: being resolved; read the payment again"},
        **problems(401, 403, 404, 408, 409, 413, 415, 422, 503),
    },
    openapi_extra={"security": SECURITY, "parameters": [idempotency.PARAMETER], **body_of(ProcessBody, _EXAMPLES)},
)
async def process(request: Request) -> Response:
    """Store the card, authorize, capture. A decline is an outcome, not an error: 201 with `status: failed`."""
    here = arrival(request)
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    key = idempotency.idempotency_key(request)
    body = await read_body(request, ProcessBody)
    command = Charge(
        merchant_id=await acting_for(request, principal, body.merchant_id),
        amount_minor=parse_minor(body.amount, body.currency),
        currency=body.currency,
        payment_method=body.payment_method,
        card=body.card_data.card() if body.card_data else None,
        card_token=body.card_token,
        provider=body.provider,
        order_id=body.order_id,
        customer_email=body.customer_email,
        description=body.description,
        metadata=body.metadata or {},
        idempotency_key=key,
    )
    here.visit.merchant_id = command.merchant_id
    till = desk(request).till
    answer = await desk(request).carry_out(here.visit, charge(till, command, here.origin(), here.deadline))
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
