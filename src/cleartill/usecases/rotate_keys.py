"""Rotate keys: every card's data key goes under the current key-encryption key, and so does every webhook secret, while
the service runs.

Nothing is remembered between runs: what is left is what is not under the current version, so a run that was killed is
simply started again, and two at once share the work.
"""

from collections.abc import Callable

from cleartill.domain.card import SealedCard
from cleartill.domain.errors import CleartillError, Unavailable
from cleartill.domain.webhook import Endpoint
from cleartill.ports import Till

MAX_ROUNDS = 1_000_000
MAX_IDLE_ROUNDS = 100
"""Rounds in a row that stored nothing, because somebody else changed every card of the batch first."""


async def rotate_keys(till: Till, *, batch: int = 500, progress: Callable[[int], None] | None = None) -> int:
    """Re-wrap in batches of `batch` until no card is left under another key; how many this run re-wrapped, which
    `progress` hears after every batch.

    A card that cannot be opened stays as it is and does not keep the others from going on; once a batch holds nothing
    else, the first one's error is raised. Raises BooksUnavailable, and Unavailable if the work does not come to an end.
    """
    done = idle = 0
    for _ in range(MAX_ROUNDS):
        cards = await till.backlog.cards_not_under(till.vault.key_version, batch)
        if not cards:
            await _reseal(till, batch)
            return done
        rewrapped, refusal = _rewrap(till, cards)
        if refusal is not None and not rewrapped:
            raise refusal
        stored = await till.backlog.store_rewrapped(rewrapped)
        done += stored
        idle = 0 if stored else idle + 1
        if idle == MAX_IDLE_ROUNDS:
            break
        if progress is not None:
            progress(done)
    raise Unavailable("Some cards keep being changed by somebody else; run the rotation again")


async def _reseal(till: Till, batch: int) -> None:
    vault = till.vault

    def again(endpoint: Endpoint) -> Endpoint:
        owner = (endpoint.merchant_id, endpoint.id)
        old, secret = endpoint.old_secret, vault.open_secret(endpoint.secret, *owner)
        return endpoint.resealed(
            vault.seal_secret(secret, *owner),
            vault.seal_secret(vault.open_secret(old, *owner), *owner) if old is not None else None,
            vault.key_version,
        )

    for _ in range(MAX_ROUNDS):
        if not await till.webhooks.reseal(vault.key_version, again, batch):
            return


def _rewrap(till: Till, cards: list[SealedCard]) -> tuple[list[tuple[SealedCard, SealedCard]], CleartillError | None]:
    """The (old, new) pairs, and the error of the first card that cannot be opened."""
    pairs, refusal = [], None
    for card in cards:
        try:
            pairs.append((card, till.vault.rewrap(card)))
        except CleartillError as error:
            refusal = refusal or error
    return pairs, refusal
