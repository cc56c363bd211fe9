"""Record what became of asking the bank for a transfer, exactly once, whoever learns it: a worker or a callback."""

import asyncio
from datetime import datetime

from cleartill.domain.answers import transfer_answer
from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Claim
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import Accepted, Approved, Declined, Disagrees, NotSent, Unknown
from cleartill.domain.transfer import Transfer
from cleartill.ports import Fate, Origin, Till, TransferLease, Turn

TRIES = 10
PAUSE_S, PAUSE_MAX_S = 0.002, 0.05
ASK_FIRST_S, ASK_MAX_S = 5.0, 60.0
"""Until the bank is asked about a transfer that it has accepted and not called back about; doubled each time."""

Said = Approved | Declined | Accepted | Unknown | NotSent | Disagrees


async def settle_transfer(
    till: Till,
    transfer: Transfer,
    said: Said | str,
    origin: Origin,
    *,
    lease: TransferLease | None = None,
    event: Claim | None = None,
) -> None:
    """Record it, and decide again whenever the transfer moved meanwhile. A text asks for a person to look and moves no
    money; so does what contradicts an end that is known. `lease`: the worker's; if it was lost, nothing is written.
    `event`: the claim of the callback that says so; one that was heard before has no effect.

    Raises BooksUnavailable if it could not be written down.
    """
    for tries in range(TRIES):
        turn = _turn(till, transfer, said, origin)
        if turn is None:  # nothing new to say
            return
        turn.claim, turn.lease = event, lease
        if await till.transfers.record(turn) is not Fate.CONFLICT:
            return
        await asyncio.sleep(delay_s(tries, base_s=PAUSE_S, cap_s=PAUSE_MAX_S))
        transfer = await till.transfers.load(transfer.merchant_id, transfer.id)
    raise BooksUnavailable("What the bank says could not be written down; it must be said again")


def _turn(till: Till, transfer: Transfer, said: Said | str, origin: Origin) -> Turn | None:
    at, expecting = till.clock.now(), transfer.version
    if isinstance(said, Approved | Declined) and transfer.contradicts(said):
        said = f"{transfer.reference} has {transfer.status}, the bank now says the opposite"
    if isinstance(said, str):
        asked = transfer.review(said, at)
        if asked is None:
            return None
        till.watch.count("invariant.breach", name="contradiction")
        return Turn(transfer, expecting, origin, [asked], goes_on=True)
    if transfer.is_final:
        return None
    facts = _apply(transfer, said, at)
    return Turn(
        transfer=transfer,
        expecting=expecting,
        origin=origin,
        facts=facts,
        journals=journals(facts),
        answer=transfer_answer(transfer) if transfer.is_final else None,
        again_in_s=_again_in_s(transfer, said, at),
    )


def _apply(transfer: Transfer, said: Said, at: datetime) -> list[Fact]:
    match said:
        case Approved() | Declined():
            return transfer.end(said, at)
        case Accepted():
            return transfer.accept(said.provider_id, at)
        case Disagrees():
            return transfer.give_up(f"the bank has another {said.about} under {transfer.reference}", at)
        case Unknown() | NotSent():
            return transfer.fault(said.reason, at)


def _again_in_s(transfer: Transfer, said: Said, at: datetime) -> float | None:
    if transfer.is_final or transfer.dead is not None:
        return None
    if isinstance(said, Accepted):
        assert transfer.accepted_at is not None
        return min(ASK_MAX_S, max(ASK_FIRST_S, (at - transfer.accepted_at).total_seconds()))
    return delay_s(transfer.faults)
