"""A payment: the aggregate that owns its own state, its refunds' sums and the order of its facts.

Every method checks the rules, changes the payment and returns the facts it caused; `seq` numbers them. `version` is
what the books compare and set: one more with every recorded unit, 0 for a payment that was never recorded.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cleartill.domain import events
from cleartill.domain.attempt import Attempt, AttemptKind
from cleartill.domain.card import CardSummary
from cleartill.domain.errors import ExceedsLeft, ForbiddenStep, InDoubtNow
from cleartill.domain.events import Fact
from cleartill.domain.money import written
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment_view import view
from cleartill.domain.refund import Refund
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus, RefundStatus, step

_S = PaymentStatus
_REFUNDABLE = (_S.CAPTURED, _S.PARTIALLY_REFUNDED)

HOLD_LASTS = timedelta(days=7)
"""What issuers grant at least to a card payment over the internet (Visa, Mastercard: 7 days); then it is released."""
ACTION_WITHIN = timedelta(minutes=15)
RELEASE_AGAIN_AFTER = timedelta(hours=1)


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
    lapses_at: datetime | None = None
    """When the hold, or the payer's time to act, ends."""
    action: dict[str, Any] | None = None
    """What the payer must do now."""
    attempt_count: int = 0
    version: int = 0
    seq: int = 0

    # ── the authorization ─────────────────────────────────────────────────────────────────────────────────────────

    def created(self) -> Fact:
        """The first fact of every payment."""
        return self._fact(events.PaymentCreated)

    def confirm(self, at: datetime) -> None:
        """Start to ask for the money of a pending payment. Raises ForbiddenStep, InDoubtNow."""
        self._begin("confirm", _S.PENDING, at)
        self.provider_payment_id = None  # what an earlier try prepared is not this one's

    def fail(self, at: datetime) -> Fact:
        """Give up a payment that nobody was asked for yet. Raises ForbiddenStep, InDoubtNow."""
        self._only("fail", _S.PENDING)
        self._become(_S.FAILED, at)
        return self._fact(events.PaymentFailed)

    def settle(self, outcome: Outcome, at: datetime, reverts_to: PaymentStatus | None = None) -> list[Fact] | None:
        """What the provider's answer to the authorization makes of the payment; None: it changes nothing.

        Approved: captured, or authorized when capture is manual. Declined: failed. ActionRequired: the payer has
        ACTION_WITHIN to act; who does not lets it expire. Unknown: in doubt. NotSent: back to `reverts_to`; without it
        failed, since a payment that never left has nothing to wait for.
        Raises ForbiddenStep if the payment is not waiting for an answer.
        """
        was = self.status
        match outcome:
            case Unknown():
                return self._doubt(at)
            case ActionRequired() if was is _S.REQUIRES_ACTION:
                return None
            case ActionRequired():
                facts = [self._asked_back(outcome, at)]
            case Approved():
                facts = [self._approved(outcome, at)]
            case Declined(code="not_charged") if was is _S.REQUIRES_ACTION:
                facts = [self._released(_S.EXPIRED, events.PaymentExpired, at)]
            case Declined():
                facts = [self._failed(outcome, at)]
            case NotSent() if reverts_to is not None:
                self._become(reverts_to, at)
                facts = []
            case NotSent():
                facts = [self._failed(Declined("provider_unavailable"), at)]
        return self._resolved(was, facts)

    def _asked_back(self, answer: ActionRequired, at: datetime) -> Fact:
        self._become(_S.REQUIRES_ACTION, at)
        self.provider_payment_id, self.lapses_at = answer.provider_id, at + ACTION_WITHIN
        self.action = {"type": "redirect", "url": answer.redirect_url}
        return self._fact(events.PaymentRequiresAction)

    def _approved(self, answer: Approved, at: datetime) -> Fact:
        captures = self.capture_method == "automatic"
        if self.status is _S.REQUIRES_ACTION:
            self._become(_S.PROCESSING, at)
        self._become(_S.CAPTURED if captures else _S.AUTHORIZED, at)
        self.provider_payment_id, self.bank_reference = answer.provider_id, answer.bank_reference
        self.action = self.decline = None
        self.lapses_at = None if captures else at + HOLD_LASTS
        self._note_checks(answer)
        if not captures:
            return self._fact(events.PaymentAuthorized)
        self.amount_captured_minor = self.amount_minor
        return self._fact(events.PaymentCaptured, self.amount_minor)

    def _failed(self, answer: Declined, at: datetime) -> Fact:
        self._become(_S.FAILED, at)
        self.decline, self.action, self.lapses_at = answer, None, None
        self.provider_payment_id = answer.provider_id or self.provider_payment_id
        self._note_checks(answer)
        return self._fact(events.PaymentFailed)

    def _note_checks(self, answer: Approved | Declined) -> None:
        if self.card is not None:
            self.card = self.card.checked(answer.avs_result, answer.cvc_result)

    # ── the hold ──────────────────────────────────────────────────────────────────────────────────────────────────

    def capture(self, amount_minor: int | None, at: datetime) -> int:
        """Start to claim `amount_minor` (None: all) of the hold; the rest will be released. The amount.
        Raises ForbiddenStep, InDoubtNow, ExceedsLeft."""
        self._only("capture", _S.AUTHORIZED)
        amount_minor = self.amount_minor if amount_minor is None else amount_minor
        if not 0 < amount_minor <= self.amount_minor:
            raise ExceedsLeft("capture", self.amount_minor, written(self.amount_minor, self.currency))
        self._begin("capture", _S.AUTHORIZED, at)
        return amount_minor

    def void(self, at: datetime) -> None:
        """Start to release the hold. Raises ForbiddenStep, InDoubtNow."""
        self._begin("void", _S.AUTHORIZED, at)

    def settle_hold(self, attempt: Attempt, outcome: Outcome, at: datetime) -> list[Fact] | None:
        """What the provider's answer to a capture, void or release makes of the hold; None: it changes nothing. A no,
        and a request that was not sent, leave the hold as it was. Raises ForbiddenStep if nothing was asked."""
        was = self.status
        match outcome:
            case Unknown() | ActionRequired():
                return self._doubt(at)
            case Approved() if attempt.kind is AttemptKind.CAPTURE:
                facts = [self._captured(attempt.amount_minor, at)]
            case Approved() if attempt.kind is AttemptKind.VOID:
                facts = [self._released(_S.VOIDED, events.PaymentVoided, at)]
            case Approved():
                facts = [self._released(_S.EXPIRED, events.PaymentExpired, at)]
            case Declined() | NotSent():
                self._become(_S.AUTHORIZED, at)
                self.decline = outcome if isinstance(outcome, Declined) else self.decline
                if attempt.kind is AttemptKind.EXPIRE:
                    self.lapses_at = at + RELEASE_AGAIN_AFTER
                facts = []
        return self._resolved(was, facts)

    def _captured(self, amount_minor: int, at: datetime) -> Fact:
        self._become(_S.CAPTURED, at)
        self.amount_captured_minor, self.lapses_at, self.decline = amount_minor, None, None
        return self._fact(events.PaymentCaptured, amount_minor)

    def _released(self, to: PaymentStatus, kind: type[Fact], at: datetime) -> Fact:
        self._become(to, at)
        self.lapses_at = self.action = self.decline = None
        return self._fact(kind)

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
        self._only("refund", *_REFUNDABLE)
        left = self.left_to_refund_minor
        amount_minor = left if amount_minor is None else amount_minor
        if not 0 < amount_minor <= left:
            raise ExceedsLeft("refund", left, written(left, self.currency))
        self.refund_reserved_minor += amount_minor
        self.refund_count += 1
        self.updated_at = at
        refund = Refund.of(self, amount_minor, at, trace_id, reason, metadata or {})
        return refund, self._fact(events.RefundCreated, data=refund.view())

    def settle_refund(self, refund: Refund, outcome: Outcome, at: datetime) -> list[Fact] | None:
        """What the provider's answer makes of a refund; None: it changes nothing. Its reservation becomes a refund, or
        is given back, or (in doubt) stays. Raises ForbiddenStep if the refund is already final."""
        match outcome:
            case Unknown() | ActionRequired():
                if refund.status is RefundStatus.IN_DOUBT:
                    return None
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

    def unsettled(self, kind: AttemptKind) -> "Payment":
        """The payment as it is shown when the outcome of an attempt could not be written down: in doubt."""
        shown = replace(self, status=_S.IN_DOUBT, amount_captured_minor=0, decline=None, action=None)
        if kind is AttemptKind.AUTHORIZE:
            shown.provider_payment_id = shown.bank_reference = None
        return shown

    def _doubt(self, at: datetime) -> list[Fact] | None:
        """Said again it changes nothing; nor while the payer is expected to act."""
        if self.status in (_S.IN_DOUBT, _S.REQUIRES_ACTION):
            return None
        self._become(_S.IN_DOUBT, at)
        return [self._fact(events.PaymentInDoubt)]

    def _resolved(self, was: PaymentStatus, facts: list[Fact]) -> list[Fact]:
        return [*facts, self._fact(events.PaymentResolved)] if was is _S.IN_DOUBT else facts

    # ── what others see ───────────────────────────────────────────────────────────────────────────────────────────

    def view(self) -> dict[str, Any]:
        """The payment as its merchant sees it: answers and events carry exactly this."""
        return view(self)

    def _only(self, verb: str, *needed: PaymentStatus) -> None:
        if self.status is _S.IN_DOUBT:
            raise InDoubtNow(f"Cannot {verb} a payment that is in_doubt; it is being resolved")
        if self.status not in needed:
            raise ForbiddenStep(f"Cannot {verb} a payment that is {self.status}")

    def _begin(self, verb: str, needed: PaymentStatus, at: datetime) -> None:
        self._only(verb, needed)
        self._become(_S.PROCESSING, at)
        self.attempt_count += 1

    def _become(self, to: PaymentStatus, at: datetime) -> None:
        self.status = step(PAYMENT_STEPS, "payment", self.status, to)
        self.updated_at = at

    def _fact(self, kind: type[Fact], amount_minor: int = 0, data: dict[str, Any] | None = None) -> Fact:
        self.seq += 1
        data = self.view() if data is None else data
        return kind(self.merchant_id, self.id, self.seq, self.updated_at, data, amount_minor)
