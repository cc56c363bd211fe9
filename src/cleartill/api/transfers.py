"""Deposits and withdrawals: taken on at once, carried out by workers; and the dead letters among them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api import idempotency
from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, acting_for, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import Amount, Metadata, text
from cleartill.api.page import DEFAULT_LIMIT, PAGING, Parameter, Place, one_of, read_query, send_page
from cleartill.api.route import LeanRoute, object_id, send_answer, send_view
from cleartill.domain.errors import NotFound
from cleartill.domain.merchant import Scope
from cleartill.domain.money import EXPONENTS, parse_minor
from cleartill.domain.transfer import TransferKind, TransferStatus
from cleartill.ports import TransferQuery
from cleartill.usecases.retry_transfer import retry_transfer
from cleartill.usecases.transfer import TransferRequest, transfer

router = APIRouter(prefix="/api/v1", tags=["transfers"], route_class=LeanRoute)
DepositId = Annotated[str, Path(description="`dep_…`", examples=["dep_01kabcdefghjkmnpqrstvwxyz0"])]
WithdrawalId = Annotated[str, Path(description="`wdr_…`", examples=["wdr_01kabcdefghjkmnpqrstvwxyz0"])]
TransferId = Annotated[str, Path(description="`dep_…` or `wdr_…`", examples=["dep_01kabcdefghjkmnpqrstvwxyz0"])]


class TransferBody(Body):
    merchant_id: (
        Annotated[str, text(64, "[A-Za-z0-9_-]+", description="The key's own; admin keys may name any.")] | None
    ) = None
    amount: Amount
    currency: Annotated[str, text(3, "[A-Z]{3}", description="ISO 4217.", enum=sorted(EXPONENTS), examples=["USD"])]
    description: Annotated[str, text(500, examples=["Payout of the week"])] | None = None
    metadata: Metadata | None = None


_EXAMPLES = {"an amount": {"amount": "250.00", "currency": "USD", "description": "Payout of the week"}}

# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class TransferErrorView(BaseModel):
    code: Literal["bank_refused", "bank_unreachable"]
    network_code: str | None = Field(description="The bank's own.", examples=["12"])
    message: str


class TransferView(BaseModel):
    """A deposit or withdrawal as its merchant sees it."""

    id: str
    transaction_id: str = Field(description="The same as `id`.")
    merchant_id: str
    type: TransferKind
    status: TransferStatus
    amount: float
    amount_minor: int
    currency: str
    provider: str
    bank_reference: str | None
    attempts: int = Field(description="How often the bank was asked for it.")
    error: TransferErrorView | None
    dead_letter: str | None = Field(description="Why nobody tries any more; an operator can have it retried.")
    needs_review: str | None
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    trace_id: str


class TransferPage(BaseModel):
    data: list[TransferView]
    has_more: bool
    next_cursor: str | None


_TAKEN_ON: dict[int | str, dict[str, Any]] = {
    201: {"model": TransferView, "description": "A repeat, once it has ended: how", "headers": idempotency.REPLAYED},
    202: {"model": TransferView, "description": "`pending`: read it again", "headers": idempotency.REPLAYED},
    **problems(401, 403, 404, 408, 409, 413, 415, 422, 503),
}
_MOVING: dict[str, Any] = {
    "status_code": 202,
    "responses": _TAKEN_ON,
    "openapi_extra": {
        "security": SECURITY,
        "parameters": [{**idempotency.PARAMETER, "required": True}],
        **body_of(TransferBody, _EXAMPLES),
    },
}
_STATUS = Parameter(
    "status",
    one_of(TransferStatus, TransferStatus.SUCCEEDED),
    "In one of these states; several with commas, or sent several times.",
    several=True,
)
_PARAMETERS = (_STATUS, *PAGING)
_LIMIT_AND_CURSOR = tuple(parameter for parameter in PAGING if parameter.name in ("limit", "cursor"))


def _listing(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    shown = [parameter.described() for parameter in parameters]
    return {
        "responses": {200: {"model": TransferPage}, **problems(401, 403, 422, 503)},
        "openapi_extra": {"security": SECURITY, "parameters": shown},
    }


_READING: dict[str, Any] = {
    "responses": {200: {"model": TransferView}, **problems(401, 403, 404, 503)},
    "openapi_extra": {"security": SECURITY},
}

# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post("/deposits", summary="Top up the balance", **_MOVING)
async def create_deposit(request: Request) -> Response:
    """From the merchant's bank account. The balance has it once the deposit has `succeeded`."""
    return await _taken_on(request, TransferKind.DEPOSIT)


