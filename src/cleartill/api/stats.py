"""A merchant's figures: counts, sums and authorization rate of a window of time, point by point."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.arrival import arrival
from cleartill.api.auth import SECURITY, identify
from cleartill.api.desk import desk
from cleartill.api.errors import FieldError, InvalidQuery, problems
from cleartill.api.fields import text
from cleartill.api.page import Parameter, one_of, read_query
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.errors import NotFound
from cleartill.domain.merchant import Scope
from cleartill.domain.stats import Step, Window, stats
from cleartill.ports import Till, TooMany
from cleartill.ports.stats import COUNT_MAX

router = APIRouter(prefix="/api/v1", tags=["pictures"], route_class=LeanRoute)

_PARAMETERS = (
    Parameter("window", one_of(Window, Window.DAY), "How far back from now; 24h if not given."),
    Parameter(
        "step",
        one_of(Step, Step.HOUR),
        "How long each point is: a minute for windows up to 24h, or an hour. If not given: minutes for 1h, else hours.",
    ),
    Parameter("merchant_id", text(64, "[A-Za-z0-9_-]+", examples=["merchant_123"]), "One's own; admin keys read any."),
)

# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────────


class MoneyView(BaseModel):
    """`amount` is what is left of the captures after the refunds. Sums of very many payments may have more digits than
    a JSON number keeps: the `…_minor` are exact."""

    currency: str = Field(examples=["USD"])
    captures: int
    amount_captured: float
    amount_captured_minor: int
    refunds: int
    amount_refunded: float
    amount_refunded_minor: int
    amount: float
    amount_minor: int


class FiguresView(BaseModel):
    payments: int = Field(description="All that were made in this time, whatever became of them.")
    approved: int = Field(description="The hold was given, whatever happened to it later.")
    declined: int = Field(description="An issuer said no.")
    authorization_rate: float | None = Field(
        description="approved / (approved + declined), 0 to 1; null if nobody was asked.", examples=[0.9231]
    )
    refunds: int = Field(description="That succeeded, of those made in this time.")
    money: list[MoneyView]


class PointView(FiguresView):
    at: datetime = Field(description="Where it begins.")


class DeclineCount(BaseModel):
    code: str = Field(examples=["insufficient_funds"])
    category: Literal["hard", "soft", "data"]
    count: int
    share: Annotated[float, Field(description="Of all declines.")]


class StatsView(FiguresView):
    """Payments and refunds made from `since` until before `until`, each by the state it is in now."""

    merchant_id: str
    window: Window
    step: Step
    since: datetime
    until: datetime
    by_status: dict[str, int]
    declines: list[DeclineCount] = Field(description="The most frequent first.")
    points: list[PointView] = Field(
        description="Every point of the window, empty ones too; the first and the last are as long as it leaves them."
    )


_MONEY = {
    "currency": "USD", "captures": 12, "amount_captured": 1199.88, "amount_captured_minor": 119988, "refunds": 1,
    "amount_refunded": 10.0, "amount_refunded_minor": 1000, "amount": 1189.88, "amount_minor": 118988,
}  # fmt: skip
_FIGURES = {
    "payments": 14, "approved": 12, "declined": 1, "authorization_rate": 0.9231, "refunds": 1, "money": [_MONEY],
}  # fmt: skip
EXAMPLE: dict[str, Any] = {
    "merchant_id": "merchant_123", "window": "24h", "step": "hour", "since": "2026-01-14T12:30:00.000000Z",
    "until": "2026-01-15T12:30:00.000000Z", **_FIGURES, "by_status": {"captured": 12, "failed": 1, "in_doubt": 1},
    "declines": [{"code": "do_not_honor", "category": "soft", "count": 1, "share": 1.0}],
    "points": [{"at": "2026-01-15T12:00:00.000000Z", **_FIGURES}],
}  # fmt: skip

# ── the route ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/stats",
    summary="Read a merchant's figures",
    responses={
        200: {"model": StatsView, "content": {"application/json": {"example": EXAMPLE}}},
        **problems(401, 403, 404, 422, 503),
    },
    openapi_extra={"security": SECURITY, "parameters": [parameter.described() for parameter in _PARAMETERS]},
)
async def get_stats(request: Request) -> Response:
    """Counts, sums by currency, authorization rate and decline mix, in all and by minute or hour. Counted from the
    payments themselves: exact as of `until`, which may lie up to a minute back for windows with very many payments."""
    principal = await identify(request, Scope.PAYMENTS_READ)
    asked = read_query(request, _PARAMETERS)
    window = asked.get("window", Window.DAY)
    step = asked.get("step", Step.of(window))
    if not step.fits(window):
        raise InvalidQuery([FieldError("step", "minute is for windows up to 24h")])
    till = desk(request).till
    merchant_id = asked.get("merchant_id", principal.merchant_id)
    if merchant_id != principal.merchant_id:
        if not principal.may(Scope.ADMIN):
            raise NotFound
        await till.merchants.get(merchant_id)
    arrival(request).visit.merchant_id = merchant_id
    try:
        question = ("stats", merchant_id, window, step)
        return send_view(await desk(request).kept.get(till.clock, question, lambda: _count(till, *question[1:])))
    except TooMany:
        raise InvalidQuery(
            [FieldError("window", f"holds more than {COUNT_MAX:,} payments; ask for a shorter one")]
        ) from None


async def _count(till: Till, merchant_id: str, window: Window, step: Step) -> dict[str, Any]:
    until = till.clock.now()
    since = until - window.length
    return stats(merchant_id, await till.stats.tallies(merchant_id, since, until, step), window, step, since, until)
