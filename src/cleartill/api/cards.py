"""Stored cards: what may be shown of one, and erasing it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.merchant import Scope
from cleartill.usecases.erase_card import erase_card

router = APIRouter(prefix="/api/v1/cards", tags=["cards"], route_class=LeanRoute)
CardToken = Annotated[str, Path(description="`card_…`", examples=["card_01kabcdefghjkmnpqrstvwxyz0"])]


class StoredCardView(BaseModel):
    """What may be shown of a stored card (PCI DSS 3.4.1)."""

    id: str = Field(description="The card token.", examples=["card_01kabcdefghjkmnpqrstvwxyz0"])
    brand: str = Field(examples=["visa"])
    last4: str = Field(examples=["4242"])
    bin: str = Field(examples=["424242"])
    expiry_month: int
    expiry_year: int
    fingerprint: str = Field(description="Equal for one card number within a merchant.")
    created_at: datetime


class ErasedView(BaseModel):
    id: str
    deleted: bool = Field(examples=[True])


@router.get(
    "/{token}",
    summary="Read a stored card",
    responses={200: {"model": StoredCardView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_card(request: Request, token: CardToken) -> Response:
    """Never its number: that leaves the vault for the provider only."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    about(request, token)
    return send_view((await desk(request).till.reads.card(principal.merchant_id, token)).view())


@router.delete(
    "/{token}",
    summary="Erase a stored card",
    responses={200: {"model": ErasedView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def delete_card(request: Request, token: CardToken) -> Response:
    """For good. Payments made with it keep its brand and last four digits; a new one finds no such card."""
    here = arrival(request)
    principal = await identify(request, Scope.PAYMENTS_WRITE)
    about(request, token)
    await erase_card(desk(request).till, principal.merchant_id, token, here.origin())
    return send_view({"id": token, "deleted": True})
