"""Take on a deposit or a withdrawal; workers take it to the bank."""

from dataclasses import dataclass
from typing import Any

from cleartill.domain.answers import transfer_answer
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.idempotency import Answer
from cleartill.domain.ledger import journals
from cleartill.domain.transfer import Transfer, TransferKind
from cleartill.ports import Fate, Origin, Till, Turn
from cleartill.usecases.attempt import claim


@dataclass(frozen=True, slots=True)
class TransferRequest:
    merchant_id: str
    kind: TransferKind
    amount_minor: int
    currency: str
    description: str | None
    metadata: dict[str, Any]
    idempotency_key: str


async def transfer(till: Till, asked: TransferRequest, origin: Origin) -> Answer:
    """The pending transfer; a repeat gets the same bytes until the transfer has ended, and then how it ended.

    A withdrawal reserves its amount at once: raises InsufficientFunds, and leaves the key free. Raises the
    idempotency refusals, and BooksUnavailable if nothing was written.
    """
    what = [1, asked.amount_minor, asked.currency, asked.description, asked.metadata]
    claimed = claim(till, asked.merchant_id, asked.kind, asked.idempotency_key, what)
    assert claimed is not None
    made = Transfer.of(
        asked.merchant_id,
        asked.kind,
        asked.amount_minor,
        asked.currency,
        till.default_provider,
        till.clock.now(),
        origin.trace_id,
        description=asked.description,
        metadata=asked.metadata,
        claim=claimed,
    )
    facts = [made.created()]
    first = transfer_answer(made)
    fate = await till.transfers.record(
        Turn(
            transfer=made,
            expecting=0,
            origin=origin,
            facts=facts,
            journals=journals(facts),
            claim=claimed,
            answer=first,
            cover=True,
            again_in_s=0.0,
        )
    )
    if fate is Fate.RECORDED:
        return first
    existing = await till.transfers.claimed(claimed)
    stored = existing.replay(claimed.fingerprint) if existing else None
    if stored is None:
        raise BooksUnavailable("The idempotency key is just being freed; nothing was written")
    return Answer(stored.status, stored.body, replayed=True)
