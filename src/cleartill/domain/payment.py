"""A payment: the aggregate that owns its own state, its refunds' sums and the order of its facts.

Every method checks the rules, changes the payment and returns the facts it caused; `seq` numbers them. `version` is
what the books compare and set: one more with every recorded unit, 0 for a payment that was never recorded.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cleartill.domain import events
from cleartill.domain.card import CardSummary
from cleartill.domain.errors import ExceedsLeft, ForbiddenStep, InDoubtNow
from cleartill.domain.events import Fact, timestamp
from cleartill.domain.ids import new_id
from cleartill.domain.money import major, written
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.refund import Refund
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus, RefundStatus, step

_S = PaymentStatus
_REFUNDABLE = frozenset({_S.CAPTURED, _S.PARTIALLY_REFUNDED})


@dataclass(slots=True)
class Payment:
    id: str
    merchant_id: str
    amount_minor: int
    currency: str
    provider: str
    status: PaymentStatus
    trace_id: str
    created_at: datetime
    updated_at: datetime
    payment_method: str = "credit_card"
    capture_method: str = "automatic"
    amount_captured_minor: int = 0
    amount_refunded_minor: int = 0
    refund_reserved_minor: int = 0
    refund_count: int = 0
    card: CardSummary | None = None
    decline: Declined | None = None
    provider_payment_id: str | None = None
    bank_reference: str | None = None
    order_id: str | int | None = None
    customer_email: str | None = None
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    needs_review: str | None = None
    version: int = 0
    seq: int = 0

    # ── the charge ────────────────────────────────────────────────────────────────────────────────────────────────

    def created(self) -> Fact:
        """The first fact of every payment."""
        return self._fact(events.PaymentCreated)

    def settle(self, outcome: Outcome, at: datetime) -> list[Fact]:
        """What the provider's answer to the authorization makes of the payment.

        Approved: captured, or authorized when capture is manual. Declined: failed. Unknown: in doubt; said again it
        changes nothing. NotSent: failed, since a payment that never left has nothing to wait for.
        Raises ForbiddenStep if the payment is not waiting for an answer.
        """
        was_in_doubt = self.status is _S.IN_DOUBT
        match outcome:
            case Unknown():
                if was_in_doubt:
                    return []
                self._become(_S.IN_DOUBT, at)
                return [self._fact(events.PaymentInDoubt)]
            case Approved():
                facts = [self._approved(outcome, at)]
            case Declined():
                facts = [self._failed(outcome, at)]
            case NotSent():
                facts = [self._failed(Declined("provider_unavailable"), at)]
        if was_in_doubt:
            facts.append(self._fact(events.PaymentResolved))
        return facts

    def _approved(self, answer: Approved, at: datetime) -> Fact:
        captures = self.capture_method == "automatic"
        self._become(_S.CAPTURED if captures else _S.AUTHORIZED, at)
        self.provider_payment_id, self.bank_reference = answer.provider_id, answer.bank_reference
        self._note_checks(answer)
        if not captures:
            return self._fact(events.PaymentAuthorized)
        self.amount_captured_minor = self.amount_minor
        return self._fact(events.PaymentCaptured, self.amount_minor)

    def _failed(self, answer: Declined, at: datetime) -> Fact:
        self._become(_S.FAILED, at)
        self.decline, self.provider_payment_id = answer, answer.provider_id
        self._note_checks(answer)
        return self._fact(events.PaymentFailed)

    def _note_checks(self, answer: Approved | Declined) -> None:
        if self.card is not None:
            self.card = self.card.checked(answer.avs_result, answer.cvc_result)

    # ── refunds ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def left_to_refund_minor(self) -> int:
        """Captured, and neither refunded nor reserved for a refund that is under way or in doubt."""
        return self.amount_captured_minor - self.amount_refunded_minor - self.refund_reserved_minor

    def refund(
        self,
        amount_minor: int | None,
        *,
        at: datetime,
        trace_id: str,
        reason: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> tuple[Refund, Fact]:
        """Start a refund of `amount_minor` (None: all that is left) and reserve it, so that refunds never exceed
        what was captured, whatever becomes of each. Raises ForbiddenStep, InDoubtNow, ExceedsLeft."""
        if self.status is _S.IN_DOUBT:
            raise InDoubtNow("Cannot refund a payment that is in_doubt; it is being resolved")
        if self.status not in _REFUNDABLE:
            raise ForbiddenStep(f"Cannot refund a payment that is {self.status}")
        left = self.left_to_refund_minor
        amount_minor = left if amount_minor is None else amount_minor
        if not 0 < amount_minor <= left:
            raise ExceedsLeft("refund", left, written(left, self.currency))
        self.refund_reserved_minor += amount_minor
        self.refund_count += 1
        self.updated_at = at
        refund = Refund(
            id=new_id("ref"),
            merchant_id=self.merchant_id,
            payment_id=self.id,
            amount_minor=amount_minor,
            currency=self.currency,
            provider=self.provider,
            status=RefundStatus.PROCESSING,
            trace_id=trace_id,
            created_at=at,
            updated_at=at,
            reason=reason,
            metadata=metadata or {},
        )
        return refund, self._fact(events.RefundCreated, data=refund.view())

    def settle_refund(self, refund: Refund, outcome: Outcome, at: datetime) -> list[Fact]:
        """What the provider's answer makes of a refund. Its reservation becomes a refund, or is given back, or (in
        doubt) stays. Raises ForbiddenStep if the refund is already final."""
        match outcome:
            case Unknown():
                if refund.status is RefundStatus.IN_DOUBT:
                    return []
                refund.become(RefundStatus.IN_DOUBT, at)
                return [self._fact(events.RefundInDoubt, data=refund.view())]
            case Approved():
                return [self._refunded(refund, outcome, at)]
            case Declined():
                refund.decline = outcome
            case NotSent():
                refund.decline = Declined("provider_unavailable")
        refund.become(RefundStatus.FAILED, at)
        self.refund_reserved_minor -= refund.amount_minor
        self.updated_at = at
        return [self._fact(events.RefundFailed, data=refund.view())]

    def _refunded(self, refund: Refund, answer: Approved, at: datetime) -> Fact:
        refund.become(RefundStatus.SUCCEEDED, at)
        refund.bank_reference, refund.provider_refund_id = answer.bank_reference, answer.provider_id
        self.refund_reserved_minor -= refund.amount_minor
        self.amount_refunded_minor += refund.amount_minor
        whole = self.amount_refunded_minor == self.amount_captured_minor
        self._become(_S.REFUNDED if whole else _S.PARTIALLY_REFUNDED, at)
        return self._fact(events.RefundSucceeded, refund.amount_minor, data=refund.view())

    # ── doubt ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def review(self, reason: str, at: datetime) -> Fact:
        """Ask for a person: something contradicts the books. It is a mark beside the state and moves no money."""
        self.needs_review, self.updated_at = reason, at
        return self._fact(events.PaymentNeedsReview)

    def unsettled(self) -> "Payment":
        """The payment as it is shown when its authorization's outcome could not be written down: in doubt."""
        return replace(
            self,
            status=_S.IN_DOUBT,
            amount_captured_minor=0,
            decline=None,
            provider_payment_id=None,
            bank_reference=None,
        )

    # ── what others see ───────────────────────────────────────────────────────────────────────────────────────────

    def view(self) -> dict[str, Any]:
        """The payment as its merchant sees it: answers and events carry exactly this."""
        return {
            "id": self.id,
            "transaction_id": self.id,
            "merchant_id": self.merchant_id,
            "status": str(self.status),
            "amount": major(self.amount_minor, self.currency),
            "amount_minor": self.amount_minor,
            "amount_captured": major(self.amount_captured_minor, self.currency),
            "amount_captured_minor": self.amount_captured_minor,
            "amount_refunded": major(self.amount_refunded_minor, self.currency),
            "amount_refunded_minor": self.amount_refunded_minor,
            "currency": self.currency,
            "payment_method": self.payment_method,
            "capture_method": self.capture_method,
            "provider": self.provider,
            "provider_payment_id": self.provider_payment_id,
            "bank_reference": self.bank_reference,
            "order_id": self.order_id,
            "customer_email": self.customer_email,
            "card": self.card.view() if self.card else None,
            "decline": self.decline.view() if self.decline else None,
            "needs_review": self.needs_review,
            "description": self.description,
            "metadata": self.metadata,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "trace_id": self.trace_id,
        }

    def _become(self, to: PaymentStatus, at: datetime) -> None:
        self.status = step(PAYMENT_STEPS, "payment", self.status, to)
        self.updated_at = at

    def _fact(self, kind: type[Fact], amount_minor: int = 0, data: dict[str, Any] | None = None) -> Fact:
        self.seq += 1
        data = self.view() if data is None else data
        return kind(self.merchant_id, self.id, self.seq, self.updated_at, data, amount_minor)
