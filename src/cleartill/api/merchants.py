"""Merchants and their API keys. A key is shown once, in the answer that made it; afterwards its beginning at most."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about, arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.desk import desk
from cleartill.api.errors import FieldError, InvalidBody, problems
from cleartill.api.fields import Kind, text
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.errors import InvalidUrl, NotFound
from cleartill.domain.ids import new_id
from cleartill.domain.merchant import MERCHANT_SCOPES, Principal, Scope, new_key
from cleartill.ports import Till
from cleartill.usecases.add_endpoint import add_endpoint
from cleartill.usecases.issue_key import issue_key
from cleartill.usecases.onboard import onboard

router = APIRouter(prefix="/api/v1/merchants", tags=["merchants"], route_class=LeanRoute)
MerchantId = Annotated[str, Path(description="`mer_…`", examples=["mer_01kabcdefghjkmnpqrstvwxyz0"])]
KeyId = Annotated[str, Path(description="`key_…`", examples=["key_01kabcdefghjkmnpqrstvwxyz0"])]

# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_TEXT_OF_ADDRESS = text(2048, r"https?://[!-~]+")


def _web_address(value: object) -> str:
    found: str = _TEXT_OF_ADDRESS.check(value)
    try:
        parts = urlsplit(found)
        if parts.hostname and parts.port != 0:
            return found
    except ValueError:  # brackets that do not match, a port that is no number
        pass
    raise PydanticCustomError("field", "must be an http or https address")


WebAddress = Annotated[
    str, Kind(_web_address, {"type": "string", "format": "uri", "pattern": "^https?://[!-~]+$", "maxLength": 2048})
]
Name = Annotated[str, text(100, examples=["Tickets Ltd"])]


class MerchantBody(Body):
    """`webhook_url` becomes the merchant's first webhook endpoint, which hears of everything."""

    name: Name
    email: Annotated[str, text(254, r"[^@\s]+@[^@\s]+", examples=["ada@tickets.example"])]
    webhook_url: WebAddress | None = None


class KeyBody(Body):
    """`scopes`: no more than the key has that asks."""

    name: Annotated[str, text(100, examples=["checkout backend"])]
    scopes: Annotated[
        list[Literal["payments:write", "payments:read", "account:write", "account:read", "admin"]],
        Field(min_length=1, max_length=len(Scope)),
    ]


_MERCHANT = {"a merchant": {"name": "Tickets Ltd", "email": "ada@tickets.example"}}
_KEY = {"for a checkout backend": {"name": "checkout backend", "scopes": ["payments:write", "payments:read"]}}

# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class KeyView(BaseModel):
    """A key, masked."""

    id: str
    name: str
    prefix: str = Field(description="Its beginning, by which people tell keys apart.", examples=["sk_test_Ab3dEf9h…"])
    scopes: list[Scope]
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")


class NewKeyView(KeyView):
    api_key: str = Field(description="Shown once.", examples=["sk_test_Ab3dEf9hAb3dEf9hAb3dEf9hAb3dEf9hAb3dEf9h"])


class KeysView(BaseModel):
    data: list[KeyView] = Field(description="The newest first, at most 1,000.")


class MerchantView(BaseModel):
    id: str
    name: str
    email: str
    webhook_url: str | None
    created_at: datetime


class NewMerchantView(MerchantView):
    api_key: str = Field(description="Its first key, shown once; every scope but `admin`.")
    api_key_id: str
    webhook_endpoint_id: str | None = Field(description="Of its `webhook_url`.")
    webhook_secret: str | None = Field(description="What messages to it are signed with, shown once.")


# ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "",
    status_code=201,
    summary="Take on a merchant",
    responses={201: {"model": NewMerchantView}, **problems(401, 403, 404, 408, 409, 413, 415, 422, 503)},
    openapi_extra={"security": SECURITY, **body_of(MerchantBody, _MERCHANT)},
)
async def create_merchant(request: Request) -> Response:
    """For admin keys. There is no Idempotency-Key: to answer twice, the new API key would have to be stored in clear.
    Sent again, the e-mail address is taken (409)."""
    here = arrival(request)
    await identify(request, Scope.ADMIN)
    body = await read_body(request, MerchantBody)
    key, till = _new_key(request), desk(request).till
    if body.webhook_url is not None:
        await _check(till, body.webhook_url)
    merchant, first_key = await onboard(
        till,
        merchant_id=new_id("mer"),
        name=body.name,
        email=body.email,
        webhook_url=body.webhook_url,
        key=key,
        scopes=MERCHANT_SCOPES,
        origin=here.origin(),
    )
    here.visit.subject_id = here.visit.merchant_id = merchant.id
    hook: dict[str, str | None] = {"webhook_endpoint_id": None, "webhook_secret": None}
    if body.webhook_url is not None:
        endpoint, secret = await add_endpoint(till, merchant_id=merchant.id, url=body.webhook_url, origin=here.origin())
        hook = {"webhook_endpoint_id": endpoint.id, "webhook_secret": secret.reveal()}
    return send_view({**merchant.view(), "api_key": key, "api_key_id": first_key.id, **hook}, 201)


@router.get(
    "/{id}",
    summary="Read a merchant",
    responses={200: {"model": MerchantView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_merchant(request: Request, id: MerchantId) -> Response:
    """One's own; admin keys read any."""
    _its_own(request, await identify(request, Scope.ACCOUNT_READ), id)
    return send_view((await desk(request).till.merchants.get(id)).view())


@router.get(
    "/{id}/keys",
    summary="List a merchant's API keys",
    responses={200: {"model": KeysView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def list_keys(request: Request, id: MerchantId) -> Response:
    """Masked, the revoked ones too."""
    _its_own(request, await identify(request, Scope.ACCOUNT_READ), id)
    return send_view({"data": [key.view() for key in await desk(request).till.merchants.keys(id)]})


@router.post(
    "/{id}/keys",
    status_code=201,
    summary="Make another API key",
    responses={201: {"model": NewKeyView}, **problems(401, 403, 404, 408, 409, 413, 415, 422, 503)},
    openapi_extra={"security": SECURITY, **body_of(KeyBody, _KEY)},
)
async def create_key(request: Request, id: MerchantId) -> Response:
    """It works at once, everywhere. A key cannot give scopes that it lacks itself (403)."""
    here = arrival(request)
    principal = await identify(request, Scope.ACCOUNT_WRITE)
    _its_own(request, principal, id)
    body = await read_body(request, KeyBody)
    key = _new_key(request)
    made = await issue_key(
        desk(request).till,
        principal,
        merchant_id=id,
        name=body.name,
        key=key,
        scopes=tuple(scope for scope in Scope if scope in body.scopes),
        origin=here.origin(),
    )
    here.visit.subject_id = made.id
    return send_view({**made.view(), "api_key": key}, 201)


@router.delete(
    "/{id}/keys/{key_id}",
    summary="Revoke an API key",
    responses={200: {"model": KeyView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def revoke_key(request: Request, id: MerchantId, key_id: KeyId) -> Response:
    """It is refused at once, everywhere, and cannot come back. Again: the same answer."""
    principal = await identify(request, Scope.ACCOUNT_WRITE)
    _its_own(request, principal, id)
    about(request, key_id)
    till = desk(request).till
    revoked = await till.merchants.revoke_key(id, key_id, till.clock.now(), arrival(request).origin())
    return send_view(revoked.view())


async def _check(till: Till, url: str) -> None:
    """Before anything is written. Raises InvalidBody."""
    try:
        await till.courier.check(url)
    except InvalidUrl as refused:
        raise InvalidBody([FieldError("webhook_url", str(refused))]) from None


def _its_own(request: Request, principal: Principal, id: str) -> None:
    """Raises NotFound for another merchant's id, as for one that is not there; admin keys may name any."""
    about(request, id)
    if id != principal.merchant_id and not principal.may(Scope.ADMIN):
        raise NotFound
    arrival(request).visit.merchant_id = id


def _new_key(request: Request) -> str:
    return new_key("live" if desk(request).environment == "production" else "test")
