"""Find out what became of attempts that nobody heard the end of, and finish them."""

import asyncio

from cleartill.domain.attempt import Attempt, AttemptKind
from cleartill.domain.errors import ForbiddenStep, ProviderUnavailable
from cleartill.domain.outcome import Declined, Disagrees, Found, Never, NotSent, NotYet, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Inquiry, Origin, Provider, Reversal, Till
from cleartill.usecases.attempt import expiry
from cleartill.usecases.settle import review, settle

BATCH = 64
BUDGET_S = 4.0
"""Below the first gap (5 s) after which another worker may take the same attempt."""


async def resolve(till: Till) -> int:
    """One round over the attempts that are due; how many were looked at.

    An authorization is never sent again (the CVV is gone): the provider is asked, with a tombstone where it can put
    one. A refund, capture or void is simply sent again under its key: the provider answers as it did, or does it now.
    """
    due = await till.backlog.due_attempts(BATCH)
    ended = await asyncio.gather(
        *(_resolve_one(till, attempt, origin) for attempt, origin in due), return_exceptions=True
    )
    for error in ended:  # one that cannot be settled keeps no other from it, and is not passed over in silence
        if isinstance(error, BaseException):
            raise error
    return len(due)


async def _resolve_one(till: Till, attempt: Attempt, origin: Origin) -> None:
    with till.flights.background("payment.resolve", origin) as here:
        deadline = till.clock.monotonic() + BUDGET_S
        before = (await till.books.load(attempt.merchant_id, attempt.payment_id)).payment
        try:
            async with till.providers.permit(attempt.provider, deadline) as provider:
                outcome = await _ask(till, provider, attempt, before, deadline)
        except ProviderUnavailable:
            outcome = Unknown("provider_unavailable")
        loaded = await till.books.load_attempt(attempt.merchant_id, attempt.key)
        if loaded.payment.provider_payment_id != before.provider_payment_id:
            outcome = Unknown("prepared_meanwhile")  # the provider was asked about something else
        if isinstance(outcome, Disagrees):
            await review(till, loaded, f"the provider has another {outcome.about} under {attempt.key}", here)
        else:
            await settle(till, loaded, outcome, here)


async def _ask(
    till: Till, provider: Provider, attempt: Attempt, payment: Payment, deadline: float
) -> Outcome | Disagrees:
    if attempt.kind is AttemptKind.AUTHORIZE:
        asked = Inquiry(
            attempt.key,
            payment.id,
            attempt.amount_minor,
            attempt.currency,
            attempt.expires_at,
            payment.provider_payment_id,
        )
        match await provider.lookup(asked):
            case Found(outcome):
                return outcome
            case Disagrees() as disagrees:
                return disagrees
            case Never():
                return Declined("not_charged")
            case NotYet():
                return Unknown("not_yet")
    if payment.provider_payment_id is None:
        raise ForbiddenStep("A payment that no provider knows has nothing to be asked again")
    again = Reversal(
        attempt_key=attempt.key,
        provider_payment_id=payment.provider_payment_id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        expires_at=expiry(till, deadline),
    )
    said: Outcome
    match attempt.kind:
        case AttemptKind.CAPTURE:
            said = await provider.capture(again)
        case AttemptKind.REFUND:
            said = await provider.refund(again)
        case _:
            said = await provider.void(again)
    # An earlier try may have reached the provider: that this one did not says nothing about it.
    return Unknown(said.reason) if isinstance(said, NotSent) else said
