"""Providers that answer as scripted, and remember what is true."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.ids import new_id
from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import Asked, Authorization, Provider, Reversal, StatementPage, TransferOrder
from fakes.memory import FakeClock

TRAITS = {"bank": (False, True), "internal": (False, False), "mock": (True, False), "stripe": (True, True)}
"""`prepares` and `needs_card`, as the real ones have them."""


@dataclass(frozen=True)
class Scripted:
    """What the provider answers, and what is true afterwards if that is something else (None: it did nothing)."""

    answer: Outcome
    truth: Approved | Declined | ActionRequired | None = None


class FakeProvider:
    """Approves, unless scripted. Repeats its answer for a key, as the real one does. `hold`: answers wait for it.
    `reached`: set once it was asked. `prepared`: what `prepare` answers next. `book`: what `statement` does; none: it
    shows none."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name, self._clock = name, clock
        self.prepares, self.needs_card = TRAITS[name]
        self.prepared: deque[str | Outcome] = deque()
        self.refused_amounts: set[int] = set()
        self.read_from: list[datetime | str] = []
        self.book: deque[StatementPage | Unknown | NotSent] = deque()
        self.script: deque[Scripted | BaseException] = deque()
        self.asked: list[tuple[str, Any]] = []
        self.truth: dict[str, Approved | Declined | ActionRequired] = {}
        self.tombstones: set[str] = set()
        self.transfers: deque[Outcome | Accepted] = deque()
        self.ends: dict[str, Finding] = {}
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.away = False

    def answers(self, *outcomes: Outcome | Scripted | BaseException) -> None:
        """What the next calls get, one each. An exception is raised."""
        for outcome in outcomes:
            if isinstance(outcome, Approved | Declined | ActionRequired):
                outcome = Scripted(outcome, outcome)
            self.script.append(outcome if isinstance(outcome, Scripted | BaseException) else Scripted(outcome))

    async def _answer(self, operation: str, ask: Authorization | Reversal) -> Outcome:
        self.asked.append((operation, ask))
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        else:
            await asyncio.sleep(0)
        if ask.attempt_key in self.truth:
            return self.truth[ask.attempt_key]
        approved = Approved(
            new_id("bnk"), bank_reference=new_id("bkr"), network_code="00", avs_result="Y", cvc_result="M"
        )
        next_one = self.script.popleft() if self.script else Scripted(approved, approved)
        if isinstance(next_one, BaseException):
            raise next_one
        if next_one.truth is not None:
            self.truth[ask.attempt_key] = next_one.truth
        return next_one.answer

    def takes(self, amount_minor: int, currency: str) -> bool:
        return amount_minor not in self.refused_amounts

    async def prepare(self, ask: Authorization) -> str | Outcome:
        """A new name, unless `prepared` says something else."""
        self.asked.append(("prepare", ask))
        await asyncio.sleep(0)
        return self.prepared.popleft() if self.prepared else new_id("pi")

    async def authorize(self, ask: Authorization) -> Outcome:
        return await self._answer("authorize", ask)

    async def capture(self, ask: Reversal) -> Outcome:
        return await self._answer("capture", ask)

    async def void(self, ask: Reversal) -> Outcome:
        return await self._answer("void", ask)

    async def refund(self, ask: Reversal) -> Outcome:
        return await self._answer("refund", ask)

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        """Takes it on, unless `transfers` says something else."""
        self.asked.append(("transfer", ask))
        self.reached.set()
        await (self.hold.wait() if self.hold is not None else asyncio.sleep(0))
        return self.transfers.popleft() if self.transfers else Accepted(f"bnk_{ask.attempt_key}")

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        """On its way, unless `ends` says how it ended."""
        self.asked.append(("lookup_transfer", ask))
        await asyncio.sleep(0)
        if self.away:
            return NotYet()
        end = self.ends.get(ask.attempt_key)
        return Accepted(f"bnk_{ask.attempt_key}") if end is None else end

    async def lookup(self, ask: Asked) -> Finding:
        await asyncio.sleep(0)
        if self.away:
            return NotYet()
        if ask.attempt_key in self.truth:
            return Found(self.truth[ask.attempt_key])
        self.tombstones.add(ask.attempt_key)
        return Never()

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        self.read_from.append(since)
        await asyncio.sleep(0)
        return self.book.popleft() if self.book else None

    async def ping(self) -> None:
        if self.away:
            raise ConnectionError


class FakeProviders:
    """Any provider by name. `refused`: names whose breaker is open."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.by_name: dict[str, FakeProvider] = {}
        self.refused: set[str] = set()

    def __getitem__(self, name: str) -> FakeProvider:
        if name not in self.by_name:
            self.by_name[name] = FakeProvider(name, self._clock)
        return self.by_name[name]

    @asynccontextmanager
    async def permit(self, name: str, deadline: float) -> AsyncIterator[Provider]:
        if name not in TRAITS:
            raise ProviderUnavailable("This provider is not enabled")
        if name in self.refused or self._clock.monotonic() >= deadline:
            raise ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        yield self[name]