@router.post("/withdrawals", summary="Pay out of the balance", **_MOVING)
async def create_withdrawal(request: Request) -> Response:
    """To the merchant's bank account. The amount is reserved at once; more than is there is 409. A withdrawal that
    fails gives it back."""
    return await _taken_on(request, TransferKind.WITHDRAWAL)


@router.get("/deposits", summary="List deposits", **_listing(_PARAMETERS))
async def list_deposits(request: Request) -> Response:
    """Newest first; see the list of payments."""
    return await _listed(request, TransferKind.DEPOSIT)


@router.get("/withdrawals", summary="List withdrawals", **_listing(_PARAMETERS))
async def list_withdrawals(request: Request) -> Response:
    """Newest first; see the list of payments."""
    return await _listed(request, TransferKind.WITHDRAWAL)


@router.get("/deposits/{id}", summary="Read a deposit", **_READING)
async def get_deposit(request: Request, id: DepositId) -> Response:
    """The deposit as it is now."""
    return await _read(request, TransferKind.DEPOSIT, id)


@router.get("/withdrawals/{id}", summary="Read a withdrawal", **_READING)
async def get_withdrawal(request: Request, id: WithdrawalId) -> Response:
    """The withdrawal as it is now."""
    return await _read(request, TransferKind.WITHDRAWAL, id)


@router.get("/transfers/dead", summary="List dead letters", **_listing(_LIMIT_AND_CURSOR))
async def list_dead_transfers(request: Request) -> Response:
    """For admin keys: deposits and withdrawals of all merchants that nobody tries any more."""
    principal = await identify(request, Scope.ADMIN)
    asked = read_query(request, _LIMIT_AND_CURSOR)
    till = desk(request).till
    place = Place(till.vault, principal.merchant_id, "dead transfers", asked)
    before = place.id_in(asked["cursor"]) if "cursor" in asked else None
    return send_page(place, await till.transfers.dead(asked.get("limit", DEFAULT_LIMIT), before))


@router.post(
    "/transfers/{id}/retry",
    status_code=202,
    summary="Try a dead letter again",
    responses={202: {"model": TransferView}, **problems(401, 403, 404, 409, 503)},
    openapi_extra={"security": SECURITY},
)
async def retry_dead_transfer(request: Request, id: TransferId) -> Response:
    """For admin keys. What is no dead letter is 409, so that a repeat does nothing; and so is a withdrawal whose amount
    is not there any more."""
    await identify(request, Scope.ADMIN)
    about(request, id)
    made = await retry_transfer(desk(request).till, id, arrival(request).origin())
    return send_view(made.view(), 202)


async def _taken_on(request: Request, kind: TransferKind) -> Response:
    here = arrival(request)
    principal = await identify(request, Scope.ACCOUNT_WRITE)
    key = idempotency.needed_key(request)
    body = await read_body(request, TransferBody)
    here.visit.merchant_id = merchant_id = await acting_for(request, principal, body.merchant_id)
    asked = TransferRequest(
        merchant_id=merchant_id,
        kind=kind,
        amount_minor=parse_minor(body.amount, body.currency),
        currency=body.currency,
        description=body.description,
        metadata=body.metadata or {},
        idempotency_key=key,
    )
    answer = await desk(request).carry_out(here.visit, transfer(desk(request).till, asked, here.origin()))
    here.visit.subject_id = object_id(answer)
    return send_answer(answer)


async def _read(request: Request, kind: TransferKind, id: str) -> Response:
    principal = await identify(request, Scope.ACCOUNT_READ)
    about(request, id)
    found = await desk(request).till.transfers.load(principal.merchant_id, id)
    if found.kind is not kind:
        raise NotFound
    return send_view(found.view())


async def _listed(request: Request, kind: TransferKind) -> Response:
    principal = await identify(request, Scope.ACCOUNT_READ)
    asked = read_query(request, _PARAMETERS)
    till = desk(request).till
    place = Place(till.vault, principal.merchant_id, f"{kind}s", asked)
    query = TransferQuery(
        kind=kind,
        statuses=asked.get("status", frozenset()),
        created_from=asked.get("created_from"),
        created_to=asked.get("created_to"),
        before=place.id_in(asked["cursor"]) if "cursor" in asked else None,
        limit=asked.get("limit", DEFAULT_LIMIT),
    )
    return send_page(place, await till.transfers.list(principal.merchant_id, query))
