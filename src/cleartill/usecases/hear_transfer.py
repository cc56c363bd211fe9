"""Hear what the bank says on its own about a transfer."""

import json

from cleartill.domain.errors import NotFound
from cleartill.domain.idempotency import Claim
from cleartill.domain.outcome import Approved
from cleartill.domain.transfer import Transfer, TransferStatus
from cleartill.ports import Callback, Origin, Till
from cleartill.usecases.settle_transfer import Said, settle_transfer


async def hear_transfer(till: Till, provider: str, callback: Callback, origin: Origin) -> None:
    """Settle the transfer it is about, once, whoever else does. `callback` is authentic.

    Another amount, the opposite of what is known, or a yes to an earlier reference moves no money and asks for a person
    to look. Raises NotFound: no transfer of ours, or the bank was not asked for it yet and must say it again;
    BooksUnavailable.
    """
    transfer = await till.transfers.find(callback.payment_id)
    round = transfer.round_of(callback.attempt_key)
    if round is None or transfer.provider != provider or (round == transfer.round and not _was_asked(transfer)):
        raise NotFound
    if callback.outcome is None:
        return
    said: Said | str = callback.outcome
    if callback.amount_minor not in (None, transfer.amount_minor) or callback.currency not in (None, transfer.currency):
        said = f"a callback names another amount for {callback.attempt_key}"
    elif round < transfer.round:  # it had surely done nothing
        if not isinstance(said, Approved):
            return
        said = f"{callback.attempt_key} was given up, and now the bank says that it succeeded"
    what = [callback.attempt_key, type(callback.outcome).__name__, callback.amount_minor, callback.currency]
    fingerprint = till.vault.mark("callback", json.dumps(what))
    event = Claim(transfer.merchant_id, f"callback:{provider}", callback.event_id, fingerprint)
    await settle_transfer(till, transfer, said, origin, event=event)


def _was_asked(transfer: Transfer) -> bool:
    return transfer.unsure or transfer.status not in (TransferStatus.PENDING, TransferStatus.PROCESSING)
