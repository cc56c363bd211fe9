"""Confirm a pending payment: send it to its provider."""

from dataclasses import dataclass

from cleartill.domain.card import Card
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.order import canonical_card
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Till
from cleartill.usecases.attempt import card_to_send, claim, decide, once
from cleartill.usecases.authorize import Asking, authorize


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`card` or `card_token`: in place of what was given when the payment was created, if anything was."""

    merchant_id: str
    payment_id: str
    card: Card | None
    card_token: str | None
    idempotency_key: str | None


async def confirm(till: Till, command: Confirmation, origin: Origin, deadline: float) -> Answer:
    """The payment, captured or authorized, failed, waiting for its payer or in doubt.

    Raises NotFound, ForbiddenStep, InDoubtNow, InvalidCard if the provider needs a card and there is none, the
    idempotency refusals, and Unavailable if nothing was sent: then the payment is pending as before.
    """
    what = [1, canonical_card(command.card, command.card_token)]
    claimed = claim(till, command.merchant_id, f"confirm:{command.payment_id}", command.idempotency_key, what)
    return await once(till, claimed, lambda: decide(lambda: _confirm(till, command, claimed, origin, deadline)))


async def _confirm(till: Till, command: Confirmation, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    expecting = payment.version
    payment.confirm(till.clock.now())
    token = command.card_token or (payment.card.card_token if payment.card else None)
    card, sealed = await card_to_send(till, command.merchant_id, command.card, token)
    if sealed is not None:
        payment.card = sealed.summary
    to_store = sealed if command.card else None
    asking = Asking(payment, expecting, card, to_store, claimed, reverts_to=PaymentStatus.PENDING)
    return await authorize(till, asking, origin, deadline)
