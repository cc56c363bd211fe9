"""What developers look up: the test cards with what each does, and the events with an example of each."""

from functools import cache
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.card import Pan
from cleartill.domain.errors import NotFound
from cleartill.domain.event_catalogue import DESCRIPTIONS, examples
from cleartill.domain.merchant import Scope
from cleartill.simulator.cards import TEST_CARDS

router = APIRouter(prefix="/api/v1", tags=["developers"], route_class=LeanRoute)


class TestCardView(BaseModel):
    number: str = Field(examples=["4242424242424242"])
    brand: str = Field(examples=["visa"])
    name: str = Field(examples=["approve"])
    meaning: str = Field(description="What happens.", examples=["approved (Visa)"])
    approved: bool = Field(description="Whether the bank says yes, if it says anything.")
    challenged: bool = Field(description="Whether the payer must approve on the bank's page first (3-D Secure).")
    decline: str | None = Field(description="The decline's code; if challenged: when the payer refuses.")
    response_code: str = Field(description="ISO 8583, field 39.", examples=["00"])
    avs: str = Field(description="Result of the address check.", examples=["Y"])
    cvc: str = Field(description="Result of the card-code check.", examples=["M"])
    fault: str | None = Field(description="How the bank fails to give a clear answer.", examples=["timeout_after"])
    bank_acts: bool = Field(description="Whether the bank did what was asked, whatever it says.")


class TestCardsView(BaseModel):
    data: list[TestCardView]


class EventTypeView(BaseModel):
    type: str = Field(examples=["payment.captured"])
    description: str
    example: dict[str, Any] = Field(description="A CloudEvent (1.0, JSON) as Kafka and webhooks carry it.")


class EventTypesView(BaseModel):
    data: list[EventTypeView]


@router.get(
    "/test-cards",
    summary="List the test cards",
    responses={200: {"model": TestCardsView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def list_test_cards(request: Request) -> Response:
    """Card numbers for trying things out, with what the bank's simulator does with each; any expiry to come and any
    card code will do. Nobody's cards: in production there are none (404)."""
    await identify(request, Scope.PAYMENTS_READ)
    if desk(request).environment == "production":
        raise NotFound
    return send_view(_test_cards())


@router.get(
    "/event-types",
    summary="List the events there are",
    responses={200: {"model": EventTypesView}, **problems(401, 403, 503)},
    openapi_extra={"security": SECURITY},
)
async def list_event_types(request: Request) -> Response:
    """What is told on Kafka and by webhooks: each type, what it means and what it looks like."""
    await identify(request, Scope.ACCOUNT_READ)
    return send_view(_event_types())


@cache
def _test_cards() -> dict[str, Any]:
    return {
        "data": [
            {
                "number": card.number,
                "brand": Pan(card.number).brand,
                "name": card.name,
                "meaning": card.meaning,
                "approved": card.approved,
                "challenged": card.challenged,
                "decline": card.decline,
                "response_code": card.response_code,
                "avs": card.avs,
                "cvc": card.cvc,
                "fault": card.fault,
                "bank_acts": card.approved if card.fault is None else card.fault.acts,
            }
            for card in TEST_CARDS
        ]
    }


@cache
def _event_types() -> dict[str, Any]:
    shown = examples()
    return {"data": [{"type": one, "description": DESCRIPTIONS[one], "example": shown[one]} for one in DESCRIPTIONS]}
