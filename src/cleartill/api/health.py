"""Is it alive, is it ready, are its parts there? No key is needed, so nothing here says more than that."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cleartill.api.desk import Desk, desk
from cleartill.api.errors import problems
from cleartill.api.route import LeanRoute

router = APIRouter(tags=["health"], route_class=LeanRoute)

PROBE_WITHIN_S = 1.0
FRESH_S = 1.0
VITAL = frozenset({"database", "bank"})
"""Without these no payment can be taken."""
OUTBOX_LATE_S = 60.0


class PartView(BaseModel):
    status: Literal["up", "down"]
    latency_ms: float = Field(description="Of the probe; at most 1,000.")


class OutboxView(PartView):
    oldest_s: float | None = Field(description="Age of the oldest event that is not on Kafka yet; 0 if there is none.")


class HealthView(BaseModel):
    status: Literal["ok", "degraded", "unavailable"]
    degraded: list[str] = Field(description="The parts that are not well.")
    version: str
    environment: str
    checks: dict[str, PartView | OutboxView]


class LiveView(BaseModel):
    status: Literal["ok", "draining"]


async def _probe(ask: Callable[[], Awaitable[Any]]) -> tuple[bool, float, Any]:
    """Whether the part answered in time, the milliseconds it took, and what it said."""
    start = perf_counter()
    said = None
    try:
        async with asyncio.timeout(PROBE_WITHIN_S):
            said = await ask()
        well = True
    except Exception:  # whatever it is that a part raises: it is away
        well = False
    return well, round((perf_counter() - start) * 1000, 3), said


async def _checks_of_late(at: Desk) -> dict[str, dict[str, Any]]:
    """What was found within the last second, or is being found: however many ask, the parts are asked once."""
    now = at.till.clock.monotonic()
    if at.checked is None or at.checked[0] <= now:
        at.checked = (now + FRESH_S, asyncio.ensure_future(_checks(at)))
    return await asyncio.shield(at.checked[1])


async def _checks(at: Desk) -> dict[str, dict[str, Any]]:
    names = [*at.till.probes, "outbox"]
    asks = [*at.till.probes.values(), at.till.reads.outbox_oldest_s]
    found = await asyncio.gather(*(_probe(ask) for ask in asks))
    checks: dict[str, dict[str, Any]] = {}
    for name, (well, latency_ms, said) in zip(names, found, strict=True):
        if name == "outbox":
            well = well and said <= OUTBOX_LATE_S
        checks[name] = {"status": "up" if well else "down", "latency_ms": latency_ms}
        if name == "outbox":
            checks[name]["oldest_s"] = None if said is None else round(said, 3)
    return checks


@router.get(
    "/health",
    summary="The state of every part",
    responses={
        200: {"model": HealthView, "description": "Payments can be taken; `degraded` names the parts that are away"},
        503: {"model": HealthView, "description": "No payments can be taken: the database or the bank is away"},
        **problems(),
    },
)
async def health(request: Request) -> Response:
    """Database, bank, Kafka, Redis and the outbox, asked at once, each for at most a second."""
    at = desk(request)
    checks = await _checks_of_late(at)
    away = [name for name, check in checks.items() if check["status"] == "down"]
    unable = not VITAL.isdisjoint(away)
    status = "unavailable" if unable else "degraded" if away else "ok"
    return JSONResponse(
        {"status": status, "degraded": away, "version": at.version, "environment": at.environment, "checks": checks},
        503 if unable else 200,
    )


@router.get("/health/live", summary="Is the process alive?", responses={200: {"model": LiveView}, **problems()})
async def live(_request: Request) -> Response:
    """It answers, so it is."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/health/ready",
    summary="Should requests be sent here?",
    responses={
        200: {"model": LiveView},
        503: {"model": LiveView, "description": "Shutting down: finishing what is under way"},
        **problems(),
    },
)
async def ready(request: Request) -> Response:
    """No once the process has been told to stop."""
    if desk(request).leaving:
        return JSONResponse({"status": "draining"}, 503)
    return JSONResponse({"status": "ok"})
