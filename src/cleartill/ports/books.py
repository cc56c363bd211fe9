"""The write side and the read side of the books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from cleartill.domain.attempt import Attempt
from cleartill.domain.card import SealedCard
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.ids import new_id
from cleartill.domain.ledger import Journal
from cleartill.domain.merchant import ApiKey, Merchant
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports.work import Hop, Origin


@dataclass(slots=True)
class Unit:
    """Everything one step of one payment writes: whole or not at all.

    `expecting` is the payment's version as the step saw it (0: a new payment); the payment itself is given the next
    one here, so that the step after this one expects it. An intent opens `attempt`, takes
    `claim` and carries a `deadline` (monotonic seconds) after which it is not worth writing; an outcome settles the
    attempt, stores `answer` under its claim (or frees the claim: `release`), and has no deadline: it is never dropped.
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

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        """What stands under this key, if anything."""
        ...

    async def card(self, merchant_id: str, card_token: str) -> SealedCard:
        """Raises NotFound."""
        ...

    async def add_merchant(self, merchant: Merchant, key: ApiKey, fact: Fact, origin: Origin) -> bool:
        """A merchant with its first key; False if it exists already."""
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
    """The read side; `payment` and `refund` read the primary, so that an answer is never older than the last one."""

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        """Raises NotFound."""
        ...

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        """Raises NotFound."""
        ...

    async def timeline(self, merchant_id: str, payment_id: str) -> list[Step]:
        """The whole story in order of time. Raises NotFound."""
        ...

    async def merchant(self, merchant_id: str) -> Merchant:
        """Raises NotFound."""
        ...

    async def api_key(self, prefix: str) -> ApiKey | None: ...

    async def outbox_oldest_s(self) -> float:
        """Age of the oldest unpublished event, in seconds; 0 when there is none."""
        ...
