"""The till: all ports in one hand."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from cleartill.domain.ledger import NO_FEES, Fees
from cleartill.domain.retention import KEPT, Perishable
from cleartill.ports.audits import Audits
from cleartill.ports.backlog import Backlog, Publisher
from cleartill.ports.books import Books, Reads
from cleartill.ports.chain import AuditChain, NoAuditChain
from cleartill.ports.clock import Clock, SystemClock
from cleartill.ports.limiter import Limiter, NoLimiter
from cleartill.ports.merchants import Merchants
from cleartill.ports.minutes import Minutes, NoMinutes
from cleartill.ports.providers import Providers, Verifier
from cleartill.ports.retention import NoRetention, Retention
from cleartill.ports.sessions import NoSessions, Sessions
from cleartill.ports.sight import Flights, NoFlights, NoWatch, Watch
from cleartill.ports.stats import NoStats, Stats
from cleartill.ports.subjects import NoSubjects, Subjects
from cleartill.ports.transfers import Ledger, Transfers
from cleartill.ports.vault import Vault
from cleartill.ports.webhooks import Courier, Webhooks

Probe = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Till:
    """Everything a use case may reach for."""

    books: Books
    reads: Reads
    merchants: Merchants
    backlog: Backlog
    vault: Vault
    providers: Providers
    publisher: Publisher
    webhooks: Webhooks
    courier: Courier
    audits: Audits
    transfers: Transfers
    ledger: Ledger
    clock: Clock = field(default_factory=SystemClock)
    limiter: Limiter = field(default_factory=NoLimiter)
    watch: Watch = field(default_factory=NoWatch)
    flights: Flights = field(default_factory=NoFlights)
    retention: Retention = field(default_factory=NoRetention)
    minutes: Minutes = field(default_factory=NoMinutes)
    stats: Stats = field(default_factory=NoStats)
    subjects: Subjects = field(default_factory=NoSubjects)
    chain: AuditChain = field(default_factory=NoAuditChain)
    sessions: Sessions = field(default_factory=NoSessions)
    probes: Mapping[str, Probe] = field(default_factory=dict)
    """What `/health` asks, by name; each raises if its part is away."""
    provider_names: frozenset[str] = frozenset()
    """Who may be asked here: the providers that are enabled."""
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    """Who may call back, by provider, and what makes sure that it was him."""
    default_provider: str = "bank"
    failover: Mapping[str, str] = field(default_factory=dict)
    """Provider → whom to ask in its place while it cannot be asked."""
    refuse_hard_declines: bool = True
    """Whether a card that an issuer said "never again" about is refused without asking again."""
    fees: Fees = NO_FEES
    """What merchants pay us for captures."""
    kept: Mapping[Perishable, timedelta] = field(default_factory=lambda: KEPT)
    """How long the old is kept."""
    budget_s: float = 8.0
    """From a request's arrival to its answer, queues included."""
    asking: Callable[[], int] = lambda: 0
    """How many questions to providers are under way."""
