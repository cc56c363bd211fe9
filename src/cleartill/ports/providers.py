"""Those who move money, and the guard that stands before them."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cleartill.domain.card import Card
from cleartill.domain.outcome import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Authorization:
    """Ask for money to be held, and taken at once if `capture`. The provider refuses it after `expires_at`."""

    attempt_key: str
    amount_minor: int
    currency: str
    card: Card
    capture: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reversal:
    """Ask for `amount_minor` of an earlier authorization to be captured, voided or refunded."""

    attempt_key: str
    provider_payment_id: str
    amount_minor: int
    currency: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Ask what became of an authorization, by what is known of it once the card is gone."""

    attempt_key: str
    amount_minor: int
    currency: str
    expires_at: datetime


Asked = Authorization | Inquiry


class Provider(Protocol):
    """Somebody who moves money. An answer is Approved, Declined, Unknown or NotSent; nothing is ever raised but
    cancellation."""

    name: str

    async def authorize(self, ask: Authorization) -> Outcome: ...

    async def capture(self, ask: Reversal) -> Outcome: ...

    async def void(self, ask: Reversal) -> Outcome: ...

    async def refund(self, ask: Reversal) -> Outcome: ...

    async def lookup(self, ask: Asked) -> Finding:
        """What became of an attempt. `Never` only if it cannot happen any more: the provider put a tombstone under
        the key, or its time has passed."""
        ...

    async def ping(self) -> None:
        """Raises if the provider cannot be reached."""
        ...


class Providers(Protocol):
    """The providers by name, each behind its guard."""

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Provider]:
        """The right to ask one provider now: breaker closed, a place in the bulkhead, time left. Taken before the
        intent is written. Raises ProviderUnavailable: nothing was sent."""
        ...


class Breakers(Protocol):
    """Which breakers are open, shared by all processes. Away: every process on its own."""

    async def open_until(self, name: str) -> float | None:
        """Seconds the breaker stays open yet; None if it is closed or nobody can tell."""
        ...

    async def opened(self, name: str, for_s: float) -> None: ...

    async def closed(self, name: str) -> None: ...
