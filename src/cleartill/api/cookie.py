"""The browser's side of a session: its cookie, and making sure that a request comes from our own page.

Decisions. The cookie is `__Host-` and Secure, so that neither a neighbour's host nor plain HTTP can set or see it; on
plain-http localhost, where nobody has certificates, it drops both, but never in production. Which of the two names is
read depends on the request alone: the lesser one is nothing elsewhere. A browser says by itself where a request comes
from: `Sec-Fetch-Site`, or else `Origin`, which no page can forge; it is believed first, as Go's CrossOriginProtection
does. Whatever changes something needs besides the token that the session's own page was given, in a header that no
other site's page can send.
"""

import hmac
import re
from dataclasses import dataclass

from starlette.requests import Request

from cleartill.api.desk import desk
from cleartill.api.errors import CsrfFailed
from cleartill.domain.errors import Unauthenticated
from cleartill.domain.session import CSRF_MARK, MARK, Session, is_token

SECURE, LOCAL = "__Host-cleartill", "cleartill_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCALHOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Presented:
    """A session, and the token it was presented by."""

    session: Session
    token: str


async def session_of(request: Request) -> Presented:
    """The session behind the request's cookie, once it is sure that its own page asks. Raises Unauthenticated;
    CsrfFailed."""
    token, till = cookie_of(request), desk(request).till
    if token is None or not is_token(token):
        raise Unauthenticated
    require_same_origin(request)
    session = await till.sessions.resume(till.vault.mark(MARK, token))
    if session is None:
        raise Unauthenticated
    if request.method not in SAFE:
        sent = _only(request, CSRF_HEADER.lower().encode()) or b""
        if not hmac.compare_digest(sent, till.vault.mark(CSRF_MARK, token).encode()):
            raise CsrfFailed(f"A session changes nothing without its token in {CSRF_HEADER}")
    return Presented(session, token)


def cookie_of(request: Request) -> str | None:
    """What our cookie says; None if there is none. Raises Unauthenticated if there are two: one was planted."""
    name = cookie_name(request).encode()
    found = []
    for header, value in request.scope["headers"]:
        if header == b"cookie":
            pairs = [pair.strip().partition(b"=") for pair in value.split(b";")]
            found += [said for called, _, said in pairs if called == name]
    if len(found) > 1:
        raise Unauthenticated
    return found[0].decode("latin-1") if found else None


def require_same_origin(request: Request) -> None:
    """Raises CsrfFailed for a request that another site's page has made. What says nothing of it is no browser."""
    site, origin = _only(request, b"sec-fetch-site"), _only(request, b"origin")
    if site is not None:
        same = site in (b"same-origin", b"none")
    else:
        host = _host(request).lower()
        ours = (f"http://{host}", f"https://{host}") if host else ()
        same = origin is None or origin.decode("latin-1").lower() in ours
    if not same:
        raise CsrfFailed("The request was made by another site's page")


def cookie_name(request: Request) -> str:
    plain = request.scope["scheme"] == "http" and _LOCALHOST.fullmatch(_host(request))
    return LOCAL if plain and desk(request).environment != "production" else SECURE


def cookie_header(request: Request, token: str) -> dict[str, str]:
    """Sets it, for as long as the browser is open; the server decides when it ends. An empty token takes it away."""
    name = cookie_name(request)
    secure = "; Secure" if name == SECURE else ""
    gone = "" if token else "; Max-Age=0"
    return {"Set-Cookie": f"{name}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{gone}"}


def _host(request: Request) -> str:
    return (_only(request, b"host") or b"").decode("latin-1")


def _only(request: Request, name: bytes) -> bytes | None:
    """A header; sent several times, what was sent is nobody's."""
    found = [value for header, value in request.scope["headers"] if header == name]
    if len(found) > 1:
        return b""
    return found[0] if found else None
