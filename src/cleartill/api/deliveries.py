"""Webhook deliveries: what was told to whom, how each try went, and telling it again."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about
from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.page import DEFAULT_LIMIT, PAGING, Parameter, Place, one_of, read_query, send_page
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.merchant import Scope
from cleartill.domain.webhook import DeliveryStatus
from cleartill.ports import DeliveryQuery

router = APIRouter(prefix="/api/v1", tags=["webhooks"], route_class=LeanRoute)
EndpointId = Annotated[str, Path(description="`we_…`", examples=["we_01kabcdefghjkmnpqrstvwxyz0"])]
DeliveryId = Annotated[str, Path(description="`dlv_…`", examples=["dlv_01kabcdefghjkmnpqrstvwxyz0"])]

_PARAMETERS = (
    Parameter("status", one_of(DeliveryStatus, DeliveryStatus.FAILED), "In one of these states.", several=True),
    *(parameter for parameter in PAGING if parameter.name in ("limit", "cursor")),
)


class DeliveryView(BaseModel):
    id: str
    endpoint_id: str
    event_id: str = Field(description="The message's `webhook-id`, equal for each try.")
    event_type: str = Field(examples=["payment.captured"])
    subject: str = Field(description="What the event is about: a payment, a merchant …")
    sequence: int = Field(description="The event's number within its subject.")
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None = Field(description="While it waits for one.")
    delivered_at: datetime | None
    created_at: datetime


class TryView(BaseModel):
    number: int
    at: datetime
    status: int | None = Field(description="HTTP status of the answer, if there was one.")
    error: str | None = Field(description="Why there was none that counts.", examples=["timeout"])
    latency_ms: float
    response: str = Field(description="The first 1,024 bytes of it.")


class ToldView(DeliveryView):
    tries: list[TryView] = Field(description="The oldest first; of more than 1,000 the last.")
    event: dict[str, Any] = Field(description="The CloudEvent that is delivered.")


class DeliveryPage(BaseModel):
    data: list[DeliveryView]
    has_more: bool
    next_cursor: str | None


@router.get(
    "/webhook-endpoints/{id}/deliveries",
    summary="List a webhook endpoint's deliveries",
    responses={200: {"model": DeliveryPage}, **problems(401, 403, 404, 422, 503)},
    openapi_extra={"security": SECURITY, "parameters": [parameter.described() for parameter in _PARAMETERS]},
)
async def list_deliveries(request: Request, id: EndpointId) -> Response:
    """The newest event first; follow `next_cursor` until there is none."""
    principal = await identify(request, Scope.ACCOUNT_READ)
    about(request, id)
    asked = read_query(request, _PARAMETERS)
    till, merchant_id = desk(request).till, principal.merchant_id
    place = Place(till.vault, merchant_id, f"deliveries of {id}", asked)
    query = DeliveryQuery(
        statuses=asked.get("status", frozenset()),
        before=place.id_in(asked["cursor"]) if "cursor" in asked else None,
        limit=asked.get("limit", DEFAULT_LIMIT),
    )
    await till.webhooks.get(merchant_id, id)
    return send_page(place, await till.webhooks.deliveries(merchant_id, id, query))


@router.get(
    "/webhook-deliveries/{id}",
    summary="Read a webhook delivery",
    responses={200: {"model": ToldView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_delivery(request: Request, id: DeliveryId) -> Response:
    """With each of its tries, and the event itself."""
    principal = await identify(request, Scope.ACCOUNT_READ)
    about(request, id)
    told = await desk(request).till.webhooks.delivery(principal.merchant_id, id)
    return send_view({**told.delivery.view(), "tries": [one.view() for one in told.tries], "event": told.event})


@router.post(
    "/webhook-deliveries/{id}/resend",
    status_code=202,
    summary="Send a webhook delivery again",
    responses={202: {"model": DeliveryView}, **problems(401, 403, 404, 409, 503)},
    openapi_extra={"security": SECURITY},
)
async def resend_delivery(request: Request, id: DeliveryId) -> Response:
    """At once, delivered before or not, with all of its tries before it; the message keeps its `webhook-id`."""
    principal = await identify(request, Scope.ACCOUNT_WRITE)
    about(request, id)
    return send_view((await desk(request).till.webhooks.resend(principal.merchant_id, id)).view(), 202)
