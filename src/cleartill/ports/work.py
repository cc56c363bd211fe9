"""Where a piece of work comes from, and what it did on its way."""

from asyncio import Future
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a piece of work, and the trace it belongs to. `trace_id`: 32 hex digits; `span_id`: 16, the span
    the work runs under; `keep`: whether the trace is kept whatever its outcome."""

    actor: str
    request_id: str
    trace_id: str
    span_id: str
    keep: bool = True

    @property
    def traceparent(self) -> str:
        """W3C Trace Context."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.keep else '00'}"


@dataclass(slots=True)
class Visit:
    """One HTTP request as the layers share it, under `scope["cleartill.visit"]`: telemetry makes it with its trace
    ids, the API fills in the rest, telemetry renders it when the request and the `work` it started have ended."""

    trace_id: str
    span_id: str
    keep: bool = True
    request_id: str = ""
    route: str = ""
    actor: str = ""
    merchant_id: str = ""
    subject_id: str = ""
    problem_code: str = ""
    work: list[Future[Any]] = field(default_factory=list)


@dataclass(slots=True)
class Hop:
    """One step of a piece of work: nanoseconds since the epoch, how it ended, a few tags."""

    name: str
    start_ns: int
    end_ns: int = 0
    outcome: str = "ok"
    tags: dict[str, Any] = field(default_factory=dict)
