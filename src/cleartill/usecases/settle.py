"""Record what became of an attempt, exactly once, whoever learns it: the request, the resolver or a callback."""

import asyncio
from datetime import datetime

from cleartill.domain.answers import answer
from cleartill.domain.attempt import Attempt, AttemptKind, AttemptStatus
from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import BooksUnavailable, CleartillError, ProviderUnavailable
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import ACTION_WITHIN, Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Loaded, Origin, Till, Unit, Verdict

SETTLE_TRIES = 20
"""Each outcome of one payment moves it, so ten refunds at once make the last of them try ten times. (Five were too few:
a refund that had succeeded was answered as in doubt.)"""
SETTLE_PAUSE_S, SETTLE_PAUSE_MAX_S = 0.002, 0.05
"""Before the second try, doubled before each next: many outcomes of one payment get out of each other's way."""
FIRST_DOUBT_S = 2.0
"""When the resolver first asks about an attempt that is known to be in doubt."""
_SAY_AGAIN = "What the provider says could not be written down; it must be said again"


async def settle(till: Till, loaded: Loaded, outcome: Outcome, origin: Origin, event: Claim | None = None) -> Answer:
    """Record what became of an attempt, exactly once, whoever else is trying to; the answer as it now stands.
    `event`: the claim of the callback that says so; one that was heard before has no effect.

    If the payment moved meanwhile it is loaded and decided again; if the books stay away the caller hears "in doubt"
    and the resolver finishes the work. Raises ProviderUnavailable once it is written down that nothing was sent: until
    then the resolver may send it; BooksUnavailable for an `event` that could not be written down.
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
            return answer(loaded.payment, loaded.refund, made=attempt.makes)
        unit.claim = event
        try:
            verdict = await till.books.record(unit)
            if verdict is Verdict.KEY_TAKEN:
                now = await till.books.load_attempt(attempt.merchant_id, attempt.key)
                return answer(now.payment, now.refund, made=attempt.makes)
            if verdict is not Verdict.RECORDED:
                loaded = await _reload(till, attempt, tries)
                continue
        except CleartillError:  # away for too long, or refusing what the provider said
            break
        if isinstance(outcome, NotSent):
            raise ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        return unit.answer or answer(loaded.payment, loaded.refund, made=attempt.makes)
    if event is not None:
        raise BooksUnavailable(_SAY_AGAIN)
    return _in_doubt(loaded)


async def _reload(till: Till, attempt: Attempt, tries: int) -> Loaded:
    """As it is now, a moment later, for whoever lost a race."""
    await asyncio.sleep(delay_s(tries, base_s=SETTLE_PAUSE_S, cap_s=SETTLE_PAUSE_MAX_S))
    return await till.books.load_attempt(attempt.merchant_id, attempt.key)


def _outcome_unit(till: Till, loaded: Loaded, outcome: Outcome, origin: Origin) -> Unit | None:
    payment, refund, attempt = loaded.payment, loaded.refund, loaded.attempt
    assert attempt is not None
    facts = _apply(payment, refund, attempt, outcome, till.clock.now())
    if facts is None:
        return None
    _note(attempt, outcome)
    final = isinstance(outcome, Approved | Declined)
    return Unit(
        payment=payment,
        expecting=payment.version,
        origin=origin,
        facts=facts,
        journals=journals(facts, till.fees),
        refund=refund,
        attempt=attempt,
        answer=answer(payment, refund, made=attempt.makes) if final and attempt.claim else None,
        release=isinstance(outcome, NotSent) and attempt.claim is not None,
        resolve_after_s=_RESOLVE_AFTER_S.get(type(outcome)),
        block=outcome if attempt.kind is AttemptKind.AUTHORIZE and isinstance(outcome, Declined) else None,
    )


_RESOLVE_AFTER_S = {Unknown: FIRST_DOUBT_S, ActionRequired: ACTION_WITHIN.total_seconds()}


def _apply(
    payment: Payment, refund: Refund | None, attempt: Attempt, outcome: Outcome, at: datetime
) -> list[Fact] | None:
    match attempt.kind:
        case AttemptKind.AUTHORIZE:
            return payment.settle(outcome, at, attempt.reverts_to)
        case AttemptKind.REFUND:
            assert refund is not None
            return payment.settle_refund(refund, outcome, at)
        case AttemptKind.CAPTURE | AttemptKind.VOID | AttemptKind.EXPIRE:
            return payment.settle_hold(attempt, outcome, at)


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
        case ActionRequired():
            attempt.provider_id = outcome.provider_id
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


async def review(till: Till, loaded: Loaded, reason: str, origin: Origin, event: Claim | None = None) -> None:
    """Mark the payment for a person to look at, however often it moves meanwhile. Raises BooksUnavailable."""
    for tries in range(SETTLE_TRIES):
        unit = _review_unit(till, loaded.payment, reason, origin)
        if unit is None:
            return
        unit.claim = event
        if await till.books.record(unit) is not Verdict.CONFLICT:
            return
        assert loaded.attempt is not None
        loaded = await _reload(till, loaded.attempt, tries)
    raise BooksUnavailable(_SAY_AGAIN)


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
        return answer(loaded.payment, loaded.refund.unsettled(), made=True)
    return answer(loaded.payment.unsettled(loaded.attempt.kind), None, made=False)
