"""The one shape of asking a provider: record the intent → ask, holding no lock and no connection → record the outcome.

`perform` is what a request does, `settle` what whoever learns the outcome does (request, resolver, callback), `once`
what makes it idempotent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from cleartill.domain.answers import answer
from cleartill.domain.attempt import Attempt, AttemptKind, AttemptStatus
from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import (
    CleartillError,
    ForbiddenStep,
    IdempotencyInProgress,
    ProviderUnavailable,
    Refused,
    Unavailable,
)
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Loaded, Origin, Provider, Till, Unit, Verdict

SETTLE_TRIES = 20
"""Each outcome of one payment moves it, so ten refunds at once make the last of them try ten times. (Five were too few:
a refund that had succeeded was answered as in doubt.)"""
SETTLE_PAUSE_S, SETTLE_PAUSE_MAX_S = 0.002, 0.05
"""Before the second try, doubled before each next: many outcomes of one payment get out of each other's way."""
RESOLVE_AFTER_S = 10.0
"""The request owns its attempt this long after the intent (its own budget and some grace), then the resolver does."""
FIRST_DOUBT_S = 2.0
"""When the resolver first asks about an attempt that is known to be in doubt."""

Ask = Callable[[Provider], Awaitable[Outcome]]


class Superseded(Exception):
    """The payment moved between reading it and recording the intent: decide again."""


class KeyAlreadyTaken(Exception):
    """Another request holds the idempotency key."""


def expiry(till: Till, deadline: float) -> datetime:
    """The instant after which the provider must refuse the request: when our caller stops waiting for it."""
    return till.clock.now() + timedelta(seconds=max(0.0, deadline - till.clock.monotonic()))


