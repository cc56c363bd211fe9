"""Trace context in and out of the process: Datadog's headers and W3C Trace Context.

Inbound it is decided as Datadog's own tracers do (`datadog,tracecontext`). One trace in both styles: `traceparent` says
the parent, for who understands W3C alone may stand in between. Two traces: Datadog's is gone on with, and the root span
links to the other. What makes no sense, or stands twice, is as good as absent: no request is refused for its headers,
it begins a trace of its own. Outbound both styles are sent, with the span that is under way as parent.

`tracestate` of others goes on to the bank behind our own member, within the limits of W3C Trace Context, 3.3.1; it
stays in the process: neither what the books keep, nor events, nor merchants' webhooks carry it (8, privacy).

The upstream's sampling decision is kept, whichever it is, unless the outcome deserves more: see `flight`.
"""

import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from random import Random

_random = Random()  # noqa: S311  (trace ids need to be unlike each other, not secret)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]", re.ASCII)
_HIGH_BITS = re.compile(r"(?:^|,)\s*_dd\.p\.tid=([0-9a-f]{16})(?:,|$)", re.ASCII)
_LAST_DATADOG_SPAN = re.compile(r"(?:=|;)p:([0-9a-f]{16})(?:;|$)", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,20}", re.ASCII)
_MAX_64 = 2**64 - 1
_KNUTH = 1111111111111111111
"""Datadog's own factor, so that tracers beside us that keep the same share keep the same traces."""
MEMBERS_MAX, STATE_MAX, MEMBER_MAX = 32, 512, 128
"""Of `tracestate`: members, ours included; characters of the others; and of the members that are dropped first when
there are more characters."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a piece of work hangs: the trace, the parent's span, and whether the caller keeps the trace; None if it
    did not say. `parent_id`: 16 hex digits, zeroes for a trace whose caller has no span. `tracestate`: what others
    said. `datadog_parent`: the last span of a Datadog tracer, where somebody else's is the parent. `other`: the trace
    that the caller's other headers name."""

    trace_id: str
    parent_id: str
    keep: bool | None
    tracestate: str = ""
    datadog_parent: str = ""
    other: "Context | None" = None


Spot = tuple[str, str, bool, str]
"""Trace id, id of the span that is under way, keep flag, others' tracestate."""

here: ContextVar[Spot | None] = ContextVar("cleartill.here", default=None)


def new_trace_id() -> str:
    """128 bits as Datadog makes them: 32 of Unix seconds, 32 zero bits, 64 random; 32 hex digits."""
    return f"{int(time.time()) & 0xFFFFFFFF:08x}00000000{_random.getrandbits(64) or 1:016x}"


def new_span_id() -> int:
    """63 random bits, never zero."""
    return _random.getrandbits(63) or 1


def in_share(trace_id: str, share: float) -> bool:
    """Whether a trace is among the `share` that is kept: a function of its id alone, alike in every process."""
    return (int(trace_id[16:], 16) * _KNUTH & _MAX_64) <= share * _MAX_64


def from_traceparent(value: str | None) -> Context | None:
    """W3C Trace Context, section 3.2. A later version may have more fields; `ff` and zero ids are no context."""
    match = _TRACEPARENT.fullmatch(value.strip()) if value else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    return Context(trace_id, parent_id, bool(int(flags, 16) & 1))


def incoming(headers: Iterable[tuple[bytes, bytes]]) -> Context | None:
    """The caller's context, out of raw ASGI headers."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in (b"traceparent", b"tracestate") or name.startswith(b"x-datadog-"):
            text = value.decode("latin-1")
            found[name] = f"{found[name]},{text}" if name in found else text  # RFC 9110, 5.3: two ids are no id
    if not found:
        return None
    datadog, w3c = _from_datadog(found), from_traceparent(found.get(b"traceparent"))
    if w3c is not None and b"tracestate" in found:
        last = _LAST_DATADOG_SPAN.search(_own_member(found[b"tracestate"]))
        w3c = replace(w3c, tracestate=others_state(found[b"tracestate"]), datadog_parent=last[1] if last else "")
    return _resolved(datadog, w3c) if datadog and w3c else datadog or w3c


def _resolved(datadog: Context, w3c: Context) -> Context:
    """Both styles make sense: see the module's docstring."""
    if datadog.trace_id != w3c.trace_id:
        return replace(datadog, other=w3c)
    if datadog.parent_id == w3c.parent_id:
        return replace(datadog, tracestate=w3c.tracestate)
    last = w3c.datadog_parent or datadog.parent_id
    return replace(datadog, parent_id=w3c.parent_id, tracestate=w3c.tracestate, datadog_parent=last)


def _own_member(tracestate: str) -> str:
    members = (member.strip() for member in tracestate.split(","))
    return next((member for member in members if member.startswith("dd=")), "")


def others_state(tracestate: str) -> str:
    """The members of others as they may go on: all of them in order, or as many as the limits allow; none if one of
    them is malformed, or a key stands twice."""
    members = [member for member in (part.strip() for part in tracestate.split(",")) if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MEMBERS_MAX or len(keys) < len(members) or not all(map(_MEMBER.fullmatch, members)):
        return ""
    kept = [member for member in members if not member.startswith("dd=")][: MEMBERS_MAX - 1]
    if len(",".join(kept)) > STATE_MAX:
        kept = [member for member in kept if len(member) <= MEMBER_MAX]
    while len(",".join(kept)) > STATE_MAX:
        kept.pop()
    return ",".join(kept)


def _from_datadog(found: dict[bytes, str]) -> Context | None:
    """No parent is a parent of zeroes; one that makes no sense makes nonsense of all."""
    low, parent = _number(found.get(b"x-datadog-trace-id")), _number(found.get(b"x-datadog-parent-id", "0"))
    if not low or parent is None:
        return None
    high = _HIGH_BITS.search(found.get(b"x-datadog-tags", "")[:512])
    priority = found.get(b"x-datadog-sampling-priority", "").strip()
    keep = int(priority) > 0 if priority in ("-1", "0", "1", "2") else None
    return Context(f"{high[1] if high else '0' * 16}{low:016x}", f"{parent:016x}", keep)


def _number(text: str | None) -> int | None:
    text = text.strip() if text else ""
    number = int(text) if _DECIMAL.fullmatch(text) else None
    return number if number is not None and number <= _MAX_64 else None


def outgoing_headers(*, others: bool = True) -> dict[str, str]:
    """Headers for a request that is about to be sent, in both styles; none outside of recorded work. `others`: whether
    what other vendors said goes along."""
    now = here.get()
    if now is None:
        return {}
    trace_id, span_id, keep, said = now
    sent = carried(trace_id, span_id, keep)
    if others and said:
        sent["tracestate"] += f",{said}"
    return sent


def carried(trace_id: str, span_id: str, keep: bool) -> dict[str, str]:
    """A context in both styles, for HTTP and for messages."""
    return {
        "traceparent": f"00-{trace_id}-{span_id}-{'01' if keep else '00'}",
        "tracestate": f"dd=s:{1 if keep else 0};p:{span_id}",
        "x-datadog-trace-id": str(int(trace_id[16:], 16)),
        "x-datadog-parent-id": str(int(span_id, 16)),
        "x-datadog-sampling-priority": "1" if keep else "0",
        "x-datadog-tags": f"_dd.p.tid={trace_id[:16]}",
    }
