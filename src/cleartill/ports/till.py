"""The till: all ports in one hand."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cleartill.ports.backlog import Backlog, Publisher
from cleartill.ports.books import Books, Reads
from cleartill.ports.clock import Clock, SystemClock
from cleartill.ports.providers import Providers
from cleartill.ports.sight import Flights, NoFlights, NoWatch, Watch
from cleartill.ports.vault import Vault

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
