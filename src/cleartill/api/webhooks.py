"""Webhook endpoints: where a merchant wants to hear of events. Their secret is shown once, when it is made."""

from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.deliveries import DeliveryView
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import Kind, text
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.events import event_types
from cleartill.domain.merchant import Principal, Scope
from cleartill.domain.webhook import MAX_ENDPOINTS, Why
from cleartill.usecases.add_endpoint import add_endpoint
from cleartill.usecases.change_endpoint import change_endpoint
from cleartill.usecases.delete_endpoint import delete_endpoint
from cleartill.usecases.rotate_secret import rotate_secret
from cleartill.usecases.send_test import send_test

router = APIRouter(prefix="/api/v1/webhook-endpoints", tags=["webhooks"], route_class=LeanRoute)
EndpointId = Annotated[str, Path(description="`we_…`", examples=["we_01kabcdefghjkmnpqrstvwxyz0"])]

# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _event_types(value: object) -> tuple[str, ...]:
    known = event_types()
    if not isinstance(value, list) or len(value) > len(known) or not all(isinstance(one, str) for one in value):
        _refuse("must be a list of event types")
    if not known.issuperset(value):
        _refuse("holds a type of event that there is not")
    return tuple(sorted(set(value)))


def _refuse(reason: str) -> NoReturn:
    raise PydanticCustomError("field", "{reason}", {"reason": reason})


EventTypes = Annotated[
    tuple[str, ...],
    Kind(
        _event_types,
        {
            "type": "array",
            "items": {"type": "string", "enum": sorted(event_types())},
            "maxItems": len(event_types()),
            "description": "What it wants to hear of; an empty list: everything.",
            "examples": [["payment.captured", "refund.succeeded"]],
        },
    ),
]
Url = Annotated[
    str,
    text(
        2048,
        r"https?://[!-~]+",
        format="uri",
        description="https, and a public address; on a machine of your own http://127.0.0.1 too.",
        examples=["https://shop.example/webhooks"],
    ),
]
Description = Annotated[str, text(200, examples=["order service"])]


class EndpointBody(Body):
    url: Url
    event_types: EventTypes = ()
    description: Description | None = None


class EndpointChanges(Body):
    """What is not sent stays as it is. `enabled`: true also takes back what disabled it."""

    url: Url = ""
    event_types: EventTypes = ()
    description: Description | None = None
    enabled: bool = True

    def sent(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


_ENDPOINT = {
    "everything": {"url": "https://shop.example/webhooks"},
    "captures only": {"url": "https://shop.example/webhooks", "event_types": ["payment.captured"]},
}
_CHANGES = {"enable again": {"enabled": True}}

# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class EndpointView(BaseModel):
    id: str
    url: str
    event_types: list[str] = Field(description="Empty: all.")
    description: str | None
    status: Literal["enabled", "disabled"]
    disabled_reason: Why | None = Field(
        description="`gone`: its receiver answered 410. `failing`: nothing but failures for five days."
    )
    disabled_at: datetime | None
    failing_since: datetime | None = Field(description="When the failures began that no success has followed yet.")
    old_secret_until: datetime | None = Field(description="Until when the secret before this one signs too.")
    created_at: datetime
    updated_at: datetime


class NewEndpointView(EndpointView):
    secret: str = Field(description="Shown once; what messages are signed with (Standard Webhooks).")


class EndpointsView(BaseModel):
    data: list[EndpointView] = Field(description=f"The newest first, at most {MAX_ENDPOINTS}.")


class DeletedView(BaseModel):
    id: str
    deleted: bool = Field(examples=[True])


# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "",
    status_code=201,
    summary="Add a webhook endpoint",
    responses={201: {"model": NewEndpointView}, **problems(401, 403, 404, 408, 409, 413, 415, 422, 503)},
    openapi_extra={"security": SECURITY, **body_of(EndpointBody, _ENDPOINT)},
)
async def create_endpoint(request: Request) -> Response:
    """It hears of what happens from now on. A URL that leads to a private, local or reserved address is refused, here
    and whenever something is sent. Each message is a CloudEvent with a `sequence` per payment, signed as Standard
    Webhooks says; only 2xx within 10 s counts, and what was not heard is sent again for three days."""
    principal = await identify(request, Scope.ACCOUNT_WRITE)
    body = await read_body(request, EndpointBody)
    endpoint, secret = await add_endpoint(
        desk(request).till,
        merchant_id=principal.merchant_id,
        url=body.url,
        event_types=body.event_types,
        description=body.description,
        origin=arrival(request).origin(),
    )
    about(request, endpoint.id)
    return send_view({**endpoint.view(), "secret": secret.reveal()}, 201)


