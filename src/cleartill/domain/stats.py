"""A merchant's figures: how many payments, how much money, how many of them the issuers approved.

The payments are those made in the time that is asked for, each by the state it is in now; so are the refunds. A payment
that is captured tomorrow changes what is said of today, as it should: money is counted where the sale is.

    authorization rate = approved / (approved + declined)

Approved: the hold was given, whatever became of it later (authorized, captured, refunded, voided). Declined: an issuer
said no. Neither: what is pending, under way or in doubt, what the merchant gave up, what could not be sent, and what
lapsed (`expired` may be a hold or a payer who never came).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cleartill.domain.events import timestamp
from cleartill.domain.money import major
from cleartill.domain.outcome import DECLINES
from cleartill.domain.states import PaymentStatus, RefundStatus

APPROVED = frozenset(
    {
        PaymentStatus.AUTHORIZED,
        PaymentStatus.CAPTURED,
        PaymentStatus.PARTIALLY_REFUNDED,
        PaymentStatus.REFUNDED,
        PaymentStatus.VOIDED,
    }
)
CAPTURED = frozenset({PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED})
NOBODY_SAID_NO = frozenset({"provider_unavailable", "not_charged"})
"""Decline codes of ours: no issuer was asked, or none acted."""


class Window(StrEnum):
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]


_LENGTHS = {
    Window.HOUR: timedelta(hours=1),
    Window.DAY: timedelta(days=1),
    Window.WEEK: timedelta(days=7),
    Window.MONTH: timedelta(days=30),
}


class Step(StrEnum):
    """How long each point of a series is."""

    MINUTE = "minute"
    HOUR = "hour"

    @property
    def seconds(self) -> int:
        return 60 if self is Step.MINUTE else 3600

    @classmethod
    def of(cls, window: Window) -> "Step":
        """The one that makes a readable picture."""
        return cls.MINUTE if window is Window.HOUR else cls.HOUR

    def fits(self, window: Window) -> bool:
        """Whether the series has a length that can be sent: 1,441 points at most."""
        return self is Step.HOUR or window in (Window.HOUR, Window.DAY)


@dataclass(frozen=True, slots=True)
class Tally:
    """So many payments (or refunds) that agree in all of this. `at`: the beginning of their point. `moved_minor`:
    captured of payments, given back of refunds."""

    kind: str
    at: datetime
    status: str
    currency: str
    code: str | None
    count: int
    moved_minor: int


def point_of(at: datetime, step: Step) -> datetime:
    """The beginning of the point that a moment is in."""
    whole = int(at.timestamp()) // step.seconds * step.seconds
    return datetime.fromtimestamp(whole, UTC)


class _Figures:
    """Sums of tallies."""

    def __init__(self) -> None:
        self.payments = self.approved = self.declined = self.refunds = 0
        self.by_status: dict[str, int] = {}
        self.declines: dict[str, int] = {}
        self.captured: dict[str, list[int]] = {}
        self.refunded: dict[str, list[int]] = {}

    def add(self, tally: Tally) -> None:
        if tally.kind == "refund":
            if tally.status == RefundStatus.SUCCEEDED:
                self.refunds += tally.count
                _sum(self.refunded, tally)
            return
        self.payments += tally.count
        self.by_status[tally.status] = self.by_status.get(tally.status, 0) + tally.count
        if tally.status in APPROVED:
            self.approved += tally.count
        if tally.status in CAPTURED:
            _sum(self.captured, tally)
        if tally.status == PaymentStatus.FAILED and tally.code is not None and tally.code not in NOBODY_SAID_NO:
            self.declined += tally.count
            self.declines[tally.code] = self.declines.get(tally.code, 0) + tally.count

    def view(self) -> dict[str, Any]:
        return {
            "payments": self.payments,
            "approved": self.approved,
            "declined": self.declined,
            "authorization_rate": rate(self.approved, self.declined),
            "refunds": self.refunds,
            "money": [self._money(currency) for currency in sorted({*self.captured, *self.refunded})],
        }

    def _money(self, currency: str) -> dict[str, Any]:
        captures, captured_minor = self.captured.get(currency, (0, 0))
        refunds, refunded_minor = self.refunded.get(currency, (0, 0))
        net_minor = captured_minor - refunded_minor
        return {
            "currency": currency,
            "captures": captures,
            "amount_captured": major(captured_minor, currency),
            "amount_captured_minor": captured_minor,
            "refunds": refunds,
            "amount_refunded": major(refunded_minor, currency),
            "amount_refunded_minor": refunded_minor,
            "amount": major(net_minor, currency),
            "amount_minor": net_minor,
        }


def _sum(sums: dict[str, list[int]], tally: Tally) -> None:
    of = sums.setdefault(tally.currency, [0, 0])
    of[0] += tally.count
    of[1] += tally.moved_minor


def rate(approved: int, declined: int) -> float | None:
    """The share that was approved; None if nobody was asked."""
    asked = approved + declined
    return round(approved / asked, 4) if asked else None


def stats(
    merchant_id: str, tallies: Iterable[Tally], window: Window, step: Step, since: datetime, until: datetime
) -> dict[str, Any]:
    """What a merchant sees of his window: all of it in one, then point by point, empty ones too. The first and the last
    point are as long as the window leaves them."""
    whole, points = _Figures(), {}
    at = point_of(since, step)
    while at < until:
        points[at] = _Figures()
        at += timedelta(seconds=step.seconds)
    for tally in tallies:
        whole.add(tally)
        points[tally.at].add(tally)
    return {
        "merchant_id": merchant_id,
        "window": str(window),
        "step": str(step),
        "since": timestamp(since),
        "until": timestamp(until),
        **whole.view(),
        "by_status": dict(sorted(whole.by_status.items())),
        "declines": _declines(whole.declines),
        "points": [{"at": timestamp(at), **figures.view()} for at, figures in points.items()],
    }


def _declines(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The most frequent first."""
    total = sum(counts.values())
    return [
        {"code": code, "category": DECLINES[code][0], "count": count, "share": round(count / total, 4)}
        for code, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
