"""How it is going, for operators: one view of all processes."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.page import Parameter, one_of, read_query
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.merchant import Scope
from cleartill.domain.operations import Span, operations, reach
from cleartill.ports import Till

router = APIRouter(prefix="/api/v1", tags=["pictures"], route_class=LeanRoute)

_PARAMETERS = (Parameter("window", one_of(Span, Span.FIVE_MINUTES), "Of rates and percentiles; 5m if not given."),)
_AGE = Field(description="Seconds since it was measured; null if it never was.", examples=[2.5])

# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────────


class MoneyOf(BaseModel):
    currency: str = Field(examples=["USD"])
    amount: float
    amount_minor: int


class PaymentsRate(BaseModel):
    count: int = Field(description="Charges and confirmations whose outcome was recorded, doubt included.")
    per_s: float
    authorization_rate: float | None = Field(description="approved / (approved + declined); null if none was decided.")
    by_status: dict[str, int] = Field(description="Outcomes recorded; a payment may have several in its life.")
    by_provider: dict[str, int]
    declined_by_category: dict[str, int]
    captured: list[MoneyOf]


class Percentiles(BaseModel):
    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class LatencyView(BaseModel):
    total: Percentiles = Field(description="Of payments, from arrival to recorded outcome.")
    own: Percentiles = Field(description="The same, less the time that providers took.")
    http: Percentiles = Field(description="Of all requests.")


class HopPercentiles(Percentiles):
    name: str = Field(examples=["books.record"])


class ProviderNow(BaseModel):
    provider: str = Field(examples=["bank"])
    breaker: Literal["closed", "half_open", "open"] | None = Field(description="The worst of all processes'.")
    inflight: int
    calls: dict[str, int] = Field(description="By what the answers meant.")
    rejected: int = Field(description="Permits refused: nothing was sent.")
    authorization_rate: float | None
    latency: Percentiles


class HttpRate(BaseModel):
    per_s: float
    by_class: dict[str, int] = Field(examples=[{"2xx": 812, "4xx": 3}])


class Refusals(BaseModel):
    unauthorized: int
    rate_limited: int
    idempotency_replayed: int
    idempotency_conflict: int
    idempotency_in_progress: int
    books_conflict: int
    books_unavailable: int
    invariant_breaches: int


class OutboxNow(BaseModel):
    pending: int | None
    oldest_s: float | None
    published: int
    age_s: float | None = _AGE


class WebhooksNow(BaseModel):
    pending: int | None
    oldest_s: float | None
    delivered: int
    failed: int
    age_s: float | None = _AGE


class TransfersNow(BaseModel):
    pending: int | None
    dead: int | None = Field(description="Dead letters: nobody tries any more.")
    succeeded: int
    failed: int
    retried: int = Field(description="Put off after a transient fault.")
    age_s: float | None = _AGE


class DoubtsNow(BaseModel):
    count: int | None
    oldest_s: float | None
    money: list[MoneyOf]
    age_s: float | None = _AGE


class LastReconciliation(BaseModel):
    run: int
    clean: bool
    discrepancies: int
    new: int
    ended_at: datetime
    age_s: float


class AuditNow(BaseModel):
    """The audit chain: every row of the audit log is sealed into it."""

    unsealed: int | None = Field(description="Rows that have no seal yet; above 100,000 not counted further.")
    oldest_s: float | None
    head: int | None = Field(description="How many rows the chain has.")
    age_s: float | None = _AGE


class RoundsOf(BaseModel):
    done: int = Field(description="Rounds that did something.")
    idle: int
    failed: int


class WorkerNow(BaseModel):
    """A background worker: a loop that does what is due, in any number of processes."""

    name: str = Field(examples=["publish_outbox"])
    processes: int = Field(description="That live and run it.")
    rounds: RoundsOf
    done: int = Field(description="What they did, each in its own unit: events, tries, transfers …")
    failing: int = Field(description="Rounds in a row that have failed, in the process where it is worst; 0: well.")
    last_s: float | None = Field(description="Seconds since the end of its last round, wherever that was.")
    late_s: float | None = Field(
        description="How late its next round is where it is latest, or how long that takes already; null if no process "
        "runs it. A few seconds are the writing of these figures."
    )
    latency: Percentiles = Field(description="Of rounds that did something, or failed.")


class ProcessView(BaseModel):
    instance: str
    role: str = Field(examples=["api"])
    alive: bool = Field(description="Whether it has written within the last 20 s.")
    started_at: datetime
    age_s: float


class MinuteView(BaseModel):
    at: datetime
    payments: int
    authorization_rate: float | None
    errors: int = Field(description="Requests answered 5xx.")
    p95_ms: float | None = Field(description="Of payments, total; null before the window, and without payments.")
    own_p95_ms: float | None


class OperationsView(BaseModel):
    """Counts are of the window; each part says how old it is."""

    as_of: datetime
    window: Span
    measured_s: float = Field(description="What rates are divided by: less than the window if all began later.")
    age_s: float | None = _AGE
    precision: float = Field(description="The greatest relative error of a percentile.", examples=[0.02])
    payments: PaymentsRate
    latency: LatencyView
    hops: list[HopPercentiles]
    providers: list[ProviderNow]
    http: HttpRate
    refusals: Refusals
    outbox: OutboxNow
    webhooks: WebhooksNow
    transfers: TransfersNow
    doubts: DoubtsNow
    reconciliation: LastReconciliation | None
    audit: AuditNow
    workers: list[WorkerNow] = Field(description="Of which anything was heard within half an hour, by name.")
    processes: list[ProcessView] = Field(description="Those that live, and those that went away within ten minutes.")
    minutes: list[MinuteView] = Field(description="The last thirty, the one that is under way last.")


_MS: dict[str, Any] = {"count": 4210, "p50_ms": 12.1, "p95_ms": 31.4, "p99_ms": 58.9}
EXAMPLE: dict[str, Any] = {
    "as_of": "2026-01-15T12:30:00.000000Z", "window": "5m", "measured_s": 300.0, "age_s": 1.8, "precision": 0.02,
    "payments": {
        "count": 4210, "per_s": 14.033, "authorization_rate": 0.9412,
        "by_status": {"captured": 3960, "failed": 248, "in_doubt": 2}, "by_provider": {"bank": 4210},
        "declined_by_category": {"hard": 12, "soft": 236},
        "captured": [{"currency": "USD", "amount": 395604.0, "amount_minor": 39560400}],
    },
    "latency": {"total": _MS, "own": _MS, "http": _MS},
    "hops": [{"name": "books.record", **_MS}],
    "providers": [
        {"provider": "bank", "breaker": "closed", "inflight": 3, "calls": {"approved": 3960, "declined": 248},
         "rejected": 0, "authorization_rate": 0.9411, "latency": _MS},
    ],
    "http": {"per_s": 15.2, "by_class": {"2xx": 4551, "4xx": 9}},
    "refusals": {
        "unauthorized": 1, "rate_limited": 0, "idempotency_replayed": 2, "idempotency_conflict": 0,
        "idempotency_in_progress": 0, "books_conflict": 0, "books_unavailable": 0, "invariant_breaches": 0,
    },
    "outbox": {"pending": 2, "oldest_s": 0.1, "published": 8420, "age_s": 4.2},
    "webhooks": {"pending": 0, "oldest_s": 0.0, "delivered": 8418, "failed": 2, "age_s": 4.2},
    "transfers": {"pending": 1, "dead": 0, "succeeded": 6, "failed": 0, "retried": 1, "age_s": 4.2},
    "doubts": {
        "count": 1, "oldest_s": 3.2, "money": [{"currency": "USD", "amount": 99.99, "amount_minor": 9999}],
        "age_s": 4.2,
    },
    "reconciliation": {
        "run": 12, "clean": True, "discrepancies": 0, "new": 0, "ended_at": "2026-01-15T03:00:12.000000Z",
        "age_s": 34188.0,
    },
    "audit": {"unsealed": 3, "oldest_s": 0.4, "head": 12630, "age_s": 4.2},
    "workers": [
        {"name": "publish_outbox", "processes": 1, "rounds": {"done": 402, "idle": 1080, "failed": 0}, "done": 8420,
         "failing": 0, "last_s": 1.9, "late_s": 1.7, "latency": _MS},
    ],
    "processes": [
        {"instance": "prc_01kabcdefghjkmnpqrstvwxyz0", "role": "api", "alive": True,
         "started_at": "2026-01-15T08:00:00.000000Z", "age_s": 1.8},
    ],
    "minutes": [
        {"at": "2026-01-15T12:30:00.000000Z", "payments": 842, "authorization_rate": 0.94, "errors": 0, "p95_ms": 31.4,
         "own_p95_ms": 12.9},
    ],
}  # fmt: skip

# ── the route ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/operations",
    summary="Read how it is going",
    responses={
        200: {"model": OperationsView, "content": {"application/json": {"example": EXAMPLE}}},
        **problems(401, 403, 422, 503),
    },
    openapi_extra={"security": SECURITY, "parameters": [parameter.described() for parameter in _PARAMETERS]},
)
async def get_operations(request: Request) -> Response:
    """For admin keys: rates, latencies in all, our own and by hop, breakers, what waits, doubts, the last
    reconciliation, background workers, and who lives, of all processes together. Made of what each of them writes
    every few seconds; what a process counted in the seconds before a SIGKILL is not in it."""
    await identify(request, Scope.ADMIN)
    span = read_query(request, _PARAMETERS).get("window", Span.FIVE_MINUTES)
    till = desk(request).till
    return send_view(await desk(request).kept.get(till.clock, ("operations", span), lambda: _look(till, span)))


async def _look(till: Till, span: Span) -> dict[str, Any]:
    now = till.clock.now()
    minutes = await till.minutes.since(*reach(now, span))
    return operations(minutes, await till.audits.last_report(), now, span)