@router.get(
    "",
    summary="List webhook endpoints",
    responses={200: {"model": EndpointsView}, **problems(401, 403, 503)},
    openapi_extra={"security": SECURITY},
)
async def list_endpoints(request: Request) -> Response:
    """All of them, disabled ones too."""
    principal = await identify(request, Scope.ACCOUNT_READ)
    found = await desk(request).till.webhooks.endpoints(principal.merchant_id)
    return send_view({"data": [endpoint.view() for endpoint in found]})


@router.get(
    "/{id}",
    summary="Read a webhook endpoint",
    responses={200: {"model": EndpointView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_endpoint(request: Request, id: EndpointId) -> Response:
    """Without its secret."""
    principal = await _about(request, Scope.ACCOUNT_READ, id)
    return send_view((await desk(request).till.webhooks.get(principal.merchant_id, id)).view())


@router.patch(
    "/{id}",
    summary="Change a webhook endpoint",
    responses={200: {"model": EndpointView}, **problems(401, 403, 404, 408, 413, 415, 422, 503)},
    openapi_extra={"security": SECURITY, **body_of(EndpointChanges, _CHANGES)},
)
async def change(request: Request, id: EndpointId) -> Response:
    """What waits for it goes to the new address too. While it is disabled nothing is sent, and what happens then is
    not made up for."""
    principal = await _about(request, Scope.ACCOUNT_WRITE, id)
    changes = (await read_body(request, EndpointChanges)).sent()
    till, merchant_id = desk(request).till, principal.merchant_id
    if not changes:
        return send_view((await till.webhooks.get(merchant_id, id)).view())
    return send_view((await change_endpoint(till, merchant_id, id, changes, arrival(request).origin())).view())


@router.delete(
    "/{id}",
    summary="Delete a webhook endpoint",
    responses={200: {"model": DeletedView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def delete(request: Request, id: EndpointId) -> Response:
    """Nothing is sent there any more; what was delivered can still be read by its id."""
    principal = await _about(request, Scope.ACCOUNT_WRITE, id)
    await delete_endpoint(desk(request).till, principal.merchant_id, id, arrival(request).origin())
    return send_view({"id": id, "deleted": True})


@router.post(
    "/{id}/rotate-secret",
    summary="Rotate a webhook endpoint's secret",
    responses={200: {"model": NewEndpointView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def rotate(request: Request, id: EndpointId) -> Response:
    """For 24 hours the old secret signs beside the new one."""
    principal = await _about(request, Scope.ACCOUNT_WRITE, id)
    endpoint, secret = await rotate_secret(desk(request).till, principal.merchant_id, id, arrival(request).origin())
    return send_view({**endpoint.view(), "secret": secret.reveal()})


@router.post(
    "/{id}/test",
    status_code=202,
    summary="Send a test to a webhook endpoint",
    responses={202: {"model": DeliveryView}, **problems(401, 403, 404, 409, 503)},
    openapi_extra={"security": SECURITY},
)
async def test(request: Request, id: EndpointId) -> Response:
    """A `webhook_endpoint.test` event, whatever it wants to hear, tried once; the delivery tells what came of it."""
    principal = await _about(request, Scope.ACCOUNT_WRITE, id)
    sent = await send_test(desk(request).till, principal.merchant_id, id, arrival(request).origin())
    return send_view(sent.view(), 202)


async def _about(request: Request, scope: Scope, id: str) -> Principal:
    principal = await identify(request, scope)
    about(request, id)
    return principal
