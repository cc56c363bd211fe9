"""One payment's whole story."""

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
from cleartill.domain.events import timestamp
from cleartill.domain.merchant import Scope

router = APIRouter(prefix="/api/v1/payments", tags=["payments"], route_class=LeanRoute)


class StepView(BaseModel):
    at: datetime
    name: str = Field(examples=["provider.call"])
    outcome: str = Field(examples=["ok"])
    duration_ms: float | None
    details: dict[str, Any] = Field(description="Attempt, provider code, event, Kafka partition and offset …")


class TimelineView(BaseModel):
    payment_id: str
    steps: list[StepView]


@router.get(
    "/{id}/timeline",
    summary="Read a payment's timeline",
    responses={200: {"model": TimelineView}, **problems(401, 403, 404, 503)},
    openapi_extra={"security": SECURITY},
)
async def get_timeline(request: Request, id: PaymentId) -> Response:
    """Every hop in order of time: how long it took, how it ended, which attempt, which event, where it went."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    about(request, id)
    steps = await desk(request).till.reads.timeline(principal.merchant_id, id)
    return send_view(
        {
            "payment_id": id,
            "steps": [
                {
                    "at": timestamp(step.at),
                    "name": step.name,
                    "outcome": step.outcome,
                    "duration_ms": step.duration_ms,
                    "details": dict(step.details),
                }
                for step in steps
            ],
        }
    )
