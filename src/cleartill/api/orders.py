"""What a merchant may ask to be paid: the bodies of `process` and of `payments`, and the order they become."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from cleartill.api.auth import acting_for
from cleartill.api.body import Body
from cleartill.api.desk import desk
from cleartill.api.errors import FieldError, InvalidBody
from cleartill.api.fields import Amount, CardCvv, CardHolder, CardNumber, Metadata, Month, OrderId, Year, text
from cleartill.domain.card import Card
from cleartill.domain.merchant import Principal
from cleartill.domain.money import EXPONENTS, parse_minor
from cleartill.domain.order import Order

ProviderName = Annotated[str, text(16, "[a-z]+", description="bank, stripe, mock or internal.", examples=["bank"])]
CardToken = Annotated[str, text(64, "[A-Za-z0-9_-]+", description="Of a stored card: it is charged without a CVV.")]


class CardData(Body):
    """A card as the cardholder typed it. It is encrypted at once; the CVV is never stored."""

    card_number: CardNumber
    expiry_month: Month
    expiry_year: Year
    cvv: CardCvv
    cardholder_name: CardHolder

    def card(self) -> Card:
        return Card(self.card_number, self.expiry_month, self.expiry_year, self.cvv, self.cardholder_name)


class OrderBody(Body):
    """At most one of `card_data` and `card_token`."""

    merchant_id: (
        Annotated[str, text(64, "[A-Za-z0-9_-]+", description="The key's own; admin keys may name any.")] | None
    ) = None
    amount: Amount
    currency: Annotated[str, text(3, "[A-Z]{3}", description="ISO 4217.", enum=sorted(EXPONENTS), examples=["USD"])]
    card_data: CardData | None = None
    card_token: CardToken | None = None
    provider: ProviderName | None = None
    order_id: OrderId | None = None
    customer_email: Annotated[str, text(254, r"[^@\s]+@[^@\s]+", examples=["ada@example.com"])] | None = None
    description: Annotated[str, text(500, examples=["Two tickets"])] | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _one_card(self) -> "OrderBody":
        if self.card_data is not None and self.card_token is not None:
            raise PydanticCustomError("card_data", "card_data and card_token exclude each other")
        return self


class ProcessBody(OrderBody):
    """Exactly one of `card_data` and `card_token`."""

    payment_method: Literal["credit_card", "debit_card"]

    @model_validator(mode="after")
    def _a_card(self) -> "ProcessBody":
        if self.card_data is None and self.card_token is None:
            raise PydanticCustomError("card_data", "exactly one of card_data and card_token is needed")
        return self


class CreateBody(OrderBody):
    """Without a card and without a named provider the caller vouches for the money: nobody is asked."""

    payment_method: Literal["credit_card", "debit_card"] = "credit_card"
    capture_method: Literal["automatic", "manual"] = "automatic"
    confirm: bool = Field(False, description="Confirm at once: needed if the CVV is to be checked, for it is not kept.")


async def order_of(request: Request, principal: Principal, body: ProcessBody | CreateBody) -> Order:
    """Raises NotYourMerchant, NotFound, InvalidAmount, InvalidBody for a provider that is not to be had."""
    known = desk(request).till.provider_names
    if body.provider is not None and body.provider not in known:
        raise InvalidBody([FieldError("provider", f"must be one of {', '.join(sorted(known))}")])
    return Order(
        merchant_id=await acting_for(request, principal, body.merchant_id),
        amount_minor=parse_minor(body.amount, body.currency),
        currency=body.currency,
        payment_method=body.payment_method,
        capture_method=body.capture_method if isinstance(body, CreateBody) else "automatic",
        provider=body.provider,
        card=body.card_data.card() if body.card_data else None,
        card_token=body.card_token,
        order_id=body.order_id,
        customer_email=body.customer_email,
        description=body.description,
        metadata=body.metadata or {},
    )


CARD: dict[str, Any] = {"expiry_month": 12, "expiry_year": 2030, "cvv": "123", "cardholder_name": "Ada Lovelace"}
_PROCESS = {"amount": 99.99, "currency": "USD", "payment_method": "credit_card"}
PROCESS_EXAMPLES: dict[str, Any] = {
    "captured": {**_PROCESS, "card_data": {"card_number": "4242424242424242", **CARD}, "order_id": "order-4711"},
    "declined": {**_PROCESS, "card_data": {"card_number": "4000000000009995", **CARD}},
    "a stored card": {**_PROCESS, "card_token": "card_01kabcdefghjkmnpqrstvwxyz0"},
}
CREATE_EXAMPLES: dict[str, Any] = {
    "a hold, confirmed later": {"amount": "99.99", "currency": "USD", "capture_method": "manual", "provider": "bank"},
    "at once": {
        "amount": "99.99",
        "currency": "USD",
        "card_data": {"card_number": "4242424242424242", **CARD},
        "confirm": True,
    },
    "the caller vouches for the money": {"amount": "25.00", "currency": "EUR", "order_id": 17},
}
