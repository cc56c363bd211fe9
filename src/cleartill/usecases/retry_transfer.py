"""Take a dead letter up again, when a person says so."""

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.ledger import journals
from cleartill.domain.transfer import Transfer
from cleartill.ports import Fate, Origin, Till, Turn

TRIES = 5


async def retry_transfer(till: Till, transfer_id: str, origin: Origin) -> Transfer:
    """The transfer, due at once. What had failed begins anew under another reference, and a withdrawal reserves again;
    what is in doubt is asked about again under the one it has.

    Raises NotFound, ForbiddenStep for what is no dead letter, InsufficientFunds, BooksUnavailable.
    """
    for _ in range(TRIES):
        transfer = await till.transfers.find(transfer_id)
        expecting = transfer.version
        facts = [transfer.retry(till.clock.now())]
        turn = Turn(
            transfer=transfer,
            expecting=expecting,
            origin=origin,
            facts=facts,
            journals=journals(facts),
            cover=True,
            again_in_s=0.0,
        )
        if await till.transfers.record(turn) is Fate.RECORDED:
            return transfer
    raise BooksUnavailable("The transfer is moving; nothing was written")
