"""Ask a provider about a hold: what a capture, a void and the release of a lapsed hold share."""

from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.errors import ForbiddenStep
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.outcome import Outcome
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Provider, Reversal, Till, Unit
from cleartill.usecases.attempt import RESOLVE_AFTER_S, Ask, expiry, perform


async def ask_about_hold(
    till: Till,
    payment: Payment,
    expecting: int,
    kind: AttemptKind,
    amount_minor: int,
    claim: Claim | None,
    origin: Origin,
    deadline: float,
) -> Answer:
    """The payment as the provider's answer leaves it. `payment` has begun the step; `expecting`: its version before.
    Raises what `attempt.perform` raises."""
    if payment.provider_payment_id is None:
        raise ForbiddenStep(f"Cannot {kind} a payment that no provider knows")
    async with till.providers.permit(payment.provider, deadline) as provider:
        reversal = Reversal(
            attempt_key=attempt_key(payment.id, kind, payment.attempt_count),
            provider_payment_id=payment.provider_payment_id,
            amount_minor=amount_minor,
            currency=payment.currency,
            expires_at=expiry(till, deadline),
        )
        intent = Unit(
            payment=payment,
            expecting=expecting,
            origin=origin,
            facts=[],
            attempt=Attempt(
                key=reversal.attempt_key,
                merchant_id=payment.merchant_id,
                payment_id=payment.id,
                kind=kind,
                provider=payment.provider,
                amount_minor=amount_minor,
                currency=payment.currency,
                expires_at=reversal.expires_at,
                reverts_to=PaymentStatus.AUTHORIZED,
                claim=claim,
            ),
            claim=claim,
            deadline=deadline,
            resolve_after_s=RESOLVE_AFTER_S,
        )
        return await perform(till, provider, intent, _asking(kind, reversal))


def _asking(kind: AttemptKind, reversal: Reversal) -> Ask:
    async def ask(provider: Provider) -> Outcome:
        return await (provider.capture if kind is AttemptKind.CAPTURE else provider.void)(reversal)

    return ask
