"""Charge a card in one step: store it, authorize, capture."""

import json
from dataclasses import dataclass
from typing import Any

from cleartill.domain.answers import answer
from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.card import Card, SealedCard
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.ids import new_id
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Authorization, Origin, Till, Unit, Verdict
from cleartill.usecases.attempt import RESOLVE_AFTER_S, KeyAlreadyTaken, expiry, once, perform

SCOPE = "process"


@dataclass(frozen=True, slots=True)
class Charge:
    """What a checkout backend asks for. Either a `card` as the payer typed it, or the token of a stored one."""

    merchant_id: str
    amount_minor: int
    currency: str
    payment_method: str
    card: Card | None
    card_token: str | None
    provider: str | None
    order_id: str | int | None
    customer_email: str | None
    description: str | None
    metadata: dict[str, Any]
    idempotency_key: str | None


async def charge(till: Till, command: Charge, origin: Origin, deadline: float) -> Answer:
    """The payment, captured, failed or in doubt. `deadline`: monotonic seconds by which the caller must be answered.

    Raises NotFound for an unknown card token, the idempotency refusals, and Unavailable if nothing was sent.
    """
    claim = _claim(till, command)
    return await once(till, claim, lambda: _charge(till, command, claim, origin, deadline))


async def _charge(till: Till, command: Charge, claim: Claim | None, origin: Origin, deadline: float) -> Answer:
    card, sealed = await _card(till, command)
    payment = _new_payment(till, command, sealed, origin)
    if card.expired(till.clock.now()):
        return await _decline_at_the_door(till, payment, sealed, claim, origin, deadline)
    async with till.providers.permit(payment.provider, deadline) as provider:
        key = attempt_key(payment.id, AttemptKind.AUTHORIZE)
        expires_at = expiry(till, deadline)
        intent = Unit(
            payment=payment,
            expecting=payment.version,
            origin=origin,
            facts=[payment.created()],
            attempt=Attempt(
                key=key,
                merchant_id=payment.merchant_id,
                payment_id=payment.id,
                kind=AttemptKind.AUTHORIZE,
                provider=payment.provider,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                expires_at=expires_at,
                claim=claim,
            ),
            claim=claim,
            card=sealed if command.card else None,
            deadline=deadline,
            resolve_after_s=RESOLVE_AFTER_S,
        )
        ask = Authorization(
            attempt_key=key,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            card=card,
            capture=True,
            expires_at=expires_at,
        )
        return await perform(till, provider, intent, lambda provider: provider.authorize(ask))


async def _card(till: Till, command: Charge) -> tuple[Card, SealedCard]:
    if command.card is not None:
        return command.card, till.vault.seal(command.card, command.merchant_id)
    assert command.card_token is not None
    sealed = await till.books.card(command.merchant_id, command.card_token)
    return till.vault.open(sealed), sealed


def _new_payment(till: Till, command: Charge, sealed: SealedCard, origin: Origin) -> Payment:
    now = till.clock.now()
    return Payment(
        id=new_id("pay"),
        merchant_id=command.merchant_id,
        amount_minor=command.amount_minor,
        currency=command.currency,
        provider=command.provider or till.default_provider,
        status=PaymentStatus.PROCESSING,
        trace_id=origin.trace_id,
        created_at=now,
        updated_at=now,
        payment_method=command.payment_method,
        card=sealed.summary,
        order_id=command.order_id,
        customer_email=command.customer_email,
        description=command.description,
        metadata=command.metadata,
    )


async def _decline_at_the_door(
    till: Till, payment: Payment, sealed: SealedCard, claim: Claim | None, origin: Origin, deadline: float
) -> Answer:
    """A card whose expiry lies in the past is declined without asking the bank."""
    facts = [payment.created(), *payment.settle(Declined("expired_card"), till.clock.now())]
    final = answer(AttemptKind.AUTHORIZE, payment, None)
    unit = Unit(
        payment=payment,
        expecting=payment.version,
        origin=origin,
        facts=facts,
        claim=claim,
        answer=final if claim else None,
        card=sealed,
        deadline=deadline,
    )
    if await till.books.record(unit) is Verdict.KEY_TAKEN:
        raise KeyAlreadyTaken
    return final


def _claim(till: Till, command: Charge) -> Claim | None:
    """The fingerprint is of the parsed command, so 99.99 and "99.99" are equal, and without the CVV."""
    if command.idempotency_key is None:
        return None
    card = command.card
    what = [
        1,  # the version of this canonical form
        command.amount_minor,
        command.currency,
        command.payment_method,
        [card.pan.reveal(), card.expiry_month, card.expiry_year, card.holder.reveal()] if card else command.card_token,
        command.provider,
        command.order_id,
        command.customer_email,
        command.description,
        command.metadata,
    ]
    fingerprint = till.vault.mark("idempotency", json.dumps(what, sort_keys=True))
    return Claim(command.merchant_id, SCOPE, command.idempotency_key, fingerprint)
