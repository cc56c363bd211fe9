"""Hear what a provider says on its own: how a challenge ended, what became of an operation."""

import json
from dataclasses import replace

from cleartill.domain.attempt import AttemptKind, AttemptStatus
from cleartill.domain.errors import NotFound
from cleartill.domain.idempotency import Claim
from cleartill.domain.outcome import Approved
from cleartill.domain.transfer import TransferKind
from cleartill.ports import Callback, Origin, Till
from cleartill.usecases.hear_transfer import hear_transfer
from cleartill.usecases.settle import review, settle

_TRANSFERS = tuple(f"{kind.prefix}_" for kind in TransferKind)


async def receive_callback(till: Till, provider: str, callback: Callback, origin: Origin) -> None:
    """Settle the attempt it is about, once, whoever else does. What contradicts the books moves no money and marks the
    payment for review; what was heard before has no effect.

    `callback` is authentic: its signature was verified. Raises NotFound: no attempt of ours (or not yet: the provider
    must say it again), BooksUnavailable.
    """
    if callback.outcome is None:  # no news for us, perhaps not even about a payment of ours
        return
    if callback.payment_id.startswith(_TRANSFERS):
        await hear_transfer(till, provider, callback, origin)
        return
    loaded = await till.books.find_attempt(callback.attempt_key)
    attempt, payment = loaded.attempt, loaded.payment
    assert attempt is not None
    if attempt.provider != provider:
        raise NotFound
    what = [callback.attempt_key, type(callback.outcome).__name__, callback.amount_minor, callback.currency]
    fingerprint = till.vault.mark("callback", json.dumps(what))
    event = Claim(payment.merchant_id, f"callback:{provider}", callback.event_id, fingerprint)
    if callback.amount_minor not in (None, attempt.amount_minor) or callback.currency not in (None, attempt.currency):
        await review(till, loaded, f"a callback names another amount for {attempt.key}", origin, event)
        return
    outcome = callback.outcome
    still_open = attempt.status is AttemptStatus.OPEN
    if still_open and attempt.kind is AttemptKind.AUTHORIZE and isinstance(outcome, Approved):
        # A callback need not name the payment as later captures and refunds must: that comes with the answer.
        if payment.provider_payment_id is None:
            raise NotFound
        outcome = replace(outcome, provider_id=payment.provider_payment_id)
    await settle(till, loaded, outcome, origin, event)
