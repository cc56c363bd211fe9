"""All that moved a merchant's money, in one list: payments, refunds, deposits, withdrawals, newest first."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cleartill.domain.events import timestamp
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.transfer import Transfer, TransferKind
from cleartill.ports import Listed, PaymentQuery, RefundQuery, Till, TransferQuery


class TransactionType(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class TransactionQuery:
    """`types`: none at all means every one. `before`: the id that the page before ended with, of whichever type."""

    types: frozenset[TransactionType] = frozenset()
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Transaction:
    """What all types have in common, with what only some have as None."""

    type: TransactionType
    of: Payment | Refund | Transfer

    @property
    def id(self) -> str:
        return self.of.id

    def view(self) -> dict[str, Any]:
        shown = self.of.view()
        return {
            "id": self.id,
            "type": str(self.type),
            "payment_id": self.of.payment_id if isinstance(self.of, Refund) else None,
            **{name: shown[name] for name in ("status", "amount", "amount_minor", "currency", "provider")},
            "bank_reference": shown["bank_reference"],
            "order_id": shown.get("order_id"),
            "description": shown.get("description"),
            "metadata": shown["metadata"],
            "needs_review": shown["needs_review"],
            "created_at": timestamp(self.of.created_at),
            "updated_at": timestamp(self.of.updated_at),
            "trace_id": shown["trace_id"],
        }


async def list_transactions(till: Till, merchant_id: str, query: TransactionQuery) -> Listed[Transaction]:
    """A page of them. Ids of all types sort by time behind their prefix: a page takes from each list what lies below
    the last id of the page before, and ends where one of the lists could not be looked at any further."""
    wanted = sorted(query.types or TransactionType)
    pages = await asyncio.gather(*(_page(till, merchant_id, kind, query) for kind in wanted))
    ends = [_moment(page.next) for page in pages if page.next is not None]
    end = max(ends, default="")
    seen: Iterable[Transaction] = (one for page in pages for one in page.items if _moment(one.id) >= end)
    found = sorted(seen, key=lambda one: _moment(one.id), reverse=True)
    if len(found) > query.limit:
        return Listed(found[: query.limit], found[query.limit - 1].id)
    last = next((page.next for page in pages if page.next is not None and _moment(page.next) == end), None)
    return Listed(found, last)


async def _page(till: Till, merchant_id: str, kind: TransactionType, query: TransactionQuery) -> Listed[Transaction]:
    shared: dict[str, Any] = {
        "created_from": query.created_from,
        "created_to": query.created_to,
        "limit": query.limit,
    }
    moment = _moment(query.before) if query.before else None
    match kind:
        case TransactionType.PAYMENT:
            asked = PaymentQuery(before=_id("pay", moment), **shared)
            payments = await till.reads.payments(merchant_id, asked)
            return Listed([Transaction(kind, one) for one in payments.items], payments.next)
        case TransactionType.REFUND:
            refunds = await till.reads.refunds(merchant_id, RefundQuery(before=_id("ref", moment), **shared))
            return Listed([Transaction(kind, one) for one in refunds.items], refunds.next)
        case TransactionType.DEPOSIT | TransactionType.WITHDRAWAL:
            of = TransferKind(kind)
            wanted = TransferQuery(of, before=_id(of.prefix, moment), **shared)
            transfers = await till.transfers.list(merchant_id, wanted)
            return Listed([Transaction(kind, one) for one in transfers.items], transfers.next)


def _moment(id: str) -> str:
    """When, and which: the part of an id that sorts across types."""
    return id.partition("_")[2]


def _id(prefix: str, moment: str | None) -> str | None:
    return f"{prefix}_{moment}" if moment else None
