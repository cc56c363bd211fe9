"""Facts: what happened, in the past tense. Each is one audit row, one event and one count in a metric.

To add an event: a subclass here with its type, returned by the domain method that causes it. The books write it, the
outbox publishes it, telemetry counts it; nothing else changes.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from cleartill.domain.ids import new_id

SOURCE = "/cleartill"


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened to a payment (or transfer, or merchant: the `subject_id`).

    `seq` counts the facts of one subject from 1; `amount_minor` is what this fact moved, 0 if nothing; `data` is the
    object as its owner may see it, right after.
    """

    type: ClassVar[str]
    told: ClassVar[bool] = True
    """Whether a merchant can hear of it; what is the operator's alone, none can."""
    merchant_id: str
    subject_id: str
    seq: int
    at: datetime
    data: dict[str, Any]
    amount_minor: int = 0
    id: str = field(default_factory=lambda: new_id("evt"))

    def cloud_event(self, traceparent: str | None) -> dict[str, Any]:
        """CloudEvents 1.0, JSON format, with the Distributed Tracing and Sequence extensions."""
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": self.type,
            "subject": self.subject_id,
            "time": timestamp(self.at),
            "datacontenttype": "application/json",
            "sequence": self.seq,
            "merchantid": self.merchant_id,
            "data": self.data,
        }
        if traceparent:
            event["traceparent"] = traceparent
        return event


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


class PaymentCreated(Fact):
    type = "payment.created"


class PaymentAuthorized(Fact):
    type = "payment.authorized"


class PaymentCaptured(Fact):
    type = "payment.captured"


class PaymentRequiresAction(Fact):
    type = "payment.requires_action"


class PaymentVoided(Fact):
    type = "payment.voided"


class PaymentExpired(Fact):
    type = "payment.expired"


class PaymentFailed(Fact):
    type = "payment.failed"


class PaymentInDoubt(Fact):
    type = "payment.in_doubt"


class PaymentResolved(Fact):
    type = "payment.resolved"


class PaymentNeedsReview(Fact):
    type = "payment.needs_review"


class RefundCreated(Fact):
    type = "refund.created"


class RefundSucceeded(Fact):
    type = "refund.succeeded"


class RefundFailed(Fact):
    type = "refund.failed"


class RefundInDoubt(Fact):
    type = "refund.in_doubt"


class DepositCreated(Fact):
    type = "deposit.created"


class DepositSucceeded(Fact):
    type = "deposit.succeeded"


class DepositFailed(Fact):
    type = "deposit.failed"


class DepositInDoubt(Fact):
    type = "deposit.in_doubt"


class DepositRetried(Fact):
    """A dead letter, taken up again by hand."""

    type = "deposit.retried"


class DepositNeedsReview(Fact):
    type = "deposit.needs_review"


class WithdrawalCreated(Fact):
    """Its amount is reserved from here on."""

    type = "withdrawal.created"


class WithdrawalSucceeded(Fact):
    type = "withdrawal.succeeded"


class WithdrawalFailed(Fact):
    """The reservation is given back."""

    type = "withdrawal.failed"


class WithdrawalInDoubt(Fact):
    """The reservation stays."""

    type = "withdrawal.in_doubt"


class WithdrawalRetried(Fact):
    """A dead letter, taken up again by hand; reserved anew if the reservation had been given back."""

    type = "withdrawal.retried"


class WithdrawalNeedsReview(Fact):
    type = "withdrawal.needs_review"


class CardErased(Fact):
    type = "card.erased"


class MerchantCreated(Fact):
    type = "merchant.created"


class ApiKeyCreated(Fact):
    """About a merchant, as all that happens to its keys is: so order holds."""

    type = "api_key.created"


class ApiKeyRevoked(Fact):
    type = "api_key.revoked"


class WebhookEndpointCreated(Fact):
    type = "webhook_endpoint.created"


class WebhookEndpointUpdated(Fact):
    """Its address, its filter, its description; enabled again, or disabled by hand."""

    type = "webhook_endpoint.updated"


class WebhookEndpointDisabled(Fact):
    """By us: its receiver said that it is gone, or has failed for days."""

    type = "webhook_endpoint.disabled"


class WebhookEndpointDeleted(Fact):
    type = "webhook_endpoint.deleted"


class WebhookSecretRotated(Fact):
    type = "webhook_endpoint.secret_rotated"


class ReconciliationMismatch(Fact):
    """The operator's, not a merchant's: two books disagree, or ours with themselves."""

    type = "reconciliation.mismatch"
    told = False


class AuditSealed(Fact):
    """The operator's: how far the audit chain goes. It is told, and not written down: no audit row is about it."""

    type = "audit.sealed"
    told = False


class SessionBegan(Fact):
    """A login to the console. Written down, and told to nobody."""

    type = "session.began"
    told = False


class SessionEnded(Fact):
    """By a person: logged out, or logged in anew. Written down, and told to nobody."""

    type = "session.ended"
    told = False


def event_types() -> frozenset[str]:
    """The type of every event that a merchant can hear of."""
    return frozenset(fact.type for fact in Fact.__subclasses__() if fact.told)
