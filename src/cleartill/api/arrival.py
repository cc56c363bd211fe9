"""Every request comes in here: its id, its deadline, the headers we read, the bounds on them; and every answer leaves
here, with the headers that all answers carry."""

import re
from dataclasses import dataclass
from secrets import token_hex

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cleartill.api.admission import COUNTED, LET_IN, UNCOUNTED, Overloaded
from cleartill.api.desk import Desk
from cleartill.api.errors import HeadersTooLarge, MalformedRequest, problem
from cleartill.api.limits import headers_of_standings
from cleartill.api.pan import holds_pan
from cleartill.domain.errors import NotFound
from cleartill.domain.ids import new_id
from cleartill.ports import Origin, Visit

MAX_HEADER_BYTES = 16 * 1024
ADMISSION = "cleartill.admission"
"""In a server's state: the process's `Admission`. In a scope: whether it counts (`admission`)."""
REFUSAL = "cleartill.refusal"
"""In a scope: what `protocol` has answered the request with, whose rest will not come."""
_READ = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"idempotency-key",
        b"x-request-id",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"stripe-signature",
    }
)
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_ID = re.compile(r"[a-z]{1,8}_[0-9a-z]{1,32}")
_NO_STORE = (b"cache-control", b"no-store")
_KEPT = "/console"
"""Below it are files, which say themselves how long they may be kept; refusals there are like all others."""
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_LAST = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Arrival:
    """`headers`: the ones the API reads, by lower-case name, each sent once. `deadline`: monotonic seconds by which
    the caller must be answered."""

    headers: dict[bytes, bytes]
    deadline: float
    visit: Visit

    def origin(self) -> Origin:
        visit = self.visit
        return Origin(visit.actor, visit.request_id, visit.trace_id, visit.span_id, visit.keep)


def arrival(request: Request) -> Arrival:
    found: Arrival = request.scope["cleartill.arrival"]
    return found


def about(request: Request, id: str) -> None:
    """Note which object the request is about. Raises NotFound for a text that is no id, so that what a caller wrote
    into the path (a NUL, a card number) reaches neither the database nor a log."""
    if not _ID.fullmatch(id):
        raise NotFound
    request.scope["cleartill.visit"].subject_id = id


class Arrivals:
    """Pure ASGI, and all there is between server and router: what is raised in there becomes a problem here.
    `/x/` is taken as `/x`, without a redirect that would lose a POST's body. Once the process is leaving, each answer
    is the last on its connection: callers go elsewhere before the server closes what is idle, so that none meets it."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk, self._till = app, desk, desk.till

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        now = self._till.clock.monotonic()
        deadline = now + self._till.budget_s
        visit = scope.get("cleartill.visit")
        if visit is None:
            visit = scope["cleartill.visit"] = Visit(token_hex(16), token_hex(8))
        path: str = scope["path"]
        if path[-1:] == "/" and len(path) > 1:
            path = scope["path"] = path[:-1]
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._out_of_hand(scope)
                standing = headers_of_standings(scope, self._till.clock)
                said: list[tuple[bytes, bytes]] = message["headers"]
                kept = path.startswith(_KEPT) and any(name == _NO_STORE[0] for name, _ in said)
                message["headers"] = [*said, *headers_of_all(visit, path, kept=kept), *standing]
                if self._desk.leaving:
                    message["headers"].append(_LAST)
            await send(message)

        try:
            self._let_in(scope, path, now)
            headers, refusal = _headers(scope)
            visit.request_id = request_id(headers.get(b"x-request-id"))
            if refusal is not None:
                raise refusal
            scope["cleartill.arrival"] = Arrival(headers, deadline, visit)
            await self._app(scope, receive, answer)
        except Exception as exc:
            if started:
                raise
            await problem(scope, exc)(scope, receive, answer)
        finally:
            self._out_of_hand(scope)

    def _let_in(self, scope: Scope, path: str, now: float) -> None:
        """Raises Overloaded, where `protocol` has not decided: there is another server than ours, or the request came
        behind another on its connection (and does not count: its body may be long in coming)."""
        admission, said = self._desk.admission, scope.get(ADMISSION)
        if said in (LET_IN, COUNTED) or not admission.minds(path):
            return
        if not admission.admits(now):
            self._till.watch.count("http.shed")
            raise Overloaded(admission.retry_after_s)
        if said is None:
            admission.enter()
            scope[ADMISSION] = COUNTED

    def _out_of_hand(self, scope: Scope) -> None:
        if scope.get(ADMISSION) is COUNTED:
            scope[ADMISSION] = UNCOUNTED
            self._desk.admission.leave()


def headers_of_all(visit: Visit, path: str = "/", *, kept: bool = False) -> list[tuple[bytes, bytes]]:
    """The headers that every answer carries. `kept`: it says itself how long it may be kept."""
    headers = [(b"x-request-id", visit.request_id.encode("latin-1")), _NO_SNIFF]
    return headers if kept or path.startswith("/docs") else [*headers, _NO_STORE]


def _headers(scope: Scope) -> tuple[dict[bytes, bytes], Exception | None]:
    """The headers we read, and what is wrong with them. The target counts as a header: it is bounded like one."""
    found: dict[bytes, bytes] = {}
    refusal: Exception | None = None
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4  # ": " and CRLF
        if name in _READ:
            if name in found:
                refusal = MalformedRequest(f"The header {name.decode()} was sent more than once")
            found[name] = value
    if size > MAX_HEADER_BYTES:
        refusal = HeadersTooLarge(f"Headers may take {MAX_HEADER_BYTES} bytes in all")
    return found, refusal


def request_id(sent: bytes | None) -> str:
    """The caller's own id, if it is short, printable and no card number; else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        text = sent.decode("ascii")
        if not holds_pan(text):
            return text
    return new_id("req")
