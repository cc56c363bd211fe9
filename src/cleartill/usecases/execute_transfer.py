"""Take transfers that are due to the bank, and ask about those it has had for a while."""

import asyncio

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Disagrees,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import Fate, Leased, Origin, Till, TransferOrder, Turn
from cleartill.usecases.attempt import expiry
from cleartill.usecases.settle_transfer import Said, settle_transfer

BATCH = 32
LEASE_S = 30.0
BUDGET_S = 8.0
"""Well below the lease: whoever keeps it knows the end before somebody else begins. The bank refuses what reaches it
later."""


async def execute_transfer(till: Till, owner: str) -> int:
    """One round over the transfers that are due; how many were looked at."""
    due = await till.transfers.due(owner, BATCH, LEASE_S)
    ended = await asyncio.gather(*(_execute(till, leased) for leased in due), return_exceptions=True)
    for error in ended:  # one that cannot be settled keeps no other from it, and is not passed over in silence
        if isinstance(error, BaseException):
            raise error
    return len(due)


async def _execute(till: Till, leased: Leased) -> None:
    with till.flights.background("transfer.execute", leased.origin) as here:
        asking = _ask_about if leased.transfer.accepted_at else _ask_for
        said = await asking(till, leased, here)
        if said is not None:
            await settle_transfer(till, leased.transfer, said, here, lease=leased.lease)


async def _ask_for(till: Till, leased: Leased, origin: Origin) -> Said | None:
    """What the bank says to the order; None if it was not asked, since a callback or another worker came first.

    The intent is on record before a byte is sent. That a try wrote nothing says something about the whole round only if
    no other one may have.
    """
    transfer = leased.transfer
    unsure, deadline = transfer.unsure, till.clock.monotonic() + BUDGET_S
    try:
        async with till.providers.permit(transfer.provider, deadline) as provider:
            transfer.begin(till.clock.now())
            intent = Turn(transfer, transfer.version, origin, lease=leased.lease, goes_on=True)
            if await till.transfers.record(intent) is not Fate.RECORDED:
                return None
            said = _understood(await provider.transfer(_order(till, leased, deadline)))
    except ProviderUnavailable:
        said = NotSent("provider_unavailable")
    if isinstance(said, NotSent):
        transfer.unsure = unsure
    return said


async def _ask_about(till: Till, leased: Leased, _: Origin) -> Said:
    deadline = till.clock.monotonic() + BUDGET_S
    try:
        async with till.providers.permit(leased.transfer.provider, deadline) as provider:
            return _found(await provider.lookup_transfer(_order(till, leased, deadline)))
    except ProviderUnavailable:
        return Unknown("provider_unavailable")


def _order(till: Till, leased: Leased, deadline: float) -> TransferOrder:
    transfer = leased.transfer
    return TransferOrder(
        attempt_key=transfer.reference,
        kind=transfer.kind,
        amount_minor=transfer.amount_minor,
        currency=transfer.currency,
        expires_at=expiry(till, deadline),
    )


def _understood(said: Outcome | Accepted) -> Said:
    return Unknown("unreadable") if isinstance(said, ActionRequired) else said


def _found(finding: Finding | Accepted) -> Said:
    match finding:
        case Accepted() | Disagrees():
            return finding
        case Found(outcome):
            return _understood(outcome)
        case NotYet() | Never():  # it had said that it has it
            return Unknown("not_known")
