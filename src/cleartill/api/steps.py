"""The steps of a payment that was created: confirm, capture, void, fail."""

from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter
from pydantic import model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.fields import Amount
from cleartill.api.orders import CARD, CardData, CardToken
from cleartill.api.payments import UNDECIDED, PaymentId, payment_answers
from cleartill.api.route import LeanRoute, send_answer
from cleartill.domain.idempotency import Answer
from cleartill.domain.merchant import Scope
from cleartill.usecases.capture import Capture, capture
from cleartill.usecases.confirm import Confirmation, confirm
from cleartill.usecases.fail import Failure, fail
from cleartill.usecases.void import Void, void

router = APIRouter(prefix="/api/v1/payments/{id}", tags=["payments"], route_class=LeanRoute)


class ConfirmBody(Body):
    """A card, if none was given when the payment was created, or with its CVV. No body at all is the same as `{}`."""

    card_data: CardData | None = None
    card_token: CardToken | None = None

    @model_validator(mode="after")
    def _one_card(self) -> "ConfirmBody":
        if self.card_data is not None and self.card_token is not None:
            raise PydanticCustomError("card_data", "card_data and card_token exclude each other")
        return self


class CaptureBody(Body):
    """Without an amount: all of the hold. No body at all is the same as `{}`."""

    amount: Amount | None = None


class NothingBody(Body):
    """Nothing is to be said: `{}`, or no body at all."""


_CONFIRM = {"with the card": {"card_data": {"card_number": "4242424242424242", **CARD}}, "as it was created": {}}
_CAPTURE = {"a part": {"amount": "60.00"}, "all": {}}


def _described(body: type[Body], examples: dict[str, Any]) -> dict[str, Any]:
    described = body_of(body, examples, required=False)
    return {"security": SECURITY, "parameters": [idempotency.PARAMETER], **described}


@router.post(
    "/confirm",
    summary="Confirm a pending payment",
    responses=payment_answers(200, "Decided: `captured`, `authorized`, or `failed` with `decline`", UNDECIDED),
    openapi_extra=_described(ConfirmBody, _CONFIRM),
)
async def confirm_payment(request: Request, id: PaymentId) -> Response:
    """Send it to its provider. With capture_method manual it is then `authorized`: capture or void it within 7 days."""
    merchant_id, key = await _entered(request, id)
    body = await read_body(request, ConfirmBody, may_be_absent=True)
    card = body.card_data.card() if body.card_data else None
    command = Confirmation(merchant_id, id, card, body.card_token, key)
    here, till = arrival(request), desk(request).till
    work = confirm(till, command, here.origin(), here.deadline)
    return await _answered(request, work)


@router.post(
    "/capture",
    summary="Capture an authorized payment, whole or in part",
    responses=payment_answers(200, "`captured`, or still `authorized` with `decline`", UNDECIDED),
    openapi_extra=_described(CaptureBody, _CAPTURE),
)
async def capture_payment(request: Request, id: PaymentId) -> Response:
    """Claim all or part of the hold, once; the rest is released."""
    merchant_id, key = await _entered(request, id)
    body = await read_body(request, CaptureBody, may_be_absent=True)
    here, till = arrival(request), desk(request).till
    work = capture(till, Capture(merchant_id, id, body.amount, key), here.origin(), here.deadline)
    return await _answered(request, work)


@router.post(
    "/void",
    summary="Release the hold of an authorized payment",
    responses=payment_answers(200, "`voided`, or still `authorized` with `decline`", UNDECIDED),
    openapi_extra=_described(NothingBody, {"nothing": {}}),
)
async def void_payment(request: Request, id: PaymentId) -> Response:
    """No money moves; the cardholder's limit is free again."""
    merchant_id, key = await _entered(request, id)
    await read_body(request, NothingBody, may_be_absent=True)
    here, till = arrival(request), desk(request).till
    work = void(till, Void(merchant_id, id, key), here.origin(), here.deadline)
    return await _answered(request, work)


@router.post(
    "/fail",
    summary="Give up a pending payment",
    responses=payment_answers(200, "`failed`", UNDECIDED),
    openapi_extra=_described(NothingBody, {"nothing": {}}),
)
async def fail_payment(request: Request, id: PaymentId) -> Response:
    """For a payment that nobody was asked for yet."""
    merchant_id, key = await _entered(request, id)
    await read_body(request, NothingBody, may_be_absent=True)
    here, till = arrival(request), desk(request).till
    work = fail(till, Failure(merchant_id, id, key), here.origin(), here.deadline)
    return await _answered(request, work)


async def _entered(request: Request, id: str) -> tuple[str, str | None]:
    """Whose payment it must be, and the idempotency key."""
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    about(request, id)
    return principal.merchant_id, idempotency.idempotency_key(request)


async def _answered(request: Request, work: Coroutine[Any, Any, Answer]) -> Response:
    return send_answer(await desk(request).carry_out(arrival(request).visit, work))
