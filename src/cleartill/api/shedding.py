"""What is said at the door: to those who are not let in, an answer that is made once for each address and filled in for
each of them (to make it anew takes 14 µs, to fill it in 3); and, in such a crowd, to whoever asks whether we live."""

import re
from functools import lru_cache
from secrets import token_hex
from socket import MSG_PEEK, socket

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cleartill.api.admission import Overloaded
from cleartill.api.arrival import headers_of_all, request_id
from cleartill.api.errors import problem
from cleartill.ports import Visit

_ID, _TRACE = "their-request", "its-trace"
_ALIVE = b'{"status":"ok"}'
LIVE = b"/health/live"
ADDRESSES = 256
HEAD_MAX = 1024
_NOT_OF_A_CHECK = re.compile(rb"\r\n(x-request-id|content-length|transfer-encoding|expect)[ \t]*:", re.IGNORECASE)


def refusal(url: bytes, retry_after_s: int, sent_id: bytes | None, *, last: bool) -> bytes:
    """Status line, headers and body for a request to that URL. `sent_id`: its X-Request-ID; `last`: the connection ends
    with it."""
    id, trace_id = request_id(sent_id).encode("latin-1"), token_hex(16).encode()
    before, between, after = _body(url.partition(b"?")[0], retry_after_s)
    body = b"".join((before, id, between, trace_id, after))
    closing = b"connection: close\r\n" if last else b""
    return b"%b%d\r\nx-request-id: %b\r\n%b\r\n%b" % (_head(retry_after_s), len(body), id, closing, body)


def told_on_the_way_in(caller: socket) -> bool:
    """Whether this new caller asked if we live, was answered and is gone. Only a whole head is looked at, and one that
    a health check has: no body, no id of its own, no other request behind it."""
    try:
        seen = caller.recv(HEAD_MAX, MSG_PEEK)
        whole = seen.startswith(b"GET %b HTTP/1.1\r\n" % LIVE) and seen.find(b"\r\n\r\n") == len(seen) - 4
        if not whole or _NOT_OF_A_CHECK.search(seen):
            return False
        caller.recv(len(seen))  # what is left unread is answered by a reset
        caller.send(alive(None, last=True))
    except OSError:
        return False
    caller.close()
    return True


def alive(sent_id: bytes | None, *, last: bool) -> bytes:
    """As `health.live` says it."""
    visit = Visit("", "", request_id=request_id(sent_id))
    lines = [(b"content-length", b"%d" % len(_ALIVE)), (b"content-type", b"application/json"), *headers_of_all(visit)]
    if last:
        lines.append((b"connection", b"close"))
    return b"".join((STATUS_LINE[200], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", _ALIVE))


@lru_cache(ADDRESSES)
def _body(path: bytes, retry_after_s: int) -> tuple[bytes, bytes, bytes]:
    """Up to the request's id, from there to the trace's, and the rest."""
    visit = Visit(_TRACE, "", request_id=_ID)
    known = {"path": path.decode("ascii", "replace"), "cleartill.visit": visit}
    before, _, rest = bytes(problem(known, Overloaded(retry_after_s)).body).rpartition(_ID.encode())
    between, _, after = rest.partition(_TRACE.encode())
    return before, between, after


@lru_cache(ADDRESSES)
def _head(retry_after_s: int) -> bytes:
    """Up to the value of Content-Length, which comes last."""
    visit = Visit("", "", request_id="")
    answer = problem({"path": "/", "cleartill.visit": visit}, Overloaded(retry_after_s))
    lines = [*answer.raw_headers, *headers_of_all(visit)]
    kept = [b"%b: %b\r\n" % line for line in lines if line[0] not in (b"content-length", b"x-request-id")]
    return b"".join((STATUS_LINE[503], *kept, b"content-length: "))
