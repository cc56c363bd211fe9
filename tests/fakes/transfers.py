"""The Transfers and Ledger ports over memory: versions, claims, cover and leases, as the real ones keep them."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta

from cleartill.domain.errors import BooksUnavailable, InsufficientFunds, NotFound
from cleartill.domain.idempotency import Claim, ExistingClaim
from cleartill.domain.ledger import MERCHANT, Balance
from cleartill.domain.money import written
from cleartill.domain.transfer import Transfer
from cleartill.ports import Depth, Fate, Leased, Listed, Origin, OutboxRow, TransferLease, TransferQuery, Turn
from fakes.memory import FakeClock, Held, Key, Memory, of


@dataclass
class Schedule:
    origin: Origin
    next_at: datetime | None = None
    epoch: int = 0
    until: datetime | None = None


class FakeLedger:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.away = False

    async def balances(self, merchant_id: str) -> list[Balance]:
        if self.away:
            raise BooksUnavailable("The books are away")
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for journal in self._memory.journals:
            if journal.merchant_id == merchant_id:
                for entry in journal.entries:
                    sums[entry.account, journal.currency] += entry.amount_minor
        return [Balance(account, currency, amount) for (account, currency), amount in sorted(sums.items())]

    async def roll_up(self, limit: int) -> int:
        return 0


class FakeTransfers:
    """`away`: nothing can be written or read. `before_record`: called with each turn, may raise or meddle."""

    def __init__(self, memory: Memory, clock: FakeClock, ledger: FakeLedger) -> None:
        self._memory, self._clock, self._ledger = memory, clock, ledger
        self.schedules: dict[Key, Schedule] = {}
        self.before_record: Callable[[Turn], None] | None = None
        self.away = False
        self.turns: list[Turn] = []

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    async def record(self, turn: Turn) -> Fate:
        await asyncio.sleep(0)
        self._reach()
        if self.before_record:
            self.before_record(turn)
        memory, transfer = self._memory, turn.transfer
        key = (transfer.merchant_id, transfer.id)
        if turn.expecting:
            stored = of(memory.transfers, *key)
            if turn.lease is not None and self.schedules[key].epoch != turn.lease.epoch:
                return Fate.LEASE_LOST
            if stored.version != turn.expecting:
                return Fate.CONFLICT
        if turn.claim and (turn.claim.merchant_id, turn.claim.scope, turn.claim.key) in memory.claims:
            return Fate.KEY_TAKEN
        if turn.cover:
            await self._cover(turn)
        self._write(key, turn)
        self.turns.append(turn)
        return Fate.RECORDED

    async def _cover(self, turn: Turn) -> None:
        for journal in turn.journals:
            taken = -sum(entry.amount_minor for entry in journal.entries if entry.account == MERCHANT)
            balances = await self._ledger.balances(journal.merchant_id)
            mine = (one for one in balances if (one.account, one.currency) == (MERCHANT, journal.currency))
            there = sum(one.amount_minor for one in mine)
            if taken > 0 and there < taken:
                raise InsufficientFunds(there, written(there, journal.currency))

    def _write(self, key: Key, turn: Turn) -> None:
        memory, transfer = self._memory, turn.transfer
        assert all(sum(entry.amount_minor for entry in journal.entries) == 0 for journal in turn.journals)
        memory.transfers[key] = deepcopy(transfer)
        schedule = self.schedules.setdefault(key, Schedule(turn.origin))
        if not turn.goes_on:
            schedule.until = None
            again = turn.again_in_s
            schedule.next_at = None if again is None else self._clock.now() + timedelta(seconds=again)
        if turn.claim:
            at = (turn.claim.merchant_id, turn.claim.scope, turn.claim.key)
            memory.claims[at] = Held(turn.claim, transfer.id, None, None, created_at=self._clock.now())
        if turn.answer and transfer.claim:
            held = memory.claims.get((transfer.claim.merchant_id, transfer.claim.scope, transfer.claim.key))
            mine = held is not None and held.payment_id == transfer.id
            if held and mine and (held.answer is None or held.answer.status == 202):
                held.answer, held.answered_at = turn.answer, self._clock.now()
        memory.journals.extend(turn.journals)
        for fact in turn.facts:
            memory.facts.append((fact, turn.origin))
            subject = (fact.merchant_id, fact.subject_id, fact.seq)
            assert subject not in memory.outbox, "seq is unique per subject"
            event = json.dumps(fact.cloud_event(turn.origin.traceparent)).encode()
            memory.outbox[subject] = OutboxRow(*subject, event, fact.type, turn.origin.traceparent)

    async def load(self, merchant_id: str, transfer_id: str) -> Transfer:
        await asyncio.sleep(0)
        self._reach()
        found: Transfer = of(self._memory.transfers, merchant_id, transfer_id)
        return found

    async def find(self, transfer_id: str) -> Transfer:
        await asyncio.sleep(0)
        self._reach()
        for (_, id), transfer in self._memory.transfers.items():
            if id == transfer_id:
                return deepcopy(transfer)
        raise NotFound

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        await asyncio.sleep(0)
        self._reach()
        held = self._memory.claims.get((claim.merchant_id, claim.scope, claim.key))
        if held is None:
            return None
        return ExistingClaim(held.claim.fingerprint, held.answer, held.payment_id, None, overdue=True)

    async def due(self, owner: str, limit: int, lease_s: float) -> list[Leased]:
        await asyncio.sleep(0)
        self._reach()
        now, leased = self._clock.now(), []
        for key, schedule in self.schedules.items():
            free = schedule.until is None or schedule.until <= now
            if schedule.next_at is not None and schedule.next_at <= now and free and len(leased) < limit:
                schedule.epoch, schedule.until = schedule.epoch + 1, now + timedelta(seconds=lease_s)
                transfer = deepcopy(self._memory.transfers[key])
                leased.append(Leased(transfer, schedule.origin, TransferLease(owner, schedule.epoch)))
        return leased

    async def list(self, merchant_id: str, query: TransferQuery) -> Listed[Transfer]:
        self._reach()
        mine = (one for (merchant, _), one in self._memory.transfers.items() if merchant == merchant_id)
        down = sorted((one for one in mine if one.kind is query.kind), key=lambda one: one.id, reverse=True)
        if query.before is not None:
            down = [one for one in down if one.id < query.before]
        found = [
            one
            for one in down[: query.look_at]
            if (not query.statuses or one.status in query.statuses)
            and (query.created_from is None or one.created_at >= query.created_from)
            and (query.created_to is None or one.created_at < query.created_to)
        ]
        page = deepcopy(found[: query.limit])
        if len(found) > query.limit:
            return Listed(page, page[-1].id)
        return Listed(page, down[query.look_at - 1].id if len(down) >= query.look_at else None)

    async def dead(self, limit: int, before: str | None = None) -> Listed[Transfer]:
        self._reach()
        letters = [one for one in self._memory.transfers.values() if one.dead and (before is None or one.id < before)]
        found = sorted(letters, key=lambda one: one.id, reverse=True)
        page = deepcopy(found[:limit])
        return Listed(page, page[-1].id if len(found) > limit else None)

    async def depths(self) -> Sequence[Depth]:
        pending = sum(schedule.next_at is not None for schedule in self.schedules.values())
        dead = sum(one.dead is not None for one in self._memory.transfers.values())
        return [Depth("transfer.pending", float(pending)), Depth("transfer.dead", float(dead))]
