"""A merchant's account: its balance, and all that moved it."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.limits import Rule
from cleartill.api.merchants import MerchantId
from cleartill.api.page import DEFAULT_LIMIT, PAGING, Parameter, Place, one_of, read_query, send_page
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.errors import NotFound
from cleartill.domain.ledger import MERCHANT, RESERVED
from cleartill.domain.merchant import Scope
from cleartill.domain.money import major
from cleartill.usecases.list_transactions import TransactionQuery, TransactionType, list_transactions

router = APIRouter(prefix="/api/v1", tags=["accounts"], route_class=LeanRoute)


class CurrencyBalanceView(BaseModel):
    """`amount` is what may be withdrawn now: what withdrawals under way have reserved is not in it."""

    currency: str = Field(examples=["USD"])
    amount: float = Field(description="Below zero if more was refunded than is there.")
    amount_minor: int
    reserved: float
    reserved_minor: int


class BalanceView(BaseModel):
    merchant_id: str
    balances: list[CurrencyBalanceView] = Field(description="One for each currency that ever moved.")


class TransactionView(BaseModel):
    """What payments, refunds, deposits and withdrawals have in common; each is read whole under its own address."""

    id: str
    type: TransactionType
    payment_id: str | None = Field(description="Of a refund.")
    status: str
    amount: float
    amount_minor: int
    currency: str
    provider: str
    bank_reference: str | None
    order_id: str | int | None
    description: str | None
    metadata: dict[str, Any]
    needs_review: str | None
    created_at: datetime
    updated_at: datetime
    trace_id: str


class TransactionPage(BaseModel):
    data: list[TransactionView]
    has_more: bool
    next_cursor: str | None


_PARAMETERS = (
    Parameter(
        "type",
        one_of(TransactionType, TransactionType.REFUND),
        "Of one of these types; several with commas, or sent several times.",
        several=True,
    ),
    *PAGING,
)
_ALIAS = "The same under the name that some callers know."


@router.get(
    "/merchants/{id}/balance",
    summary="Read a merchant's balance",
    responses={200: {"model": BalanceView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
@router.get(
    "/users/{id}/balance",
    summary="Read a merchant's balance, as a user's",
    description=_ALIAS,
    responses={200: {"model": BalanceView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_balance(request: Request, id: MerchantId) -> Response:
    """In each currency, as of this moment. One's own; admin keys read any. At most 10 times a minute."""
    await _of_merchant(request, id, Rule.BALANCE)
    sums: dict[str, dict[str, int]] = {}
    for balance in await desk(request).till.ledger.balances(id):
        sums.setdefault(balance.currency, {})[balance.account] = balance.amount_minor
    shown = [_shown(currency, of.get(MERCHANT, 0), of.get(RESERVED, 0)) for currency, of in sorted(sums.items())]
    return send_view({"merchant_id": id, "balances": shown})


@router.get(
    "/merchants/{id}/transactions",
    summary="List all that moved a merchant's money",
    responses={200: {"model": TransactionPage}, **problems(401, 403, 404, 422, 503)},
    openapi_extra={"security": SECURITY, "parameters": [parameter.described() for parameter in _PARAMETERS]},
)
@router.get(
    "/users/{id}/transactions",
    summary="List all that moved a merchant's money, as a user's",
    description=_ALIAS,
    responses={200: {"model": TransactionPage}, **problems(401, 403, 404, 422, 503)},
    openapi_extra={"security": SECURITY, "parameters": [parameter.described() for parameter in _PARAMETERS]},
)
async def get_transactions(request: Request, id: MerchantId) -> Response:
    """Payments, refunds, deposits and withdrawals, newest first; see the list of payments. At most 20 times a
    minute."""
    await _of_merchant(request, id, Rule.TRANSACTIONS)
    asked = read_query(request, _PARAMETERS)
    till = desk(request).till
    place = Place(till.vault, id, "transactions", asked)
    query = TransactionQuery(
        types=asked.get("type", frozenset()),
        created_from=asked.get("created_from"),
        created_to=asked.get("created_to"),
        before=place.id_in(asked["cursor"]) if "cursor" in asked else None,
        limit=asked.get("limit", DEFAULT_LIMIT),
    )
    return send_page(place, await list_transactions(till, id, query))


def _shown(currency: str, there: int, reserved: int) -> dict[str, Any]:
    return {
        "currency": currency,
        "amount": major(there, currency),
        "amount_minor": there,
        "reserved": major(reserved, currency),
        "reserved_minor": reserved,
    }


async def _of_merchant(request: Request, id: str, rule: Rule) -> None:
    """Raises NotFound for another merchant's id, as for one that is not there; admin keys may name any there is."""
    principal = await identify(request, Scope.ACCOUNT_READ, rule)
    about(request, id)
    if id != principal.merchant_id:
        if not principal.may(Scope.ADMIN):
            raise NotFound
        await desk(request).till.merchants.get(id)
    arrival(request).visit.merchant_id = id
