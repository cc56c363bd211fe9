"""What a payment's merchant sees of it."""

from typing import TYPE_CHECKING, Any

from cleartill.domain.events import timestamp
from cleartill.domain.money import major

if TYPE_CHECKING:
    from cleartill.domain.payment import Payment


def view(payment: "Payment") -> dict[str, Any]:
    """`expires_at`: when the hold, or the payer's time to act, ends. `action`: where the payer must go now."""
    return {
        "id": payment.id,
        "transaction_id": payment.id,
        "merchant_id": payment.merchant_id,
        "status": str(payment.status),
        "amount": major(payment.amount_minor, payment.currency),
        "amount_minor": payment.amount_minor,
        "amount_captured": major(payment.amount_captured_minor, payment.currency),
        "amount_captured_minor": payment.amount_captured_minor,
        "amount_refunded": major(payment.amount_refunded_minor, payment.currency),
        "amount_refunded_minor": payment.amount_refunded_minor,
        "currency": payment.currency,
        "payment_method": payment.payment_method,
        "capture_method": payment.capture_method,
        "provider": payment.provider,
        "provider_payment_id": payment.provider_payment_id,
        "bank_reference": payment.bank_reference,
        "order_id": payment.order_id,
        "customer_email": payment.customer_email,
        "card": payment.card.view() if payment.card else None,
        "decline": payment.decline.view() if payment.decline else None,
        "action": payment.action,
        "expires_at": timestamp(payment.lapses_at) if payment.lapses_at else None,
        "needs_review": payment.needs_review,
        "description": payment.description,
        "metadata": payment.metadata,
        "created_at": timestamp(payment.created_at),
        "updated_at": timestamp(payment.updated_at),
        "trace_id": payment.trace_id,
    }
