"""Providers that answer as scripted, and remember what is true."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.ids import new_id
from cleartill.domain.outcome import Approved, Declined, Finding, Found, Never, NotYet, Outcome
from cleartill.ports import Asked, Authorization, Provider, Reversal
from fakes.memory import FakeClock


@dataclass(frozen=True)
class Scripted:
    """What the provider answers, and what is true afterwards if that is something else (None: it did nothing)."""

    answer: Outcome
    truth: Approved | Declined | None = None


class FakeProvider:
    """Approves, unless scripted. Repeats its answer for a key, as the real one does. `hold`: answers wait for it.
    `reached`: set once it was asked."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name, self._clock = name, clock
        self.script: deque[Scripted | BaseException] = deque()
        self.asked: list[tuple[str, Authorization | Reversal]] = []
        self.truth: dict[str, Approved | Declined] = {}
        self.tombstones: set[str] = set()
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.away = False

    def answers(self, *outcomes: Outcome | Scripted | BaseException) -> None:
        """What the next calls get, one each. An exception is raised."""
        for outcome in outcomes:
            if isinstance(outcome, Approved | Declined):
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

    async def authorize(self, ask: Authorization) -> Outcome:
        return await self._answer("authorize", ask)

    async def capture(self, ask: Reversal) -> Outcome:
        return await self._answer("capture", ask)

    async def void(self, ask: Reversal) -> Outcome:
        return await self._answer("void", ask)

    async def refund(self, ask: Reversal) -> Outcome:
        return await self._answer("refund", ask)

    async def lookup(self, ask: Asked) -> Finding:
        await asyncio.sleep(0)
        if self.away:
            return NotYet()
        if ask.attempt_key in self.truth:
            return Found(self.truth[ask.attempt_key])
        self.tombstones.add(ask.attempt_key)
        return Never()

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
        if name in self.refused or self._clock.monotonic() >= deadline:
            raise ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        yield self[name]
