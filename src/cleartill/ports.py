"""The edges of the business: what use cases need from the world. Ports name a role, adapters a technology.

`Till` bundles them; `wiring` fills it. Nothing here imports a third-party library.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from secrets import token_hex
from time import monotonic
from typing import Any, Protocol

from cleartill.domain.attempt import Attempt
from cleartill.domain.card import Card, SealedCard
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.ids import new_id
from cleartill.domain.ledger import Journal
from cleartill.domain.merchant import ApiKey, Merchant
from cleartill.domain.outcome import Finding, Outcome
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund

# ── where a piece of work comes from, and what it did on its way ──────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a piece of work, and the trace it belongs to. `trace_id`: 32 hex digits; `span_id`: 16, the span
    the work runs under; `keep`: whether the trace is kept whatever its outcome."""

    actor: str
    request_id: str
    trace_id: str
    span_id: str
    keep: bool = True

    @property
    def traceparent(self) -> str:
        """W3C Trace Context."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.keep else '00'}"


@dataclass(slots=True)
class Visit:
    """One HTTP request as the layers share it, under `scope["cleartill.visit"]`: telemetry makes it with its trace
    ids, the API fills in the rest, telemetry renders it when the request and the `work` it started have ended."""

    trace_id: str
    span_id: str
    keep: bool = True
    request_id: str = ""
    route: str = ""
    actor: str = ""
    merchant_id: str = ""
    subject_id: str = ""
    problem_code: str = ""
    work: list[Future[Any]] = field(default_factory=list)


@dataclass(slots=True)
class Hop:
    """One step of a piece of work: nanoseconds since the epoch, how it ended, a few tags."""

    name: str
    start_ns: int
    end_ns: int = 0
    outcome: str = "ok"
    tags: dict[str, Any] = field(default_factory=dict)


# ── the books ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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

    async def api_key(self, prefix: str) -> ApiKey | None: ...

    async def outbox_oldest_s(self) -> float:
        """Age of the oldest unpublished event, in seconds; 0 when there is none."""
        ...


# ── work that waits for a worker ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OutboxRow:
    merchant_id: str
    subject_id: str
    seq: int
    event: bytes
    """The CloudEvent as JSON, as it goes on the wire."""
    type: str
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Published:
    """A delivery report: which row, where the broker put it."""

    row: OutboxRow
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish some hash partitions of the outbox. A newer `epoch` makes an older one powerless; time is
    the database's."""

    owner: str
    epochs: Mapping[int, int]
    """Epoch by partition."""


class Backlog(Protocol):
    """Due work, claimed by any number of workers (FOR UPDATE SKIP LOCKED, leases on the database's clock)."""

    async def due_attempts(self, limit: int) -> list[tuple[Attempt, Origin]]:
        """Open attempts whose time has come; each is put off by its backoff, so that nobody else takes it."""
        ...

    async def lease_outbox(self, owner: str, share: int) -> Lease:
        """Renew this owner's partitions and take free ones, up to `share` in all."""
        ...

    async def unpublished(self, lease: Lease, limit: int) -> list[OutboxRow]:
        """In order per subject."""
        ...

    async def mark_published(self, lease: Lease, reports: Sequence[Published]) -> int:
        """How many rows were marked; rows of partitions whose lease was lost are not."""
        ...

    async def depths(self) -> Mapping[str, float]:
        """How much waits and for how long, by the catalogue's gauge names."""
        ...

    async def cards_not_under(self, key_version: int, limit: int) -> list[SealedCard]: ...

    async def store_rewrapped(self, cards: Sequence[tuple[SealedCard, SealedCard]]) -> int:
        """Replace (old, new) where the old one still stands; returns how many."""
        ...


class Publisher(Protocol):
    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        """Produce in order and wait for the reports. A row that failed is left out, and so are the later ones of its
        subject, so that order holds."""
        ...

    async def ping(self) -> None: ...


# ── providers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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


class Provider(Protocol):
    """Somebody who moves money. An answer is Approved, Declined, Unknown or NotSent; nothing is ever raised but
    cancellation."""

    name: str

    async def authorize(self, ask: Authorization) -> Outcome: ...

    async def capture(self, ask: Reversal) -> Outcome: ...

    async def void(self, ask: Reversal) -> Outcome: ...

    async def refund(self, ask: Reversal) -> Outcome: ...

    async def lookup(self, attempt_key: str, expires_at: datetime) -> Finding:
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


# ── trust and sight ───────────────────────────────────────────────────────────────────────────────────────────────────


class Vault(Protocol):
    def seal(self, card: Card, merchant_id: str) -> SealedCard: ...

    def open(self, sealed: SealedCard) -> Card:
        """Raises VaultError if it was tampered with or moved to another merchant or row."""
        ...

    def rewrap(self, sealed: SealedCard) -> SealedCard:
        """The same card, its data key under the current key-encryption key."""
        ...

    @property
    def key_version(self) -> int:
        """The key-encryption key that new cards are sealed under."""
        ...

    def mark(self, purpose: str, text: str) -> str:
        """A keyed HMAC-SHA-256 in hex: equal for equal texts, telling nothing else."""
        ...


class Watch(Protocol):
    """Eyes below the ports: batches, pools, breakers. Names and tags are those of the telemetry catalogue."""

    def count(self, name: str, /, value: float = 1, **tags: str) -> None: ...

    def gauge(self, name: str, /, value: float, **tags: str) -> None: ...

    def observe(self, name: str, /, value: float, **tags: str) -> None:
        """One value of a distribution, in the unit the catalogue declares."""
        ...


class NoWatch:
    """Sees nothing, costs nothing."""

    def count(self, name: str, /, value: float = 1, **tags: str) -> None: ...

    def gauge(self, name: str, /, value: float, **tags: str) -> None: ...

    def observe(self, name: str, /, value: float, **tags: str) -> None: ...


class Flights(Protocol):
    def background(self, name: str, parent: Origin | None = None) -> AbstractContextManager[Origin]:
        """A piece of work that no request started, in its parent's trace if it has one."""
        ...


class NoFlights:
    """Work runs unrecorded."""

    @contextmanager
    def background(self, name: str, parent: Origin | None = None) -> Iterator[Origin]:
        trace_id = parent.trace_id if parent else token_hex(16)
        yield Origin(actor=name, request_id="", trace_id=trace_id, span_id=token_hex(8))


class Clock(Protocol):
    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()


Probe = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Till:
    """Everything a use case may reach for."""

    books: Books
    reads: Reads
    backlog: Backlog
    vault: Vault
    providers: Providers
    publisher: Publisher
    clock: Clock = field(default_factory=SystemClock)
    watch: Watch = field(default_factory=NoWatch)
    flights: Flights = field(default_factory=NoFlights)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """What `/health` asks, by name; each raises if its part is away."""
    default_provider: str = "bank"
    budget_s: float = 8.0
    """From a request's arrival to its answer, queues included."""
