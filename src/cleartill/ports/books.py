"""The write side and the read side of the books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from cleartill.domain.attempt import Attempt
from cleartill.domain.card import SealedCard, StoredCard
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.ids import new_id
from cleartill.domain.ledger import Journal
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports.lists import Listed, PaymentQuery, RefundQuery
from cleartill.ports.work import Hop, Origin


@dataclass(slots=True)
class Unit:
    """Everything one step of one payment writes: whole or not at all.

    `expecting` is the payment's version as the step saw it (0: a new payment); the payment itself is given the next
    one here, so that the step after this one expects it. An intent opens `attempt`, takes
    `claim` and carries a `deadline` (monotonic seconds) after which it is not worth writing; an outcome settles the
    attempt, stores `answer` under its claim (or frees the claim: `release`), and has no deadline: it is never dropped.
    `unless_blocked`: not if an issuer said "never again" about the payment's card; `block`: one says so now, if its
    decline is hard.
    `hops` are kept as the payment's timeline. `stamps` are filled in by the writer.
    """

    payment: Payment
    expecting: int
    origin: Origin
    facts: Sequence[Fact]
    journals: Sequence[Journal] = ()
    refund: Refund | None = None
    attempt: Attempt | None = None
    claim: Claim | None = None
    answer: Answer | None = None
    release: bool = False
    card: SealedCard | None = None
    unless_blocked: bool = False
    block: Declined | None = None
    deadline: float | None = None
    resolve_after_s: float | None = None
    hops: Sequence[Hop] = ()
    id: str = field(default_factory=lambda: new_id("unt"))
    stamps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.payment.version = self.expecting + 1

    @property
    def is_intent(self) -> bool:
        return self.deadline is not None


class Verdict(Enum):
    """What became of a unit."""

    RECORDED = "recorded"
    """It is on disk."""
    CONFLICT = "conflict"
    """Somebody else moved the payment first: load it again and decide anew. Nothing was written."""
    KEY_TAKEN = "key_taken"
    """Another request holds the idempotency key. Nothing was written."""
    CARD_BLOCKED = "card_blocked"
    """An issuer said "never again" about this card. Nothing was written."""


@dataclass(slots=True)
class Loaded:
    """A payment as the primary database has it now, with the attempt and refund that were asked for."""

    payment: Payment
    refund: Refund | None = None
    attempt: Attempt | None = None


class Books(Protocol):
    """The write side. Raises BooksUnavailable when nothing was written and nothing will be."""

    async def record(self, unit: Unit) -> Verdict: ...

    async def load(self, merchant_id: str, payment_id: str, refund_id: str | None = None) -> Loaded:
        """The payment, with one of its refunds if asked for. Raises NotFound."""
        ...

    async def load_attempt(self, merchant_id: str, attempt_key: str) -> Loaded:
        """The attempt with its payment and refund. Raises NotFound."""
        ...

    async def find_attempt(self, attempt_key: str) -> Loaded:
        """The attempt of whichever merchant, for a provider that knows no merchants. Raises NotFound."""
        ...

    async def blocked(self, merchant_id: str, fingerprint: str) -> Declined | None:
        """What the issuer said when it said "never again" about this card."""
        ...

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        """What stands under this key, if anything."""
        ...

    async def card(self, merchant_id: str, card_token: str) -> SealedCard:
        """Raises NotFound."""
        ...

    async def erase_card(self, merchant_id: str, card_token: str, fact: Fact, origin: Origin) -> bool:
        """The card's row is gone, ciphertext and all, and `fact` is on record; False if there was none."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a payment's timeline."""

    at: datetime
    name: str
    outcome: str
    duration_ms: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Reads(Protocol):
    """The read side; it reads the primary, so that an answer is never older than the last one, but for lists, which
    may be of a moment ago."""

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        """Raises NotFound."""
        ...

    async def payment_at_provider(self, merchant_id: str, provider: str, provider_payment_id: str) -> Payment:
        """The payment that the provider calls by this name; the newest, should there be two. Raises NotFound."""
        ...

    async def payments(self, merchant_id: str, query: PaymentQuery) -> Listed[Payment]:
        """A page of the merchant's payments, newest first."""
        ...

    async def refunds(self, merchant_id: str, query: RefundQuery) -> Listed[Refund]:
        """A page of the merchant's refunds, newest first."""
        ...

    async def card(self, merchant_id: str, card_token: str) -> StoredCard:
        """What may be shown of a stored card. Raises NotFound."""
        ...

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        """Raises NotFound."""
        ...

    async def timeline(self, merchant_id: str, payment_id: str) -> list[Step]:
        """The whole story in order of time. Raises NotFound."""
        ...

    async def outbox_oldest_s(self) -> float:
        """Age of the oldest unpublished event, in seconds; 0 when there is none."""
        ...
