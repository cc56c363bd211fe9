"""Ask a provider to authorize a payment: what a charge and a confirmation share."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from cleartill.domain.answers import answer
from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.card import Card, SealedCard
from cleartill.domain.errors import BooksUnavailable, InvalidAmount, InvalidCard, ProviderUnavailable
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.outcome import Declined, NotSent, Outcome
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Authorization, Origin, Provider, Till, Unit, Verdict
from cleartill.usecases.attempt import RESOLVE_AFTER_S, CardBlocked, expiry, perform, record


@dataclass(slots=True)
class Asking:
    """`expecting`: the payment's version as it was loaded, 0 for a new one. `card`: to be sent; `to_store`: the same
    card, if it is new. `reverts_to`: where the payment goes if nothing was sent."""

    payment: Payment
    expecting: int
    card: Card | None
    to_store: SealedCard | None
    claim: Claim | None
    reverts_to: PaymentStatus | None = None
    facts: list[Fact] = field(default_factory=list)

    def opening(self) -> list[Fact]:
        """What the first unit says: a new payment was created."""
        if self.expecting == 0 and not self.facts:
            self.facts.append(self.payment.created())
        return self.facts


async def authorize(till: Till, asking: Asking, origin: Origin, deadline: float) -> Answer:
    """The payment as the provider's answer leaves it. `deadline`: monotonic seconds by which the caller must be
    answered. Raises what `attempt.perform` raises; InvalidCard if the provider needs a card and there is none."""
    payment, card = asking.payment, asking.card
    if card and card.expired(till.clock.now()):
        return await _decline_at_the_door(till, asking, Declined("expired_card"), origin, deadline)
    try:
        async with AsyncExitStack() as held:
            provider = await _permitted(till, held, payment, deadline)
            if card is None and provider.needs_card:
                raise InvalidCard("card_data or card_token is needed")
            if not provider.takes(payment.amount_minor, payment.currency):
                raise InvalidAmount(f"{payment.provider} cannot move this amount in {payment.currency}")
            intent, ask = _intent(till, asking, origin, deadline)
            return await perform(till, provider, intent, lambda provider: _ask(till, provider, intent, ask))
    except CardBlocked:
        assert payment.card is not None
        said = await till.books.blocked(payment.merchant_id, payment.card.fingerprint)
        # It was said of another payment, whose name at the provider and whose checks are not this one's.
        again = Declined(said.code, said.network_code) if said else Declined("do_not_honor")
        return await _decline_at_the_door(till, asking, again, origin, deadline)


async def _permitted(till: Till, held: AsyncExitStack, payment: Payment, deadline: float) -> Provider:
    """The right to ask the payment's provider, or the next one if that is away: nobody was asked for this payment yet,
    or was surely not reached."""
    try:
        return await held.enter_async_context(till.providers.permit(payment.provider, deadline))
    except ProviderUnavailable:
        other = till.failover.get(payment.provider)
        if other is None:
            raise
        provider = await held.enter_async_context(till.providers.permit(other, deadline))
        till.watch.count("payment.failover", provider=payment.provider, to=other)
        payment.provider = other
        return provider


def _intent(till: Till, asking: Asking, origin: Origin, deadline: float) -> tuple[Unit, Authorization]:
    payment, card = asking.payment, asking.card
    if asking.expecting == 0:
        payment.attempt_count = 1
    ask = Authorization(
        attempt_key=attempt_key(payment.id, AttemptKind.AUTHORIZE, payment.attempt_count),
        payment_id=payment.id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        card=card,
        capture=payment.capture_method == "automatic",
        expires_at=expiry(till, deadline),
    )
    intent = Unit(
        payment=payment,
        expecting=asking.expecting,
        origin=origin,
        facts=asking.opening(),
        attempt=Attempt(
            key=ask.attempt_key,
            merchant_id=payment.merchant_id,
            payment_id=payment.id,
            kind=AttemptKind.AUTHORIZE,
            provider=payment.provider,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            expires_at=ask.expires_at,
            reverts_to=asking.reverts_to,
            claim=asking.claim,
        ),
        claim=asking.claim,
        card=asking.to_store,
        unless_blocked=card is not None and till.refuse_hard_declines,
        deadline=deadline,
        resolve_after_s=RESOLVE_AFTER_S,
    )
    return intent, ask


async def _ask(till: Till, provider: Provider, intent: Unit, ask: Authorization) -> Outcome:
    """With a provider that must be prepared, what it made is written down before any money can move."""
    if provider.prepares:
        prepared = await provider.prepare(ask)
        if not isinstance(prepared, str):
            return prepared
        payment = intent.payment
        payment.provider_payment_id = prepared
        noted = Unit(payment=payment, expecting=payment.version, origin=intent.origin, facts=[])
        try:
            if await till.books.record(noted) is not Verdict.RECORDED:
                return NotSent("superseded")
        except BooksUnavailable:
            return NotSent("books")
        ask = replace(ask, provider_payment_id=prepared)
    return await provider.authorize(ask)


async def _decline_at_the_door(
    till: Till, asking: Asking, declined: Declined, origin: Origin, deadline: float
) -> Answer:
    """A card that has expired, or was refused for ever, is declined without asking anybody."""
    payment, now = asking.payment, till.clock.now()
    facts = [*asking.opening(), *(payment.settle(declined, now) or [])]
    final = answer(payment, None, made=asking.reverts_to is None)
    unit = Unit(
        payment=payment,
        expecting=asking.expecting,
        origin=origin,
        facts=facts,
        claim=asking.claim,
        answer=final if asking.claim else None,
        card=asking.to_store,
        deadline=deadline,
    )
    await record(till, unit)
    return final
