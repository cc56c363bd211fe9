"""uvicorn's HTTP protocol with bounds on what a caller can do before the application sees a request, or after it has
answered: bytes, seconds, and problems for answers where uvicorn has plain text.

Decisions. The application bounds what it is given (`arrival`, `body`); here is bounded what it would never be given: a
head or trailer without end, a body that drips, a body nobody reads. One sweep a second over the server's connections
looks for requests that are late; a timer for each request would cost 4 µs, this costs a stamp.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Any
from weakref import WeakSet

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from cleartill.api.admission import COUNTED, LET_IN, TELL_S, UNCOUNTED, Admission
from cleartill.api.arrival import ADMISSION, MAX_HEADER_BYTES, REFUSAL, headers_of_all
from cleartill.api.body import MAX_BODY_BYTES
from cleartill.api.errors import BodyTooLarge, HeadersTooLarge, MalformedRequest, RequestTooSlow, problem
from cleartill.api.shedding import LIVE, alive, refusal, told_on_the_way_in
from cleartill.domain.errors import CleartillError
from cleartill.domain.ids import new_id
from cleartill.ports import Visit

MAX_HEAD_BYTES = MAX_HEADER_BYTES + 1024
"""The headers, and room for a request line and blanks: `arrival` weighs a head that has an end."""
MAX_MESSAGE_BYTES = 8 * MAX_BODY_BYTES
"""More than the largest allowed request can take, even in chunks of one byte (six bytes each)."""

_swept: WeakSet[ServerState] = WeakSet()
"""The servers with a sweep to come."""


class BoundedProtocol(HttpToolsProtocol):
    """`within_s`: seconds from a request's first byte to its last. `first_word_s`: how long a caller who has just come
    may think, while the server ends. A connection without a request is closed after uvicorn's `timeout_keep_alive`.
    Answers leave in the order of their requests, refusals too (RFC 9112, 9.3.2)."""

    within_s = 10.0
    first_word_s = 1.0
    sweep_every_s = 1.0

    _began = 0.0
    """When the request that is coming in was first heard of (the loop's time); 0 when none is. A beginning in the chunk
    that ends the request before it goes unnoticed till the next chunk; if none comes, that is an idle connection."""
    _bytes = 0
    """What has come in since `_began`."""
    _in_body = False
    _unanswered = 0
    """Requests that the application has and has not answered to the end."""
    _refusal: CleartillError | None = None
    """Why nothing more is taken from this connection."""
    _new = True
    """No request has come in yet."""
    _leaving = False
    """The server is ending: the next answer is the last."""
    _shedding = False
    """The request that is coming in was answered at its head: what comes of it is not read."""
    _admission: Admission | None = None

    def answers_at_once(self, caller: socket.socket) -> bool:
        """Whether this caller, who is not connected yet, has had the answer and is gone. In a crowd those are who come
        to ask whether we live: to be let in first takes three turns of the loop, and in one turn all have their say
        who are there already (at ten times the capacity the 99th percentile was 150 ms, and is 70)."""
        admission = self.app_state.get(ADMISSION)
        return admission is not None and admission.untold > 0 and told_on_the_way_in(caller)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._admission = self.app_state.get(ADMISSION)
        self._await_request()
        if self.server_state not in _swept:
            _swept.add(self.server_state)
            self.loop.call_later(self.sweep_every_s, _sweep, self.loop, self.server_state, self.sweep_every_s)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if not self._began:
            self._began = self.loop.time()
        self._bytes += len(data)
        super().data_received(data)
        if not self._began or self._refusal is not None:
            return
        if self._in_body:
            if self._bytes > MAX_MESSAGE_BYTES:
                self._refuse(BodyTooLarge(f"A body may take {MAX_BODY_BYTES} bytes"))
        elif self._bytes > MAX_HEAD_BYTES:
            self._refuse(HeadersTooLarge(f"Headers may take {MAX_HEADER_BYTES} bytes in all"))

    # ── what the parser says ──

    def on_headers_complete(self) -> None:
        if self._admission is not None:
            behind_another = self._unanswered > 0  # and is to be refused only after it: by `arrival`
            asks_for_life = self.url == LIVE and self.parser.get_method() == b"GET"
            if self._admission.untold and asks_for_life and not behind_another:
                self._answer_at_the_door(alive)  # in this crowd, the way through the application is a tenth of a second
                return
            uncounted = behind_another or not self._admission.minds(self.url.decode("ascii", "replace"))
            if not uncounted and not self._admission.admits(monotonic()):
                self._shed(self._admission)
                return
            self.scope[ADMISSION] = UNCOUNTED if uncounted else LET_IN  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False
        self.headers = []  # trailers are no headers (RFC 9110, 6.5.1), but uvicorn would append them to the scope's
        self._in_body, self._new = True, False
        self._unanswered += 1

    def on_body(self, body: bytes) -> None:
        if not self._shedding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._shedding:
            self._shedding, self._new = False, False
            self._began, self._bytes, self._in_body = 0.0, 0, False
            self._await_request()
            return
        super().on_message_complete()
        if self._admission is not None and self.scope.get(ADMISSION) is LET_IN and not self.cycle.response_complete:
            self._admission.enter()
            self.scope[ADMISSION] = COUNTED  # type: ignore[literal-required]
        self._began, self._bytes, self._in_body = 0.0, 0, False
        if self.cycle.response_complete:  # answered before it had ended: uvicorn's own wait was cut short by its rest
            self._await_request()

    def on_response_complete(self) -> None:
        self._unanswered -= 1
        super().on_response_complete()
        if self._refusal is not None and not self._unanswered:
            self._say(self._refusal)

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequest(msg))

    # ── the end ──

    def shutdown(self) -> None:
        """The server takes no more connections. A request that is under way or coming in is answered, and so is the
        first one of a caller who has just been let in; uvicorn alone would cut off the last two."""
        self._leaving = True
        if self._unanswered:
            self.cycle.keep_alive = False
        elif self._new:
            self.loop.call_later(self.first_word_s, self._hang_up)
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        if not self._unanswered and not self._began and not self.transport.is_closing():
            self.transport.close()

    # ── refusals ──

    def cut_off(self, before: float) -> None:
        """Refuse the request that is coming in if it began `before`, unless it is we who are not reading it."""
        if not 0 < self._began < before:
            return
        if self.flow.read_paused:
            self._began = self.loop.time()
        else:
            self._refuse(RequestTooSlow("The request did not arrive in time"))

    def _refuse(self, refusal: CleartillError) -> None:
        """Take nothing more; answer the request that is coming in once those before it are answered, and close."""
        self._refusal, self._began = refusal, 0.0
        cycle = self.cycle
        if self._in_body and (self._shedding or cycle.response_started):  # it has had its answer, or a part of it
            self.transport.close()
            return
        if self._in_body:
            cycle.disconnected = True
            cycle.scope[REFUSAL] = refusal  # type: ignore[literal-required]
            cycle.message_event.set()
            self._unanswered -= 1
        if not self._unanswered:
            self._say(refusal)

    def _shed(self, admission: Admission) -> None:
        if not admission.untold:
            self.loop.call_later(TELL_S, admission.tell)
        admission.untold += 1
        self._answer_at_the_door(partial(refusal, self.url, admission.retry_after_s))

    def _answer_at_the_door(self, answer: Callable[..., bytes]) -> None:
        """Answer the request whose head has come; the rest of it is read over, and the connection kept."""
        self._shedding = self._in_body = True
        last = self._leaving or not self.parser.should_keep_alive()
        self.transport.write(answer(dict(self.headers).get(b"x-request-id"), last=last))
        if last:
            self.transport.close()

    def _say(self, refusal: CleartillError) -> None:
        if self.transport.is_closing():
            return
        known: dict[str, Any] = dict(self.scope) if self._in_body else {}
        visit = known.get("cleartill.visit") or Visit(token_hex(16), token_hex(8), request_id=new_id("req"))
        answer = problem({"path": known.get("path", "/"), "cleartill.visit": visit}, refusal)
        answer.headers["Connection"] = "close"
        headers = (*self.server_state.default_headers, *answer.raw_headers, *headers_of_all(visit))
        lines = (b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"".join((STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body))))
        self.transport.close()

    def _await_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)


def _sweep(loop: asyncio.AbstractEventLoop, server_state: ServerState, every_s: float) -> None:
    """Cut off who is late, once a second for as long as there are connections."""
    if not server_state.connections:
        _swept.discard(server_state)
        return
    now = loop.time()
    for connection in list(server_state.connections):
        if isinstance(connection, BoundedProtocol):
            connection.cut_off(now - connection.within_s)
    loop.call_later(every_s, _sweep, loop, server_state, every_s)