async def once(till: Till, claim: Claim | None, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work, or give the answer that stands under its idempotency key.

    The key is looked at only when the work is refused or finds it taken: a first request pays nothing for it, and a
    repeat that the rules would now refuse (the refund it asks for has left nothing to refund) is still a repeat.
    """
    try:
        return await work()
    except (KeyAlreadyTaken, Refused, Unavailable) as refusal:
        existing = await till.books.claimed(claim) if claim else None
        if claim is None or existing is None:
            if isinstance(refusal, KeyAlreadyTaken):  # and freed since: the first request was not sent
                raise IdempotencyInProgress from None
            raise
    stored = existing.replay(claim.fingerprint)
    if stored is not None:
        return Answer(stored.status, stored.body, replayed=True)
    now = await till.books.load(claim.merchant_id, existing.payment_id, existing.refund_id)
    kind = AttemptKind.REFUND if existing.refund_id else AttemptKind.AUTHORIZE
    shown = answer(kind, now.payment, now.refund)
    return Answer(shown.status, shown.body, replayed=True)


async def perform(till: Till, provider: Provider, intent: Unit, ask: Ask) -> Answer:
    """Record the intent, ask the provider, record the outcome; the answer for the caller.

    Raises Superseded or KeyAlreadyTaken (nothing was written, nothing sent), Unavailable (nothing was sent).
    """
    match await till.books.record(intent):
        case Verdict.CONFLICT:
            raise Superseded
        case Verdict.KEY_TAKEN:
            raise KeyAlreadyTaken
        case Verdict.RECORDED:
            pass
    assert intent.attempt is not None
    asked = Loaded(intent.payment, intent.refund, intent.attempt)
    try:
        outcome = await ask(provider)
    except asyncio.CancelledError:
        # Only the end of the process cancels an owned operation: say what is known, then go.
        await settle(till, asked, Unknown("cancelled"), intent.origin)
        raise
    return await settle(till, asked, outcome, intent.origin)


async def settle(till: Till, loaded: Loaded, outcome: Outcome, origin: Origin) -> Answer:
    """Record what became of an attempt, exactly once, whoever else is trying to; the answer as it now stands.

    If the payment moved meanwhile it is loaded and decided again; if the books stay away the caller hears "in doubt"
    and the resolver finishes the work. Raises ProviderUnavailable once it is written down that nothing was sent: until
    then the resolver may send it.
    """
    for tries in range(SETTLE_TRIES):
        attempt = loaded.attempt
        assert attempt is not None
        still_open = attempt.status is AttemptStatus.OPEN
        if still_open and isinstance(outcome, NotSent) and attempt.tries:
            # The resolver has taken over (we were frozen): it may be sending just now what we did not.
            outcome = Unknown(outcome.reason)
        unit = (_outcome_unit if still_open else _contradiction)(till, loaded, outcome, origin)
        if unit is None:  # nothing new to say
            return answer(attempt.kind, loaded.payment, loaded.refund)
        try:
            if await till.books.record(unit) is not Verdict.RECORDED:
                await asyncio.sleep(delay_s(tries, base_s=SETTLE_PAUSE_S, cap_s=SETTLE_PAUSE_MAX_S))
                loaded = await till.books.load_attempt(attempt.merchant_id, attempt.key)
                continue
        except CleartillError:  # away for too long, or refusing what the provider said
            break
        if isinstance(outcome, NotSent):
            raise ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        return unit.answer or answer(attempt.kind, loaded.payment, loaded.refund)
    return _in_doubt(loaded)


def _outcome_unit(till: Till, loaded: Loaded, outcome: Outcome, origin: Origin) -> Unit | None:
    payment, refund, attempt = loaded.payment, loaded.refund, loaded.attempt
    assert attempt is not None
    facts = _apply(payment, refund, attempt, outcome, till.clock.now())
    if not facts:
        return None
    _note(attempt, outcome)
    final = isinstance(outcome, Approved | Declined)
    return Unit(
        payment=payment,
        expecting=payment.version,
        origin=origin,
        facts=facts,
        journals=journals(facts),
        refund=refund,
        attempt=attempt,
        answer=answer(attempt.kind, payment, refund) if final and attempt.claim else None,
        release=isinstance(outcome, NotSent) and attempt.claim is not None,
        resolve_after_s=FIRST_DOUBT_S if isinstance(outcome, Unknown) else None,
    )


def _apply(payment: Payment, refund: Refund | None, attempt: Attempt, outcome: Outcome, at: datetime) -> list[Fact]:
    match attempt.kind:
        case AttemptKind.AUTHORIZE:
            return payment.settle(outcome, at)
        case AttemptKind.REFUND:
            assert refund is not None
            return payment.settle_refund(refund, outcome, at)
        case kind:
            raise ForbiddenStep(f"{kind} is not settled here")


def _note(attempt: Attempt, outcome: Outcome) -> None:
    match outcome:
        case Approved():
            attempt.status = AttemptStatus.APPROVED
            attempt.provider_id, attempt.network_code = outcome.provider_id, outcome.network_code
        case Declined():
            attempt.status = AttemptStatus.DECLINED
            attempt.provider_id, attempt.network_code = outcome.provider_id, outcome.network_code
        case NotSent():
            attempt.status, attempt.reason = AttemptStatus.NOT_SENT, outcome.reason
        case Unknown():
            attempt.reason = outcome.reason


def _contradiction(till: Till, loaded: Loaded, outcome: Outcome, origin: Origin) -> Unit | None:
    """Somebody else settled it. If the provider now says otherwise, a person must look: no money moves."""
    payment, attempt = loaded.payment, loaded.attempt
    assert attempt is not None
    said = {Approved: AttemptStatus.APPROVED, Declined: AttemptStatus.DECLINED}.get(type(outcome), attempt.status)
    # Declined and never sent are one truth: no money moved.
    contradicts = (said is AttemptStatus.APPROVED) is not (attempt.status is AttemptStatus.APPROVED)
    if not contradicts:
        return None
    return _review_unit(till, payment, f"{attempt.key} was {attempt.status}, the provider now says {said}", origin)


async def review(till: Till, loaded: Loaded, reason: str, origin: Origin) -> None:
    """Mark the payment for a person to look at. If it moves meanwhile, whoever meets the same again will mark it."""
    unit = _review_unit(till, loaded.payment, reason, origin)
    if unit is not None:
        await till.books.record(unit)


def _review_unit(till: Till, payment: Payment, reason: str, origin: Origin) -> Unit | None:
    """None if the payment is marked already."""
    if payment.needs_review is not None:
        return None
    till.watch.count("invariant.breach", name="contradiction")
    fact = payment.review(reason, till.clock.now())
    return Unit(payment=payment, expecting=payment.version, origin=origin, facts=[fact])


def _in_doubt(loaded: Loaded) -> Answer:
    """The answer from memory when the outcome could not be written: 202, whatever the provider said."""
    assert loaded.attempt is not None
    if loaded.refund is not None:
        return answer(loaded.attempt.kind, loaded.payment, loaded.refund.unsettled())
    return answer(loaded.attempt.kind, loaded.payment.unsettled(), None)
