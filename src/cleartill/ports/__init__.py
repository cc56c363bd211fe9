"""The edges of the business: what use cases need from the world. Ports name a role, adapters a technology.

`Till` bundles them; `wiring` fills it. Nothing here imports a third-party library.
"""

from cleartill.ports.audits import Audits, Compared, Looked, Noted, Own, Run
from cleartill.ports.backlog import Backlog, Depth, Lease, OutboxRow, Published, Publisher
from cleartill.ports.books import Books, Loaded, Reads, Step, Unit, Verdict
from cleartill.ports.clock import Clock, SystemClock
from cleartill.ports.limiter import Limiter, NoLimiter, Quota, Standing
from cleartill.ports.lists import Listed, PaymentQuery, RefundQuery
from cleartill.ports.merchants import Merchants
from cleartill.ports.providers import (
    Asked,
    Authorization,
    Breakers,
    Callback,
    Inquiry,
    Provider,
    Providers,
    Reversal,
    StatementPage,
    TransferOrder,
    Verifier,
)
from cleartill.ports.sight import Flights, NoFlights, NoWatch, Watch
from cleartill.ports.till import Probe, Till
from cleartill.ports.transfers import Fate, Leased, Ledger, TransferLease, TransferQuery, Transfers, Turn
from cleartill.ports.vault import Vault
from cleartill.ports.webhooks import (
    Change,
    Courier,
    DeliveryQuery,
    Lane,
    Letter,
    Parcel,
    Place,
    Told,
    Tried,
    Webhooks,
)
from cleartill.ports.work import Hop, Origin, Visit

__all__ = [
    "Asked",
    "Audits",
    "Authorization",
    "Backlog",
    "Books",
    "Breakers",
    "Callback",
    "Change",
    "Clock",
    "Compared",
    "Courier",
    "DeliveryQuery",
    "Depth",
    "Fate",
    "Flights",
    "Hop",
    "Inquiry",
    "Lane",
    "Lease",
    "Leased",
    "Ledger",
    "Letter",
    "Limiter",
    "Listed",
    "Loaded",
    "Looked",
    "Merchants",
    "NoFlights",
    "NoLimiter",
    "NoWatch",
    "Noted",
    "Origin",
    "OutboxRow",
    "Own",
    "Parcel",
    "PaymentQuery",
    "Place",
    "Probe",
    "Provider",
    "Providers",
    "Published",
    "Publisher",
    "Quota",
    "Reads",
    "RefundQuery",
    "Reversal",
    "Run",
    "Standing",
    "StatementPage",
    "Step",
    "SystemClock",
    "Till",
    "Told",
    "TransferLease",
    "TransferOrder",
    "TransferQuery",
    "Transfers",
    "Tried",
    "Turn",
    "Unit",
    "Vault",
    "Verdict",
    "Verifier",
    "Visit",
    "Watch",
    "Webhooks",
]
