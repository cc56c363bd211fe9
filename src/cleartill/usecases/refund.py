"""Give back all or part of a captured payment."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import BooksUnavailable, ForbiddenStep
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.money import parse_minor
from cleartill.ports import Origin, Reversal, Till, Unit
from cleartill.usecases.attempt import RESOLVE_AFTER_S, Superseded, expiry, once, perform

DECIDE_TRIES = 50
DECIDE_PAUSE_S = 0.05
"""At most, between two tries: some ten refunds of one payment at once get out of each other's way."""


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
    claim = _claim(till, command)
    return await once(till, claim, lambda: _refund(till, command, claim, origin, deadline))


async def _refund(till: Till, command: RefundOrder, claim: Claim | None, origin: Origin, deadline: float) -> Answer:
    """Decide, and decide again whenever the payment moved in between, so that a refund that fits gets no false no."""
    for tries in range(DECIDE_TRIES):
        try:
            return await _decide(till, command, claim, origin, deadline)
        except Superseded:
            await asyncio.sleep(delay_s(tries, base_s=0.002, cap_s=DECIDE_PAUSE_S))
    raise BooksUnavailable("Too many changes to this payment at once; nothing was sent")


async def _decide(till: Till, command: RefundOrder, claim: Claim | None, origin: Origin, deadline: float) -> Answer:
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
                claim=claim,
            ),
            claim=claim,
            deadline=deadline,
            resolve_after_s=RESOLVE_AFTER_S,
        )
        return await perform(till, provider, intent, lambda provider: provider.refund(ask))


def _claim(till: Till, command: RefundOrder) -> Claim | None:
    if command.idempotency_key is None:
        return None
    what = [1, _plain(command.amount), command.reason, command.metadata]
    fingerprint = till.vault.mark("idempotency", json.dumps(what, sort_keys=True))
    return Claim(command.merchant_id, f"refund:{command.payment_id}", command.idempotency_key, fingerprint)


def _plain(amount: str | None) -> str | None:
    """99.90 and 99.9 are the same amount, and 100 is not 1."""
    return amount.rstrip("0").rstrip(".") if amount and "." in amount else amount
