"""What a merchant asks to be paid."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleartill.domain.card import Card, CardSummary
from cleartill.domain.ids import new_id
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus


@dataclass(frozen=True, slots=True)
class Order:
    """`card` as the payer typed it, or the `card_token` of a stored one, or neither. `provider`: as the caller named
    it, if at all."""

    merchant_id: str
    amount_minor: int
    currency: str
    payment_method: str
    capture_method: str
    provider: str | None
    card: Card | None
    card_token: str | None
    order_id: str | int | None
    customer_email: str | None
    description: str | None
    metadata: dict[str, Any]

    def payment(
        self, status: PaymentStatus, default_provider: str, card: CardSummary | None, at: datetime, trace_id: str
    ) -> Payment:
        """The payment it becomes. Without a card and without a named provider the caller vouches for the money, and
        nobody is asked (`internal`)."""
        return Payment(
            id=new_id("pay"),
            merchant_id=self.merchant_id,
            amount_minor=self.amount_minor,
            currency=self.currency,
            provider=self.provider or (default_provider if card else "internal"),
            status=status,
            trace_id=trace_id,
            created_at=at,
            updated_at=at,
            payment_method=self.payment_method,
            capture_method=self.capture_method,
            card=card,
            order_id=self.order_id,
            customer_email=self.customer_email,
            description=self.description,
            metadata=self.metadata,
        )

    def canonical(self) -> list[Any]:
        """What makes two orders the same: 99.99 and "99.99" are, and the CVV has no part in it (PCI DSS 3.3.1)."""
        return [
            2,  # the version of this form
            self.amount_minor,
            self.currency,
            self.payment_method,
            self.capture_method,
            canonical_card(self.card, self.card_token),
            self.provider,
            self.order_id,
            self.customer_email,
            self.description,
            self.metadata,
        ]


def canonical_card(card: Card | None, card_token: str | None) -> list[Any] | str | None:
    """A card for a fingerprint: without the CVV."""
    if card is None:
        return card_token
    return [card.pan.reveal(), card.expiry_month, card.expiry_year, card.holder.reveal()]
