"""Who is asking, and may they? One and the same 401 whatever is wrong with the key."""

from typing import Any

from starlette.requests import Request

from cleartill.api.arrival import arrival
from cleartill.api.cookie import CSRF_HEADER, LOCAL, SECURE, session_of
from cleartill.api.desk import desk
from cleartill.api.limits import OF_A_SESSION, Rule, spend
from cleartill.domain.errors import MissingScope, NotYourMerchant, Unauthenticated
from cleartill.domain.merchant import Principal, Scope
from cleartill.usecases.authenticate import authenticate

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer sk_test_…`"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, bare."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE,
        "description": f"The console's, set by a login; `{LOCAL}` on plain-http localhost. Nothing is changed without "
        f"the session's `csrf_token` in the header `{CSRF_HEADER}`. A request with a key ignores it.",
    },
}
SECURITY_OF_SESSIONS: list[dict[str, list[str]]] = [{"session": []}]
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}, *SECURITY_OF_SESSIONS]


async def identify(request: Request, scope: Scope, rule: Rule | None = None) -> Principal:
    """The principal behind the request's key, its request counted for its merchant: under the global rule, and under
    `rule` if this route has one of its own. Without a key, the one behind its session's cookie, which is not looked at
    if there is a key: they cannot disagree.

    Raises Unauthenticated; CsrfFailed; RateLimited; MissingScope if the key may not do this.
    """
    here, whose = arrival(request), None
    if carries_key(request):
        principal = await authenticate(desk(request).till, _presented(here.headers))
    else:
        session = (await session_of(request)).session
        principal, whose = session.principal, session.id
    here.visit.actor, here.visit.merchant_id = principal.key_id, principal.merchant_id
    await spend(request, Rule.GLOBAL, principal.merchant_id)
    if rule is not None and whose is not None and rule in OF_A_SESSION:
        await spend(request, OF_A_SESSION[rule], whose)
    elif rule is not None:
        await spend(request, rule, principal.merchant_id)
    if not principal.may(scope):
        raise MissingScope(f"This key lacks the scope {scope}")
    return principal


async def acting_for(request: Request, principal: Principal, merchant_id: str | None) -> str:
    """The merchant a body is about: the key's own, or for an admin any there is. Raises NotYourMerchant, NotFound."""
    if merchant_id is None or merchant_id == principal.merchant_id:
        return principal.merchant_id
    if Scope.ADMIN not in principal.scopes:
        raise NotYourMerchant
    return (await desk(request).till.merchants.get(merchant_id)).id


def carries_key(request: Request) -> bool:
    """Whether there is a key, good or bad: then the request is the key's alone."""
    headers = arrival(request).headers
    return b"authorization" in headers or b"x-api-key" in headers


def _presented(headers: dict[bytes, bytes]) -> str | None:
    """The key as sent; None if there is none, or two that differ. Raises Unauthenticated for another scheme."""
    bare, authorization = headers.get(b"x-api-key"), headers.get(b"authorization")
    if authorization is None:
        return bare.decode("latin-1") if bare is not None else None
    scheme, _, key = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or (bare is not None and bare != key):
        raise Unauthenticated
    return key.decode("latin-1")
