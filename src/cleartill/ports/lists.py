"""What a list is asked for, and a page of one.

Lists are newest first: ids sort by time, so a page goes on below the last id of the one before it, and what is made in
between changes nothing there. Of a merchant's objects no more than `look_at` are looked at for a page, however few of
them are wanted: a page may be short, even empty, and still not be the last (`next`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cleartill.domain.states import PaymentStatus, RefundStatus

LOOK_AT = 20_000
"""Objects looked at for one page at most: a merchant's few pending payments among a million captured ones are found,
but not in one breath. An index over the status would find them at once, and cost every payment its in-page updates."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """Which payments. What is None, or no status at all, leaves out nothing.

    `order_id`: as text; 17 finds the integer and the string. `created_from` is part of the range, `created_to` is not.
    `before`: only ids below this one.
    """

    statuses: frozenset[PaymentStatus] = frozenset()
    order_id: str | None = None
    provider: str | None = None
    last4: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: str | None = None
    limit: int = 20
    look_at: int = LOOK_AT


@dataclass(frozen=True, slots=True)
class RefundQuery:
    """Which refunds; see PaymentQuery."""

    statuses: frozenset[RefundStatus] = frozenset()
    payment_id: str | None = None
    provider: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: str | None = None
    limit: int = 20
    look_at: int = LOOK_AT


@dataclass(frozen=True, slots=True)
class Listed(Generic[_T]):
    """A page: at most `limit` objects, newest first. `next`: the `before` of the next page; None at the end."""

    items: list[_T]
    next: str | None
