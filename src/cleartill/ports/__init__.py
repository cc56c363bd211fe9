"""The edges of the business: what use cases need from the world. Ports name a role, adapters a technology.

`Till` bundles them; `wiring` fills it. Nothing here imports a third-party library.
"""

from cleartill.ports.backlog import Backlog, Depth, Lease, OutboxRow, Published, Publisher
from cleartill.ports.books import Books, Loaded, Reads, Step, Unit, Verdict
from cleartill.ports.clock import Clock, SystemClock
from cleartill.ports.providers import Asked, Authorization, Breakers, Inquiry, Provider, Providers, Reversal
from cleartill.ports.sight import Flights, NoFlights, NoWatch, Watch
from cleartill.ports.till import Probe, Till
from cleartill.ports.vault import Vault
from cleartill.ports.work import Hop, Origin, Visit

__all__ = [
    "Asked",
    "Authorization",
    "Backlog",
    "Books",
    "Breakers",
    "Clock",
    "Depth",
    "Flights",
    "Hop",
    "Inquiry",
    "Lease",
    "Loaded",
    "NoFlights",
    "NoWatch",
    "Origin",
    "OutboxRow",
    "Probe",
    "Provider",
    "Providers",
    "Published",
    "Publisher",
    "Reads",
    "Reversal",
    "Step",
    "SystemClock",
    "Till",
    "Unit",
    "Vault",
    "Verdict",
    "Visit",
    "Watch",
]
