"""The whole story of one payment, deposit or withdrawal."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import about
from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import problems
from cleartill.api.payments import PaymentId
from cleartill.api.route import LeanRoute, send_view
from cleartill.api.transfers import TransferId
from cleartill.domain.events import timestamp
from cleartill.domain.merchant import Scope

router = APIRouter(prefix="/api/v1", route_class=LeanRoute)


class StepView(BaseModel):
    at: datetime
    name: str = Field(examples=["provider.call"])
    outcome: str = Field(examples=["ok"])
    duration_ms: float | None
    details: dict[str, Any] = Field(description="Attempt, provider code, event, Kafka partition and offset …")


class TimelineView(BaseModel):
    payment_id: str
    steps: list[StepView]


class TransferTimelineView(BaseModel):
    transfer_id: str
    steps: list[StepView]


@router.get(
    "/payments/{id}/timeline",
    tags=["payments"],
    summary="Read a payment's timeline",
    responses={200: {"model": TimelineView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_timeline(request: Request, id: PaymentId) -> Response:
    """Every hop in order of time: how long it took, how it ended, which attempt, which event, where it went."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    about(request, id)
    return send_view({"payment_id": id, "steps": await _steps(request, principal.merchant_id, id)})


@router.get(
    "/transfers/{id}/timeline",
    tags=["transfers"],
    summary="Read a deposit's or withdrawal's timeline",
    responses={200: {"model": TransferTimelineView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_transfer_timeline(request: Request, id: TransferId) -> Response:
    """The same for a deposit or withdrawal: every hop, every event, where it went."""
    principal = await identify(request, Scope.ACCOUNT_READ)
    about(request, id)
    await desk(request).till.transfers.load(principal.merchant_id, id)
    return send_view({"transfer_id": id, "steps": await _steps(request, principal.merchant_id, id)})


async def _steps(request: Request, merchant_id: str, id: str) -> list[dict[str, Any]]:
    return [
        {
            "at": timestamp(step.at),
            "name": step.name,
            "outcome": step.outcome,
            "duration_ms": step.duration_ms,
            "details": dict(step.details),
        }
        for step in await desk(request).till.reads.timeline(merchant_id, id)
    ]
