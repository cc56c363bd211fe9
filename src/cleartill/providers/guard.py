"""The guard before every provider: breaker, bulkhead, deadline and safe retry, around any of them.

    closed ──failures in a row──▶ open ──open_s──▶ half-open ──the one probe succeeds──▶ closed
                                    ▲──────the probe fails──────┘

Decisions:
- pybreaker keeps the count and the state; the guard keeps the time (monotonic: pybreaker's is the wall clock's) and
  the probe. A call is reported to `breaker.calling()` after its answer, not made inside of it: tried on pybreaker
  1.4.1, an excluded exception counts as a success (a cancelled probe closed the breaker), and a call that began before
  the breaker opened could reopen it when it failed late. A report from an earlier state is dropped.
- Declines say that the provider is well. A cancelled call and an unused permit say nothing. Unknown and a refused
  connection are failures.
- Processes share what is open over `Breakers`, in the background; a request never waits for that.
- Waiting for a place is short and in order; who would wait in vain, by the mean stay, is refused at once.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import NamedTuple, Self, TypeVar

import pybreaker

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Declined, Finding, Found, Never, NotSent, NotYet, Outcome, Unknown
from cleartill.ports import Asked, Authorization, Breakers, Clock, Provider, Reversal, Watch
from cleartill.providers.wire import nothing_written

RETRIED = (NotSent("connect"), Unknown("reset"))
RETRY_PAUSE_S = 0.02
QUEUE_S = 0.2
"""The longest wait for a place: an overloaded service says so within 250 ms."""
SHARE_EVERY_S, CLOSE_S = 0.25, 2.0
NEVER_S = 1e9
"""pybreaker's reset timeout: the guard half-opens by the monotonic clock instead."""
STATES = {pybreaker.STATE_CLOSED: 0, pybreaker.STATE_HALF_OPEN: 1, pybreaker.STATE_OPEN: 2}
"""As the gauge `breaker.state` shows them."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class _Failed(Exception):
    """Tells pybreaker of a failure."""


class _Circuit(pybreaker.CircuitBreakerListener):
    """One provider's breaker. `_age` counts its changes of state; `_unshared`: the other processes must hear of one."""

    def __init__(self, name: str, failures: int, open_s: float, watch: Watch, clock: Clock) -> None:
        self._name, self._open_s, self._watch, self._clock = name, open_s, watch, clock
        self._age, self._until, self._probing, self._unshared = 0, 0.0, False, False
        self._breaker = pybreaker.CircuitBreaker(failures, NEVER_S, listeners=[self], throw_new_error_on_trip=False)

    @property
    def state(self) -> str:
        return self._breaker.current_state

    @property
    def left_s(self) -> float:
        """How long it stays open yet."""
        return self._until - self._clock.monotonic() if self.state == pybreaker.STATE_OPEN else 0.0

    def check(self) -> None:
        """Raises ProviderUnavailable unless a call may begin now."""
        if self.left_s > 0 or self._probing:
            raise self.refusal("breaker_open", self.left_s)

    def admit(self) -> int:
        """Let a call begin, as the probe if the breaker was open; its ticket for `report` and `release`."""
        self.check()
        if self.state == pybreaker.STATE_OPEN:
            self._breaker.half_open()
        self._probing = self.state == pybreaker.STATE_HALF_OPEN
        return self._age

    def report(self, ticket: int, said: Outcome | Finding) -> None:
        """What became of a call. It counts only if nothing has changed since it began, and if it says something about
        the provider's health: a clear answer, doubt, or no connection."""
        failed = isinstance(said, Unknown) or said == NotSent("connect")
        if ticket != self._age or not (failed or isinstance(said, Approved | Declined | Found | Never)):
            return
        with suppress(_Failed), self._breaker.calling():
            if failed:
                raise _Failed

    def release(self, ticket: int) -> None:
        """The call is over. A probe that nobody reported leaves its place to the next."""
        if ticket == self._age:
            self._probing = False

    async def share(self, breakers: Breakers) -> None:
        """Tell the other processes what is new here, else open if one of them has."""
        if self._unshared:
            self._unshared = False
            if self.state == pybreaker.STATE_CLOSED:
                await breakers.closed(self._name)
            elif self.left_s > 0:
                await breakers.opened(self._name, self.left_s)
        age = self._age
        left_s = await breakers.open_until(self._name)
        if left_s and self._age == age and self.state == pybreaker.STATE_CLOSED:
            self._breaker.open()
            self._until = self._clock.monotonic() + left_s
            self._unshared = False

    def state_change(
        self,
        _: pybreaker.CircuitBreaker,
        __: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        """pybreaker says so."""
        self._age += 1
        self._probing = False
        self._unshared = new_state.name != pybreaker.STATE_HALF_OPEN
        if new_state.name == pybreaker.STATE_OPEN:
            self._until = self._clock.monotonic() + self._open_s
        self._watch.count("breaker.transition", provider=self._name, to=new_state.name.replace("-", "_"))

    def refusal(self, reason: str, retry_after_s: float = 0.0) -> ProviderUnavailable:
        self._watch.count("guard.rejected", provider=self._name, reason=reason)
        refusal = ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        refusal.retry_after_s = max(1, math.ceil(retry_after_s))
        return refusal


class _Bulkhead:
    """A bounded number of places, and a queue that is only as long as it is useful."""

    def __init__(self, places: int) -> None:
        self.taken = 0
        self._places = places
        self._free = asyncio.Semaphore(places)
        self._waiting, self._mean_s = 0, 0.0

    async def enter(self, wait_s: float) -> bool:
        """Take a place within `wait_s` seconds; whether there was one."""
        if self._free.locked():
            # Little's law: places / mean length of stay are given back per second.
            in_vain = (self._waiting + 1) * self._mean_s > wait_s * self._places
            if in_vain or self._waiting >= self._places or not await self._queue(wait_s):
                return False
        else:
            await self._free.acquire()
        self.taken += 1
        return True

    async def _queue(self, wait_s: float) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def leave(self, stay_s: float) -> None:
        """Give back a place that was held for `stay_s` seconds."""
        self._mean_s += (stay_s - self._mean_s) / 8
        self.taken -= 1
        self._free.release()


class _Gate(NamedTuple):
    provider: Provider
    circuit: _Circuit
    bulkhead: _Bulkhead


class _Permit:
    """The right to ask one provider until a deadline, and its methods, guarded."""

    def __init__(self, gate: _Gate, deadline: float, clock: Clock) -> None:
        self.name = gate.provider.name
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

    async def ping(self) -> None:
        await self._provider.ping()

    async def _ask(self, call: Callable[[], Awaitable[Outcome]]) -> Outcome:
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
        try:
            async with asyncio.timeout(self._left_s) as limit:
                return await call()
        except TimeoutError as late:
            unsent = limit.expired() and nothing_written(late.__cause__)
            return NotSent("deadline") if unsent else Unknown("timeout")
        except Exception as error:  # a provider's fault is no statement about the money
            log.error("provider %s raised %s", self.name, type(error).__name__)
            return Unknown("unreadable")


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
            name: _Gate(provider, _Circuit(name, failures, open_s, watch, clock), _Bulkhead(in_flight))
            for name, provider in providers.items()
        }
        self._sharing: asyncio.Task[None] | None = None

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Provider]:
        """See `ports.Providers`. `retry_after_s` of ProviderUnavailable: whole seconds until it may be asked again."""
        gate = self._gates.get(name)
        if gate is None:
            raise ProviderUnavailable("This provider is not enabled")
        return _Permit(gate, deadline, self._clock)

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
                self._watch.gauge("guard.inflight", gate.bulkhead.taken, provider=name)
                try:
                    if self._breakers:
                        await gate.circuit.share(self._breakers)
                except Exception as error:  # then this process is on its own
                    log.error("breakers are not shared: %s", type(error).__name__)
            await asyncio.sleep(SHARE_EVERY_S)
