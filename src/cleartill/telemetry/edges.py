"""The wrappers around the ports that a card passes on its way outside: vault and providers."""

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from time import time_ns
from types import TracebackType
from typing import Literal, TypeVar

from cleartill.domain.card import Card, SealedCard, Secret
from cleartill.domain.errors import CleartillError
from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import (
    Asked,
    Authorization,
    Provider,
    Providers,
    Reversal,
    StatementPage,
    TransferOrder,
    Vault,
    Watch,
)
from cleartill.telemetry.correlation import here
from cleartill.telemetry.flight import Leg, current
from cleartill.telemetry.scrub import clean

Said = Outcome | Accepted | Finding | StatementPage | str | None
T = TypeVar("T", bound=Said)
Operation = Literal[
    "prepare", "authorize", "capture", "void", "refund", "lookup", "transfer", "lookup_transfer", "statement"
]
CUT_OFF = "cut_off"
"""The outcome of a question that was given up before its answer."""

MEANINGS: dict[type[object], str] = {
    Accepted: "accepted",
    Approved: "approved",
    Declined: "declined",
    ActionRequired: "action_required",
    Unknown: "unknown",
    NotSent: "not_sent",
    Never: "never",
    NotYet: "not_yet",
    Disagrees: "disagrees",
    str: "prepared",
    StatementPage: "shown",
    type(None): "none",
}


def _meaning(said: Said) -> tuple[str, str | None]:
    """What an answer is called in tags, and the reason given with it."""
    if isinstance(said, Found):
        said = said.outcome
    return MEANINGS[type(said)], said.reason if isinstance(said, Unknown | NotSent) else None


class ObservedVault:
    def __init__(self, vault: Vault, watch: Watch) -> None:
        self._vault, self._watch = vault, watch

    def seal(self, card: Card, merchant_id: str) -> SealedCard:
        leg = _leg("vault.encrypt")
        try:
            sealed = self._vault.seal(card, merchant_id)
        except BaseException:
            leg.end("error")
            raise
        self._watch.observe("vault.latency", leg.end() / 1e6, operation="encrypt")
        return sealed

    def open(self, sealed: SealedCard) -> Card:
        leg = _leg("vault.decrypt")
        try:
            card = self._vault.open(sealed)
        except BaseException:
            leg.end("error")
            raise
        self._watch.observe("vault.latency", leg.end() / 1e6, operation="decrypt")
        return card

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        return self._vault.rewrap(sealed)

    @property
    def key_version(self) -> int:
        return self._vault.key_version

    def seal_secret(self, secret: Secret, merchant_id: str, owner_id: str) -> bytes:
        return self._vault.seal_secret(secret, merchant_id, owner_id)

    def open_secret(self, sealed: bytes, merchant_id: str, owner_id: str) -> Secret:
        return self._vault.open_secret(sealed, merchant_id, owner_id)

    def mark(self, purpose: str, text: str) -> str:
        return self._vault.mark(purpose, text)


def _leg(name: str) -> Leg:
    """A hop of the flight that is under way; of none, if there is none."""
    flight = current.get()
    return flight.begin(name) if flight is not None else Leg(name, time_ns())


class ObservedProviders:
    def __init__(self, providers: Providers, watch: Watch) -> None:
        self._providers, self._watch = providers, watch

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Provider]:
        return _Permit(self._providers, name, deadline, self._watch)


class _Permit:
    """The guard's permit; waiting for it is a hop, and whom it yields is watched."""

    def __init__(self, providers: Providers, name: str, deadline: float, watch: Watch) -> None:
        self._providers, self._name, self._deadline, self._watch = providers, name, deadline, watch
        self._permit: AbstractAsyncContextManager[Provider] | None = None

    async def __aenter__(self) -> Provider:
        flight = current.get()
        leg = flight.begin("guard.wait", provider=clean(self._name)) if flight else Leg("guard.wait", time_ns())
        outcome = "error"
        try:
            self._permit = self._providers.permit(self._name, self._deadline)
            provider = await self._permit.__aenter__()
            outcome = "ok"
        except CleartillError:
            outcome = "rejected"
            raise
        finally:
            leg.end(outcome)
        return _ObservedProvider(provider, self._watch)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._permit is not None
        return await self._permit.__aexit__(kind, error, trace)


class _ObservedProvider:
    """One provider, each question a hop; trace headers that go out while it is asked name that hop as parent."""

    def __init__(self, provider: Provider, watch: Watch) -> None:
        self.name, self.prepares, self.needs_card = provider.name, provider.prepares, provider.needs_card
        self._provider, self._watch = provider, watch

    def takes(self, amount_minor: int, currency: str) -> bool:
        return self._provider.takes(amount_minor, currency)

    async def prepare(self, ask: Authorization) -> str | Outcome:
        return await self._ask("prepare", ask.attempt_key, self._provider.prepare(ask))

    async def authorize(self, ask: Authorization) -> Outcome:
        return await self._ask("authorize", ask.attempt_key, self._provider.authorize(ask))

    async def capture(self, ask: Reversal) -> Outcome:
        return await self._ask("capture", ask.attempt_key, self._provider.capture(ask))

    async def void(self, ask: Reversal) -> Outcome:
        return await self._ask("void", ask.attempt_key, self._provider.void(ask))

    async def refund(self, ask: Reversal) -> Outcome:
        return await self._ask("refund", ask.attempt_key, self._provider.refund(ask))

    async def lookup(self, ask: Asked) -> Finding:
        return await self._ask("lookup", ask.attempt_key, self._provider.lookup(ask))

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        return await self._ask("transfer", ask.attempt_key, self._provider.transfer(ask))

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        return await self._ask("lookup_transfer", ask.attempt_key, self._provider.lookup_transfer(ask))

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        return await self._ask("statement", "", self._provider.statement(since))

    async def ping(self) -> None:
        await self._provider.ping()

    async def _ask(self, operation: Operation, attempt_key: str, call: Awaitable[T]) -> T:
        flight = current.get()
        if flight is None:
            leg, located = Leg("provider.call", time_ns()), None
        else:
            flight.calls += 1
            leg = flight.begin(
                "provider.call",
                provider=self.name,
                operation=operation,
                attempt=flight.calls,
                attempt_key=attempt_key,
            )
            located = here.set(flight.spot(leg.span_id))
        outcome, reason = CUT_OFF, None
        try:
            said = await call
            outcome, reason = _meaning(said)
            return said
        finally:
            if located is not None:
                here.reset(located)
            took_ns = leg.end(outcome)
            if reason:
                leg.tags["reason"] = reason
            if flight is not None:
                flight.asked_ns += took_ns
            tags = {"provider": self.name, "operation": operation, "outcome": outcome}
            self._watch.count("provider.call", 1, **tags)
            self._watch.observe("provider.latency", took_ns / 1e6, **tags)
