"""The lists of a merchant's payments and refunds, newest first, a page at a time."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import text
from cleartill.api.page import DEFAULT_LIMIT, PAGING, PROVIDER, Parameter, Place, one_of, read_query, send_page
from cleartill.api.payments import PaymentView
from cleartill.api.refunds import RefundView
from cleartill.api.route import LeanRoute
from cleartill.domain.merchant import Scope
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.ports import PaymentQuery, RefundQuery

router = APIRouter(prefix="/api/v1", route_class=LeanRoute)

_SEVERAL = "In one of these states; several with commas, or sent several times."
_PAYMENT_PARAMETERS = (
    Parameter("status", one_of(PaymentStatus, PaymentStatus.CAPTURED), _SEVERAL, several=True),
    Parameter(
        "order_id", text(255, examples=["order-4711"]), "Yours; 17 finds the integer 17 as well as the string `17`."
    ),
    PROVIDER,
    Parameter("last4", text(4, "[0-9]{4}", examples=["4242"]), "The last four digits of the card, and no more of it."),
    *PAGING,
)
_REFUND_PARAMETERS = (
    Parameter("status", one_of(RefundStatus, RefundStatus.SUCCEEDED), _SEVERAL, several=True),
    Parameter(
        "transaction_id",
        text(64, "[A-Za-z0-9_-]+", examples=["pay_01kabcdefghjkmnpqrstvwxyz0"]),
        "Of this payment.",
    ),
    PROVIDER,
    *PAGING,
)
_MORE = Field(
    description="Whether there may be more: ask again with `next_cursor`. A page can be short, even empty, and not be "
    "the last, when few of very many fit the filters."
)


class PaymentPage(BaseModel):
    data: list[PaymentView]
    has_more: bool = _MORE
    next_cursor: str | None


class RefundPage(BaseModel):
    data: list[RefundView]
    has_more: bool = _MORE
    next_cursor: str | None


def _described(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    return {"security": SECURITY, "parameters": [parameter.described() for parameter in parameters]}


@router.get(
    "/payments",
    tags=["payments"],
    summary="List payments",
    responses={200: {"model": PaymentPage}, **problems(401, 403, 422, 503)},
    openapi_extra=_described(_PAYMENT_PARAMETERS),
)
async def list_payments(request: Request) -> Response:
    """Newest first. Follow `next_cursor` until there is none; payments made meanwhile neither repeat nor hide others.
    What was written a moment ago may be missing yet; reading one payment shows it as it is now."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    asked = read_query(request, _PAYMENT_PARAMETERS)
    till = desk(request).till
    place = Place(till.vault, principal.merchant_id, "payments", asked)
    query = PaymentQuery(order_id=asked.get("order_id"), last4=asked.get("last4"), **_what_all_lists_take(asked, place))
    return send_page(place, await till.reads.payments(principal.merchant_id, query))


@router.get(
    "/refunds",
    tags=["refunds"],
    summary="List refunds",
    responses={200: {"model": RefundPage}, **problems(401, 403, 422, 503)},
    openapi_extra=_described(_REFUND_PARAMETERS),
)
async def list_refunds(request: Request) -> Response:
    """Newest first; see the list of payments."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    asked = read_query(request, _REFUND_PARAMETERS)
    till = desk(request).till
    place = Place(till.vault, principal.merchant_id, "refunds", asked)
    query = RefundQuery(payment_id=asked.get("transaction_id"), **_what_all_lists_take(asked, place))
    return send_page(place, await till.reads.refunds(principal.merchant_id, query))


def _what_all_lists_take(asked: dict[str, Any], place: Place) -> dict[str, Any]:
    return {
        "statuses": asked.get("status", frozenset()),
        "provider": asked.get("provider"),
        "created_from": asked.get("created_from"),
        "created_to": asked.get("created_to"),
        "before": place.id_in(asked["cursor"]) if "cursor" in asked else None,
        "limit": asked.get("limit", DEFAULT_LIMIT),
    }
