"""Trace context in and out of the process: Datadog's headers and W3C Trace Context.

Inbound, Datadog's headers win over W3C's when both are there (as in Datadog's own tracers, `datadog,tracecontext`);
headers that do not make sense are as good as absent. Outbound both styles are sent, with the span that is under way as
parent. `tracestate` of others is not passed on: the next hop is another company (W3C Trace Context, 4.3 and 8).

The upstream's sampling decision is kept, whichever it is, unless the outcome deserves more: see `flight`.
"""

import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random

_random = Random()  # trace ids need to be unlike each other, not secret
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_HIGH_BITS = re.compile(r"(?:^|,)\s*_dd\.p\.tid=([0-9a-f]{16})(?:,|$)", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,20}", re.ASCII)
_MAX_64 = 2**64 - 1
_KNUTH = 1111111111111111111
"""Datadog's own factor, so that tracers beside us that keep the same share keep the same traces."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a piece of work hangs: the trace, the parent's span, and whether the caller keeps the trace; None if it
    did not say."""

    trace_id: str
    parent_id: str
    keep: bool | None


here: ContextVar["tuple[str, str, bool] | None"] = ContextVar("cleartill.here", default=None)
"""Trace id, id of the span that is under way, keep flag."""


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
    found = {}
    for name, value in headers:
        if name == b"traceparent" or name.startswith(b"x-datadog-"):
            found[name] = value.decode("latin-1")
    if not found:
        return None
    return _from_datadog(found) or from_traceparent(found.get(b"traceparent"))


def _from_datadog(found: dict[bytes, str]) -> Context | None:
    low, parent = _number(found.get(b"x-datadog-trace-id")), _number(found.get(b"x-datadog-parent-id"))
    if not low or not parent:
        return None
    high = _HIGH_BITS.search(found.get(b"x-datadog-tags", "")[:512])
    priority = found.get(b"x-datadog-sampling-priority", "").strip()
    keep = int(priority) > 0 if priority in ("-1", "0", "1", "2") else None
    return Context(f"{high[1] if high else '0' * 16}{low:016x}", f"{parent:016x}", keep)


def _number(text: str | None) -> int:
    text = text.strip() if text else ""
    number = int(text) if _DECIMAL.fullmatch(text) else 0
    return number if number <= _MAX_64 else 0


def outgoing_headers() -> dict[str, str]:
    """Headers for a request that is about to be sent, in both styles; none outside of recorded work."""
    now = here.get()
    if now is None:
        return {}
    trace_id, span_id, keep = now
    return {
        "traceparent": f"00-{trace_id}-{span_id}-{'01' if keep else '00'}",
        "tracestate": f"dd=s:{1 if keep else 0};p:{span_id}",
        "x-datadog-trace-id": str(int(trace_id[16:], 16)),
        "x-datadog-parent-id": str(int(span_id, 16)),
        "x-datadog-sampling-priority": "1" if keep else "0",
        "x-datadog-tags": f"_dd.p.tid={trace_id[:16]}",
    }
