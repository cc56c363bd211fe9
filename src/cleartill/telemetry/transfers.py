"""The wrappers around transfers and the ledger: hops, and metrics of what is on disk."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cleartill.domain.errors import CleartillError
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Claim, ExistingClaim
from cleartill.domain.ledger import Balance
from cleartill.domain.transfer import Transfer
from cleartill.ports import Fate, Ledger, Listed, TransferQuery, Transfers, Turn, Watch
from cleartill.telemetry.correlation import here
from cleartill.telemetry.flight import Flight, current

T = TypeVar("T")

OUTCOMES = ("succeeded", "failed", "in_doubt")


async def _timed(name: str, what: str, call: Awaitable[T]) -> T:
    """One awaited question as a hop."""
    flight = current.get()
    if flight is None:
        return await call
    leg, outcome = flight.begin(name, what=what), "error"
    located = here.set(flight.spot(leg.span_id))
    try:
        result = await call
        outcome = "ok"
        return result
    except CleartillError as refused:
        outcome = refused.code
        raise
    finally:
        here.reset(located)
        leg.end(outcome)


class ObservedTransfers:
    def __init__(self, transfers: Transfers, watch: Watch, on_fact: Callable[[Fact, Turn], None]) -> None:
        self._transfers, self._watch, self._on_fact = transfers, watch, on_fact
        self.due, self.dead, self.depths = transfers.due, transfers.dead, transfers.depths

    async def record(self, turn: Turn) -> Fate:
        """Hands the turn its hops, and counts its facts once they are on disk."""
        flight = current.get()
        if flight is None:
            fate = await self._transfers.record(turn)
        else:
            fate = await self._recorded(flight, turn)
        if fate is Fate.CONFLICT:
            self._watch.count("books.conflict")
        elif fate is Fate.RECORDED:
            self._count(turn)
        return fate

    async def _recorded(self, flight: Flight, turn: Turn) -> Fate:
        known = flight.hand_over(turn)
        leg, outcome = flight.begin("books.record", facts=len(turn.facts)), "error"
        try:
            fate = await self._transfers.record(turn)
            outcome = "ok" if fate is Fate.RECORDED else fate.value
        except CleartillError as refused:
            outcome = refused.code
            raise
        finally:
            leg.end(outcome)
        if fate is Fate.RECORDED:
            if turn.facts:
                flight.stored = known
            transfer = turn.transfer
            flight.about.update(
                merchant_id=transfer.merchant_id,
                payment_id=transfer.id,
                provider=transfer.provider,
                currency=transfer.currency,
                amount_minor=transfer.amount_minor,
                status=transfer.status.value,
            )
        return fate

    def _count(self, turn: Turn) -> None:
        transfer = turn.transfer
        if transfer.faults and turn.again_in_s is not None:
            self._watch.count("transfer.retried", kind=transfer.kind.value)
        for fact in turn.facts:
            status = fact.type.partition(".")[2]
            if status in OUTCOMES:
                self._watch.count("transfer.count", kind=transfer.kind.value, currency=transfer.currency, status=status)
            self._on_fact(fact, turn)

    async def load(self, merchant_id: str, transfer_id: str) -> Transfer:
        return await _timed("books.load", "transfer", self._transfers.load(merchant_id, transfer_id))

    async def find(self, transfer_id: str) -> Transfer:
        return await _timed("books.load", "transfer", self._transfers.find(transfer_id))

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        """Counts what the domain will say of a key that is taken (`ExistingClaim.replay`)."""
        existing = await _timed("books.load", "claim", self._transfers.claimed(claim))
        if existing is not None:
            same = existing.fingerprint == claim.fingerprint
            self._watch.count("idempotency.replayed" if same else "idempotency.conflict")
        return existing

    async def list(self, merchant_id: str, query: TransferQuery) -> Listed[Transfer]:
        return await _timed("reads.query", "transfers", self._transfers.list(merchant_id, query))


class ObservedLedger:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.roll_up = ledger.roll_up

    async def balances(self, merchant_id: str) -> list[Balance]:
        return await _timed("reads.query", "balances", self._ledger.balances(merchant_id))
