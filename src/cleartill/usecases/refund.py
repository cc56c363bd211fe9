"""Give back all or part of a captured payment."""

from dataclasses import dataclass
from typing import Any

from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.errors import ForbiddenStep
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.money import parse_minor, plain
from cleartill.ports import Origin, Reversal, Till, Unit
from cleartill.usecases.attempt import RESOLVE_AFTER_S, claim, decide, expiry, once, perform


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """`amount`: major units as the caller wrote them, in the payment's currency; None: all that is left."""

    merchant_id: str
    payment_id: str
    amount: str | None
    reason: str | None
    metadata: dict[str, Any]
    idempotency_key: str | None


async def refund(till: Till, command: RefundOrder, origin: Origin, deadline: float) -> Answer:
    """The refund: succeeded, failed or in doubt. `deadline`: monotonic seconds by which the caller must be answered.

    Raises NotFound, InvalidAmount, ForbiddenStep, InDoubtNow, ExceedsLeft, the idempotency refusals, and Unavailable
    if nothing was sent.
    """
    what = [1, plain(command.amount), command.reason, command.metadata]
    claimed = claim(till, command.merchant_id, f"refund:{command.payment_id}", command.idempotency_key, what)
    return await once(till, claimed, lambda: decide(lambda: _refund(till, command, claimed, origin, deadline)))


async def _refund(till: Till, command: RefundOrder, claimed: Claim | None, origin: Origin, deadline: float) -> Answer:
    payment = (await till.books.load(command.merchant_id, command.payment_id)).payment
    expecting = payment.version
    amount_minor = None if command.amount is None else parse_minor(command.amount, payment.currency)
    made, fact = payment.refund(
        amount_minor,
        at=till.clock.now(),
        trace_id=origin.trace_id,
        reason=command.reason,
        metadata=command.metadata,
    )
    if payment.provider_payment_id is None:
        raise ForbiddenStep("Cannot refund a payment that no provider knows")
    async with till.providers.permit(payment.provider, deadline) as provider:
        ask = Reversal(
            attempt_key=attempt_key(made.id, AttemptKind.REFUND),
            provider_payment_id=payment.provider_payment_id,
            amount_minor=made.amount_minor,
            currency=made.currency,
            expires_at=expiry(till, deadline),
        )
        intent = Unit(
            payment=payment,
            expecting=expecting,
            origin=origin,
            facts=[fact],
            refund=made,
            attempt=Attempt(
                key=ask.attempt_key,
                merchant_id=payment.merchant_id,
                payment_id=payment.id,
                kind=AttemptKind.REFUND,
                provider=payment.provider,
                amount_minor=made.amount_minor,
                currency=made.currency,
                expires_at=ask.expires_at,
                refund_id=made.id,
                claim=claimed,
            ),
            claim=claimed,
            deadline=deadline,
            resolve_after_s=RESOLVE_AFTER_S,
        )
        return await perform(till, provider, intent, lambda provider: provider.refund(ask))
