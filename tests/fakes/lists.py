"""The part of the Reads port that finds many, or by something else than an id, over memory."""

from collections.abc import Iterable
from copy import deepcopy
from typing import TypeVar

from cleartill.domain.card import StoredCard
from cleartill.domain.errors import NotFound
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Listed, PaymentQuery, RefundQuery
from fakes.memory import Memory, of

T = TypeVar("T", Payment, Refund)


class FakeLists:
    _memory: Memory

    def _reach(self) -> None:
        """Raises BooksUnavailable while the books are away."""
        raise NotImplementedError

    async def payments(self, merchant_id: str, query: PaymentQuery) -> Listed[Payment]:
        self._reach()
        on_the_way = [
            payment
            for (merchant, _), payment in self._memory.payments.items()
            if merchant == merchant_id
            and (query.order_id is None or str(payment.order_id) == query.order_id)
            and (query.last4 is None or (payment.card is not None and payment.card.last4 == query.last4))
        ]
        return _page(on_the_way, query)

    async def refunds(self, merchant_id: str, query: RefundQuery) -> Listed[Refund]:
        self._reach()
        on_the_way = [
            refund
            for (merchant, _), refund in self._memory.refunds.items()
            if merchant == merchant_id and query.payment_id in (None, refund.payment_id)
        ]
        return _page(on_the_way, query)

    async def payment_at_provider(self, merchant_id: str, provider: str, provider_payment_id: str) -> Payment:
        self._reach()
        called = (provider, provider_payment_id, "authorize")
        found = [
            attempt.payment_id
            for (merchant, _), attempt in self._memory.attempts.items()
            if merchant == merchant_id and (attempt.provider, attempt.provider_id, attempt.kind) == called
        ]
        if not found:
            raise NotFound
        payment: Payment = of(self._memory.payments, merchant_id, max(found))
        return payment

    async def card(self, merchant_id: str, card_token: str) -> StoredCard:
        self._reach()
        summary = of(self._memory.cards, merchant_id, card_token).summary
        return StoredCard(summary, self._memory.card_times[(merchant_id, card_token)])


def _page(objects: Iterable[T], query: PaymentQuery | RefundQuery) -> Listed[T]:
    below = [one for one in objects if query.before is None or one.id < query.before]
    leaves_out = bool(query.statuses or query.provider or query.created_from or query.created_to)
    seen = sorted(below, key=lambda one: one.id, reverse=True)[: query.look_at if leaves_out else None]
    found = [
        one
        for one in seen
        if (not query.statuses or one.status in query.statuses)
        and query.provider in (None, one.provider)
        and (query.created_from is None or one.created_at >= query.created_from)
        and (query.created_to is None or one.created_at < query.created_to)
    ]
    page = found[: query.limit]
    if len(found) > query.limit:
        return Listed(deepcopy(page), page[-1].id)
    return Listed(deepcopy(page), seen[-1].id if leaves_out and len(seen) == query.look_at else None)
