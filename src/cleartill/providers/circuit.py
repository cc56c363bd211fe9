"""One provider's circuit breaker.

    closed ──failures in a row──▶ open ──open_s──▶ half-open ──the one probe succeeds──▶ closed
                                    ▲──────the probe fails──────┘

Decisions:
- pybreaker keeps the count and the state; the circuit keeps the time (monotonic: pybreaker's is the wall clock's) and
  the probe. A call is reported to `breaker.calling()` after its answer, not made inside of it: tried on pybreaker
  1.4.1, an excluded exception counts as a success (a cancelled probe closed the breaker), and a call that began before
  the breaker opened could reopen it when it failed late. A report from an earlier state is dropped.
- Declines say that the provider is well. A cancelled call, an unused permit and a mere preparation say nothing (or a
  provider that prepares and never answers would look well). Unknown, a refused connection, refused credentials and
  "too many requests" are failures.
- Processes share what is open over `Breakers`, in the background; a request never waits for that.
"""

import math
from contextlib import suppress

import pybreaker

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Finding,
    Found,
    Never,
    NotSent,
    Outcome,
    Unknown,
)
from cleartill.ports import Breakers, Clock, Refusal, Watch

NEVER_S = 1e9
"""pybreaker's reset timeout: the circuit half-opens by the monotonic clock instead."""
STATES = {pybreaker.STATE_CLOSED: 0, pybreaker.STATE_HALF_OPEN: 1, pybreaker.STATE_OPEN: 2}
"""As the gauge `breaker.state` shows them."""
FAILURES = ("connect", "credentials", "rate_limited")
"""Reasons of NotSent that are the provider's, or its operator's; a deadline is our own."""
_WELL = (Accepted, Approved, Declined, ActionRequired, Found, Never)

Said = Outcome | Accepted | Finding | str
"""An answer; a string is what `prepare` made."""


class _Failed(Exception):
    """Tells pybreaker of a failure."""


class Circuit(pybreaker.CircuitBreakerListener):
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

    def report(self, ticket: int, said: Said) -> None:
        """What became of a call. It counts only if nothing has changed since it began, and if it says something about
        the provider's health: a clear answer, doubt, or no connection."""
        failed = isinstance(said, Unknown) or (isinstance(said, NotSent) and said.reason in FAILURES)
        if ticket != self._age or not (failed or isinstance(said, _WELL)):
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

    def refusal(self, reason: Refusal, retry_after_s: float = 0.0) -> ProviderUnavailable:
        self._watch.count("guard.rejected", provider=self._name, reason=reason)
        refusal = ProviderUnavailable("The provider cannot be asked now; nothing was sent")
        refusal.retry_after_s = max(1, math.ceil(retry_after_s))
        return refusal
