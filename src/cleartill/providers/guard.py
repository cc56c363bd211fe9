"""The guard before every provider: breaker, bulkhead, deadline and safe retry, around any of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Accepted, Finding, NotSent, NotYet, Outcome, Unknown
from cleartill.ports import (
    Asked,
    Authorization,
    Breakers,
    Clock,
    Provider,
    Reversal,
    StatementPage,
    TransferOrder,
    Watch,
)
from cleartill.providers.bulkhead import Bulkhead
from cleartill.providers.circuit import STATES, Circuit
from cleartill.providers.wire import nothing_written

RETRIED = (NotSent("connect"), Unknown("reset"))
RETRY_PAUSE_S = 0.02
QUEUE_S = 0.2
"""The longest wait for a place: an overloaded service says so within 250 ms."""
SHARE_EVERY_S, CLOSE_S = 0.25, 2.0

log = logging.getLogger(__name__)
A = TypeVar("A", Outcome, str | Outcome, Outcome | Accepted)
T = TypeVar(
    "T",
    Outcome,
    Finding,
    str | Outcome,
    Outcome | Accepted,
    Finding | Accepted,
    StatementPage | Unknown | NotSent | None,
)


class _Gate(NamedTuple):
    provider: Provider
    circuit: Circuit
    bulkhead: Bulkhead


class _Permit:
    """The right to ask one provider until a deadline, and its methods, guarded."""

    def __init__(self, gate: _Gate, deadline: float, clock: Clock) -> None:
        provider = gate.provider
        self.name, self.prepares, self.needs_card = provider.name, provider.prepares, provider.needs_card
        self._provider, self._circuit, self._bulkhead = gate
        self._deadline, self._clock = deadline, clock
        self._since, self._ticket = 0.0, 0

    @property
    def _left_s(self) -> float:
        return self._deadline - self._clock.monotonic()

    async def __aenter__(self) -> Self:
        self._circuit.check()
        if self._left_s <= 0:
            raise self._circuit.refusal("deadline")
        if not await self._bulkhead.enter(min(QUEUE_S, self._left_s)):
            raise self._circuit.refusal("bulkhead_full")
        self._since = self._clock.monotonic()
        try:
            self._ticket = self._circuit.admit()
        except ProviderUnavailable:
            self._bulkhead.leave(0.0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._circuit.release(self._ticket)
        self._bulkhead.leave(self._clock.monotonic() - self._since)

    def takes(self, amount_minor: int, currency: str) -> bool:
        return self._provider.takes(amount_minor, currency)

    async def prepare(self, ask: Authorization) -> str | Outcome:
        return await self._ask(lambda: self._provider.prepare(ask))

    async def authorize(self, ask: Authorization) -> Outcome:
        return await self._ask(lambda: self._provider.authorize(ask))

    async def capture(self, ask: Reversal) -> Outcome:
        return await self._ask(lambda: self._provider.capture(ask))

    async def void(self, ask: Reversal) -> Outcome:
        return await self._ask(lambda: self._provider.void(ask))

    async def refund(self, ask: Reversal) -> Outcome:
        return await self._ask(lambda: self._provider.refund(ask))

    async def lookup(self, ask: Asked) -> Finding:
        found = await self._once(lambda: self._provider.lookup(ask))
        self._circuit.report(self._ticket, found)
        return NotYet() if isinstance(found, Unknown | NotSent) else found

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        return await self._ask(lambda: self._provider.transfer(ask))

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        found = await self._once(lambda: self._provider.lookup_transfer(ask))
        self._circuit.report(self._ticket, found)
        return NotYet() if isinstance(found, Unknown | NotSent) else found

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        """Whether its book can be read says nothing about payments: the breaker does not hear of it."""
        return await self._once(lambda: self._provider.statement(since))

    async def ping(self) -> None:
        await self._provider.ping()

    async def _ask(self, call: Callable[[], Awaitable[A]]) -> A | Unknown | NotSent:
        """Ask, and once more with the same attempt key where that is safe and time is left."""
        outcome = await self._once(call)
        if outcome in RETRIED and self._left_s > RETRY_PAUSE_S:
            await asyncio.sleep(RETRY_PAUSE_S)
            again = await self._once(call)
            # A try that wrote nothing takes nothing back of what the first may have done.
            outcome = outcome if isinstance(again, NotSent) else again
        self._circuit.report(self._ticket, outcome)
        return outcome

    async def _once(self, call: Callable[[], Awaitable[T]]) -> T | Unknown | NotSent:
        if self._left_s <= 0:
            return NotSent("deadline")
        self._bulkhead.asking += 1
        try:
            async with asyncio.timeout(self._left_s) as limit:
                return await call()
        except TimeoutError as late:
            unsent = limit.expired() and nothing_written(late.__cause__)
            return NotSent("deadline") if unsent else Unknown("timeout")
        except Exception as error:  # a provider's fault is no statement about the money
            log.error("provider %s raised %s", self.name, type(error).__name__)
            return Unknown("unreadable")
        finally:
            self._bulkhead.asking -= 1


class Guard:
    """Implements `ports.Providers`. `in_flight`: places per provider in this process; `failures`: how many in a row
    open its breaker, for `open_s` seconds. `start` begins to share breakers and to show gauges."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        in_flight: int,
        failures: int,
        open_s: float,
        breakers: Breakers | None,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._breakers, self._watch, self._clock, self._closing = breakers, watch, clock, False
        self._gates = {
            name: _Gate(provider, Circuit(name, failures, open_s, watch, clock), Bulkhead(in_flight))
            for name, provider in providers.items()
        }
        self._sharing: asyncio.Task[None] | None = None

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Provider]:
        """See `ports.Providers`. `retry_after_s` of ProviderUnavailable: whole seconds until it may be asked again."""
        gate = self._gates.get(name)
        if gate is None:
            raise ProviderUnavailable("This provider is not enabled")
        return _Permit(gate, deadline, self._clock)

    def asking(self) -> int:
        """How many questions are under way, to all of them."""
        return sum([gate.bulkhead.asking for gate in self._gates.values()])

    async def start(self) -> None:
        self._sharing = asyncio.create_task(self._share(), name="guard.share")

    async def close(self) -> None:
        self._closing = True  # cancelling alone is not enough: redis-py 8.1 swallows it now and then while it connects
        if self._sharing is not None:
            self._sharing.cancel()
            await asyncio.wait([self._sharing], timeout=CLOSE_S)

    async def _share(self) -> None:
        """Off the requests' path: tell and hear about breakers, show gauges."""
        while not self._closing:
            for name, gate in self._gates.items():
                self._watch.gauge("breaker.state", STATES[gate.circuit.state], provider=name)
                self._watch.observe("guard.inflight", gate.bulkhead.taken, provider=name)
                try:
                    if self._breakers:
                        await gate.circuit.share(self._breakers)
                except Exception as error:  # then this process is on its own
                    log.error("breakers are not shared: %s", type(error).__name__)
            await asyncio.sleep(SHARE_EVERY_S)
