"""The one shape of asking a provider: record the intent → ask, holding no lock and no connection → record the outcome.

`perform` is what a request does, `settle` (a file of its own) what whoever learns the outcome does, `once` what makes
it idempotent, `decide` what lets a race be decided again, `card_to_send` whose card it is.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from cleartill.domain.answers import answer
from cleartill.domain.backoff import delay_s
from cleartill.domain.card import Card, SealedCard
from cleartill.domain.errors import BooksUnavailable, CleartillError, IdempotencyInProgress
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.outcome import Outcome, Unknown
from cleartill.ports import Loaded, Provider, Till, Unit, Verdict
from cleartill.usecases.settle import settle

DECIDE_TRIES = 50
DECIDE_PAUSE_S, DECIDE_PAUSE_MAX_S = 0.002, 0.05
"""Between two tries, doubled up to the second: some ten refunds of one payment at once get out of each other's way."""
RESOLVE_AFTER_S = 10.0
"""The request owns its attempt this long after the intent (its own budget and some grace), then the resolver does."""

Ask = Callable[[Provider], Awaitable[Outcome]]


class Superseded(Exception):
    """The payment moved between reading it and recording the intent: decide again."""


class KeyAlreadyTaken(Exception):
    """Another request holds the idempotency key."""


class CardBlocked(Exception):
    """An issuer said "never again" about this card."""


def expiry(till: Till, deadline: float) -> datetime:
    """The instant after which the provider must refuse the request: when our caller stops waiting for it."""
    return till.clock.now() + timedelta(seconds=max(0.0, deadline - till.clock.monotonic()))


async def once(till: Till, claim: Claim | None, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do the work, or give the answer that stands under its idempotency key.

    The key is looked at only when the work is refused or finds it taken: a first request pays nothing for it, and a
    repeat that the rules would now refuse (the refund it asks for has left nothing to refund, the card was erased) is
    still a repeat.
    """
    try:
        return await work()
    except (KeyAlreadyTaken, CleartillError) as refusal:
        existing = await till.books.claimed(claim) if claim else None
        if claim is None or existing is None:
            if isinstance(refusal, KeyAlreadyTaken):  # and freed since: the first request was not sent
                raise IdempotencyInProgress from None
            raise
    stored = existing.replay(claim.fingerprint)
    if stored is not None:
        return Answer(stored.status, stored.body, replayed=True)
    now = await till.books.load(claim.merchant_id, existing.payment_id, existing.refund_id)
    shown = answer(now.payment, now.refund, made=claim.makes)
    return Answer(shown.status, shown.body, replayed=True)


async def decide(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Load and decide, and decide again whenever the payment moved in between, so that what fits gets no false no."""
    for tries in range(DECIDE_TRIES):
        try:
            return await work()
        except Superseded:
            await asyncio.sleep(delay_s(tries, base_s=DECIDE_PAUSE_S, cap_s=DECIDE_PAUSE_MAX_S))
    raise BooksUnavailable("Too many changes to this payment at once; nothing was sent")


def claim(till: Till, merchant_id: str, scope: str, key: str | None, what: list[Any]) -> Claim | None:
    """The claim on a caller's idempotency key; `what`: the parsed command, in a form with a version."""
    if key is None:
        return None
    return Claim(merchant_id, scope, key, till.vault.mark("idempotency", json.dumps(what, sort_keys=True)))


async def stored_card(till: Till, merchant_id: str, card: Card | None, token: str | None) -> SealedCard | None:
    """The card that is given, sealed, or else the one that is stored under the token; None: neither is given.
    Raises NotFound."""
    if card is not None:
        return till.vault.seal(card, merchant_id)
    return None if token is None else await till.books.card(merchant_id, token)


async def card_to_send(
    till: Till, merchant_id: str, card: Card | None, token: str | None
) -> tuple[Card | None, SealedCard | None]:
    """As a provider needs it, and as it is stored. Raises NotFound."""
    sealed = await stored_card(till, merchant_id, card, token)
    return (till.vault.open(sealed) if card is None and sealed else card), sealed


async def perform(till: Till, provider: Provider, intent: Unit, ask: Ask) -> Answer:
    """Record the intent, ask the provider, record the outcome; the answer for the caller.

    Raises Superseded, KeyAlreadyTaken or CardBlocked (nothing was written, nothing sent), Unavailable (nothing was
    sent).
    """
    await record(till, intent)
    assert intent.attempt is not None
    asked = Loaded(intent.payment, intent.refund, intent.attempt)
    try:
        outcome = await ask(provider)
    except asyncio.CancelledError:
        # Only the end of the process cancels an owned operation: say what is known, then go.
        await settle(till, asked, Unknown("cancelled"), intent.origin)
        raise
    return await settle(till, asked, outcome, intent.origin)


async def record(till: Till, intent: Unit) -> None:
    """Raises Superseded, KeyAlreadyTaken or CardBlocked: nothing was written."""
    match await till.books.record(intent):
        case Verdict.CONFLICT:
            raise Superseded
        case Verdict.KEY_TAKEN:
            raise KeyAlreadyTaken
        case Verdict.CARD_BLOCKED:
            raise CardBlocked
        case Verdict.RECORDED:
            pass
