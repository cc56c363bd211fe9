"""The database of the fakes, and the clock they share."""

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cleartill.domain.attempt import Attempt
from cleartill.domain.card import SealedCard
from cleartill.domain.errors import NotFound
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.ledger import Journal
from cleartill.domain.merchant import ApiKey, Merchant
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.transfer import Transfer
from cleartill.ports import Origin, OutboxRow, Published

Key = tuple[str, str]


class FakeClock:
    """Stands still until told to advance; both of its times move together."""

    def __init__(self, at: datetime = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)) -> None:
        self._at, self._monotonic = at, 1000.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)
        self._monotonic += seconds


@dataclass
class Held:
    """What stands under an idempotency key."""

    claim: Claim
    payment_id: str
    refund_id: str | None
    attempt_key: str | None
    answer: Answer | None = None
    created_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    answered_at: datetime | None = None


@dataclass
class Memory:
    """The database of the fakes. `rows` is what "no row was written" means."""

    payments: dict[Key, Payment] = field(default_factory=dict)
    refunds: dict[Key, Refund] = field(default_factory=dict)
    transfers: dict[Key, Transfer] = field(default_factory=dict)
    attempts: dict[Key, Attempt] = field(default_factory=dict)
    resolve_at: dict[Key, datetime] = field(default_factory=dict)
    origins: dict[Key, Origin] = field(default_factory=dict)
    blocked: dict[Key, Declined] = field(default_factory=dict)
    claims: dict[tuple[str, str, str], Held] = field(default_factory=dict)
    cards: dict[Key, SealedCard] = field(default_factory=dict)
    card_times: dict[Key, datetime] = field(default_factory=dict)
    facts: list[tuple[Fact, Origin]] = field(default_factory=list)
    journals: list[Journal] = field(default_factory=list)
    outbox: dict[tuple[str, str, int], OutboxRow] = field(default_factory=dict)
    published: dict[tuple[str, str, int], Published] = field(default_factory=dict)
    published_at: dict[tuple[str, str, int], datetime] = field(default_factory=dict)
    merchants: dict[str, Merchant] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    leases: dict[int, tuple[str, int, datetime]] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        tables = (
            self.payments,
            self.refunds,
            self.transfers,
            self.attempts,
            self.claims,
            self.cards,
            self.facts,
            self.journals,
        )
        return sum(len(table) for table in tables)

    def balance(self, account: str, currency: str) -> int:
        return sum(
            entry.amount_minor
            for journal in self.journals
            if journal.currency == currency
            for entry in journal.entries
            if entry.account == account
        )


def of(table: dict[Key, Any], merchant_id: str, id: str) -> Any:
    """A copy, as a database would give it."""
    found = table.get((merchant_id, id))
    if found is None:
        raise NotFound
    return deepcopy(found)
