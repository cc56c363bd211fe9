"""A refund: money on its way back to the cardholder, part of exactly one payment.

Its payment keeps the sums (what is reserved, what is refunded) and so makes the refund and settles it: see payment.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cleartill.domain.events import timestamp
from cleartill.domain.ids import new_id
from cleartill.domain.money import major
from cleartill.domain.outcome import Declined
from cleartill.domain.states import REFUND_STEPS, RefundStatus, step

if TYPE_CHECKING:
    from cleartill.domain.payment import Payment


@dataclass(slots=True)
class Refund:
    id: str
    merchant_id: str
    payment_id: str
    amount_minor: int
    currency: str
    provider: str
    status: RefundStatus
    trace_id: str
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    decline: Declined | None = None
    bank_reference: str | None = None
    provider_refund_id: str | None = None
    needs_review: str | None = None

    @classmethod
    def of(
        cls,
        payment: "Payment",
        amount_minor: int,
        at: datetime,
        trace_id: str,
        reason: str | None,
        metadata: dict[str, Any],
    ) -> "Refund":
        """A refund under way; its payment has reserved the amount."""
        return cls(
            id=new_id("ref"),
            merchant_id=payment.merchant_id,
            payment_id=payment.id,
            amount_minor=amount_minor,
            currency=payment.currency,
            provider=payment.provider,
            status=RefundStatus.PROCESSING,
            trace_id=trace_id,
            created_at=at,
            updated_at=at,
            reason=reason,
            metadata=metadata,
        )

    def become(self, to: RefundStatus, at: datetime) -> None:
        self.status = step(REFUND_STEPS, "refund", self.status, to)
        self.updated_at = at

    def unsettled(self) -> "Refund":
        """The refund as it is shown when its outcome could not be written down: in doubt."""
        return replace(self, status=RefundStatus.IN_DOUBT, decline=None, bank_reference=None, provider_refund_id=None)

    def view(self) -> dict[str, Any]:
        """The refund as its merchant sees it."""
        return {
            "id": self.id,
            "transaction_id": self.payment_id,
            "status": str(self.status),
            "amount": major(self.amount_minor, self.currency),
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "provider": self.provider,
            "provider_refund_id": self.provider_refund_id,
            "bank_reference": self.bank_reference,
            "reason": self.reason,
            "decline": self.decline.view() if self.decline else None,
            "needs_review": self.needs_review,
            "metadata": self.metadata,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "trace_id": self.trace_id,
        }
