"""Sessions of people in the console: login by e-mail address and API key, what a session is, logout."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import arrival
from cleartill.api.auth import SECURITY_OF_SESSIONS, carries_key
from cleartill.api.body import Body, body_of, read_body
from cleartill.api.cookie import Presented, cookie_header, cookie_of, require_same_origin, session_of
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.fields import text
from cleartill.api.limits import TOO_MANY, Rule, address_of, spend
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.errors import LoginFailed, Unauthenticated
from cleartill.domain.events import timestamp
from cleartill.domain.merchant import DEMO_API_KEY, Scope
from cleartill.domain.session import CSRF_MARK, MARK
from cleartill.usecases.authenticate import authenticate
from cleartill.usecases.login import login

router = APIRouter(prefix="/api/v1/auth", tags=["console"], route_class=LeanRoute)


class LoginBody(Body):
    """An API key, and the e-mail address of the merchant it belongs to."""

    email: Annotated[str, text(254, examples=["demo@merchant.example"])]
    api_key: Annotated[str, text(255, examples=[DEMO_API_KEY])]


class SessionView(BaseModel):
    merchant_id: str
    merchant_name: str
    email: str
    key_id: str = Field(description="The API key behind it.", examples=["key_01kabcdefghjkmnpqrstvwxyz0"])
    scopes: list[Scope] = Field(description="Those of the key behind it, as they are now.")
    expires_at: datetime = Field(description="When it ends if nothing more is asked.")
    environment: str = Field(examples=["development"])
    links: dict[str, str] = Field(
        description="`trace`: where a trace can be looked at, `{trace_id}` to be replaced; absent if nowhere.",
        examples=[{"trace": "https://app.datadoghq.com/apm/trace/{trace_id}"}],
    )
    csrf_token: str = Field(description="To be sent as `X-CSRF-Token` with whatever changes something.")


_LOGIN = {"the demo merchant": {"email": "demo@merchant.example", "api_key": DEMO_API_KEY}}
_SET = {"Set-Cookie": {"description": "The session's cookie.", "schema": {"type": "string"}}}


@router.post(
    "/login",
    summary="Log in to the console",
    responses={
        200: {"model": SessionView, "headers": _SET},
        429: TOO_MANY,
        **problems(401, 403, 408, 413, 415, 422, 503),
    },
    openapi_extra=body_of(LoginBody, _LOGIN),
)
async def log_in(request: Request) -> Response:
    """Sets the cookie of a new session, and ends the one whose cookie came along. At most 5 times a minute from one
    address. Whatever is wrong, it is one and the same 401. For browsers: whoever has a key needs no session."""
    require_same_origin(request)
    await spend(request, Rule.LOGIN, address_of(request))
    here, till = arrival(request), desk(request).till
    body = await read_body(request, LoginBody)
    try:
        principal = await authenticate(till, body.api_key.strip())
    except Unauthenticated:
        raise LoginFailed from None
    here.visit.actor, here.visit.merchant_id = principal.key_id, principal.merchant_id
    token, session = await login(till, principal, body.email.strip(), instead_of=_before(request), origin=here.origin())
    here.visit.subject_id = session.id
    answer = send_view(_view(request, Presented(session, token)))
    answer.headers.update(cookie_header(request, token))
    return answer


@router.get(
    "/session",
    summary="Read one's session",
    responses={200: {"model": SessionView}, **problems(401, 403, 503)},
    openapi_extra={"security": SECURITY_OF_SESSIONS},
)
async def get_session(request: Request) -> Response:
    """Of the cookie: a request with a key has none. It ends 30 minutes after its last request (up to one minute
    earlier), 12 hours after the login, and at once when its key is revoked."""
    return send_view(_view(request, await _own(request)))


@router.post(
    "/logout",
    status_code=204,
    summary="Log out",
    responses=problems(401, 403, 503),
    openapi_extra={"security": SECURITY_OF_SESSIONS},
)
async def log_out(request: Request) -> Response:
    """Ends the session for good, and takes its cookie away."""
    own, till = await _own(request), desk(request).till
    await till.sessions.end(till.vault.mark(MARK, own.token), arrival(request).origin())
    return Response(status_code=204, headers=cookie_header(request, ""))


async def _own(request: Request) -> Presented:
    """Raises Unauthenticated, CsrfFailed, RateLimited."""
    if carries_key(request):
        raise Unauthenticated
    own = await session_of(request)
    visit = arrival(request).visit
    visit.actor, visit.merchant_id, visit.subject_id = own.session.key_id, own.session.merchant_id, own.session.id
    await spend(request, Rule.GLOBAL, own.session.merchant_id)
    return own


def _before(request: Request) -> str | None:
    """The token that the browser had before its login."""
    try:
        return cookie_of(request)
    except Unauthenticated:  # two: the next request will say so
        return None


def _view(request: Request, own: Presented) -> dict[str, Any]:
    at, session = desk(request), own.session
    return {
        "merchant_id": session.merchant_id,
        "merchant_name": session.merchant_name,
        "email": session.email,
        "key_id": session.key_id,
        "scopes": [str(scope) for scope in session.scopes],
        "expires_at": timestamp(session.expires_at),
        "environment": at.environment,
        "links": {"trace": at.trace_url} if at.trace_url else {},
        "csrf_token": at.till.vault.mark(CSRF_MARK, own.token),
    }
