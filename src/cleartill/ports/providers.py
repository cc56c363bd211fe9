"""Those who move money, and the guard that stands before them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from cleartill.domain.card import Card
from cleartill.domain.outcome import Accepted, Approved, Declined, Finding, NotSent, Outcome, Unknown
from cleartill.domain.reconciliation import Line
from cleartill.domain.transfer import TransferKind


@dataclass(frozen=True, slots=True)
class Authorization:
    """Ask for money to be held, and taken at once if `capture`. The provider refuses it after `expires_at`.

    `card`: None where the provider needs none. `provider_payment_id`: what `prepare` made for it.
    """

    attempt_key: str
    payment_id: str
    amount_minor: int
    currency: str
    card: Card | None
    capture: bool
    expires_at: datetime
    provider_payment_id: str | None = None


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
    payment_id: str
    amount_minor: int
    currency: str
    expires_at: datetime
    provider_payment_id: str | None = None


Asked = Authorization | Inquiry


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """Ask for money to be moved between a merchant's bank account and us. `attempt_key` is the same on every try. The
    provider refuses it after `expires_at`."""

    attempt_key: str
    kind: TransferKind
    amount_minor: int
    currency: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Callback:
    """What a provider told us by itself, its signature verified: what became of the attempt `attempt_key`.

    `outcome`: None if there is nothing to do. `event_id`: equal for the same news told twice. `amount_minor`,
    `currency`: what the news is about, where the provider says so.
    """

    event_id: str
    payment_id: str
    attempt_key: str
    outcome: Approved | Declined | None
    occurred_at: datetime | None = None
    amount_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines of a provider's own book, the oldest first. `next`: what to ask for the page after it; None: the end."""

    lines: list[Line]
    next: str | None


Refusal = Literal["breaker_open", "bulkhead_full", "deadline"]
"""Why a permit is not given."""
Verifier = Callable[[bytes, str], Callback]
"""From a callback's body and its signature header to what it says. Raises BadSignature, InvalidCallback."""


class Provider(Protocol):
    """Somebody who moves money. An answer is Approved, Declined, ActionRequired, Unknown or NotSent; nothing is ever
    raised but cancellation."""

    name: str
    prepares: bool
    """Whether `prepare` comes before `authorize`: for a provider that can neither be asked by our key what became of
    an attempt nor be forbidden it."""
    needs_card: bool
    """Whether an authorization without a card makes no sense to it."""

    def takes(self, amount_minor: int, currency: str) -> bool:
        """Whether it can move exactly this amount at all. To be asked before the intent is written."""
        ...

    async def prepare(self, ask: Authorization) -> str | Outcome:
        """Make what will be authorized, without moving money; the provider's name for it, which is written down before
        `authorize` is called. Or why not: Declined, Unknown or NotSent."""
        ...

    async def authorize(self, ask: Authorization) -> Outcome: ...

    async def capture(self, ask: Reversal) -> Outcome: ...

    async def void(self, ask: Reversal) -> Outcome: ...

    async def refund(self, ask: Reversal) -> Outcome: ...

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        """Move money to or from the merchant's bank account; asked again, it does nothing more. `Accepted`: it is on
        its way."""
        ...

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        """What became of a transfer that was accepted; `Accepted`: it is still on its way."""
        ...

    async def lookup(self, ask: Asked) -> Finding:
        """What became of an attempt. `Never` only if it cannot happen any more: the provider put a tombstone under
        the key, or its time has passed."""
        ...

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        """A page of the provider's own book: from a time on, or the `next` of the page before. None: it shows none."""
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
