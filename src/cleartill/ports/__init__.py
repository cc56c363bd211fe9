"""The edges of the business: what use cases need from the world. Ports name a role, adapters a technology.

`Till` bundles them; `wiring` fills it. Nothing here imports a third-party library.
"""

from cleartill.ports.audits import Audits, Compared, Looked, Noted, Own, Run
from cleartill.ports.backlog import Backlog, Consumed, Depth, Lease, OutboxRow, Published, Publisher
from cleartill.ports.books import Books, Loaded, Reads, Step, Unit, Verdict
from cleartill.ports.chain import AuditChain, Chain, NoAuditChain, SealLease
from cleartill.ports.clock import Clock, SystemClock
from cleartill.ports.limiter import Limiter, NoLimiter, Quota, Standing
from cleartill.ports.lists import Listed, PaymentQuery, RefundQuery
from cleartill.ports.merchants import Merchants
from cleartill.ports.minutes import Minutes, NoMinutes
from cleartill.ports.providers import (
    Asked,
    Authorization,
    Breakers,
    Callback,
    Inquiry,
    Provider,
    Providers,
    Refusal,
    Reversal,
    StatementPage,
    TransferOrder,
    Verifier,
)
from cleartill.ports.retention import NoRetention, Purged, Retention
from cleartill.ports.sessions import NoSessions, Sessions
from cleartill.ports.sight import Flights, NoFlights, NoWatch, Watch
from cleartill.ports.stats import NoStats, Stats, TooMany
from cleartill.ports.subjects import NoSubjects, Subject, Subjects
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
    "AuditChain",
    "Audits",
    "Authorization",
    "Backlog",
    "Books",
    "Breakers",
    "Callback",
    "Chain",
    "Change",
    "Clock",
    "Compared",
    "Consumed",
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
    "Minutes",
    "NoAuditChain",
    "NoFlights",
    "NoLimiter",
    "NoMinutes",
    "NoRetention",
    "NoSessions",
    "NoStats",
    "NoSubjects",
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
    "Purged",
    "Quota",
    "Reads",
    "RefundQuery",
    "Refusal",
    "Retention",
    "Reversal",
    "Run",
    "SealLease",
    "Sessions",
    "Standing",
    "StatementPage",
    "Stats",
    "Step",
    "Subject",
    "Subjects",
    "SystemClock",
    "Till",
    "Told",
    "TooMany",
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
