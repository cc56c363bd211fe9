"""Work that waits for a worker, and where it goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cleartill.domain.attempt import Attempt
from cleartill.domain.card import SealedCard
from cleartill.ports.work import Origin


@dataclass(frozen=True, slots=True)
class OutboxRow:
    merchant_id: str
    subject_id: str
    seq: int
    event: bytes
    """The CloudEvent as JSON, as it goes on the wire."""
    type: str
    traceparent: str | None
    headers: tuple[tuple[str, str], ...] = ()
    """What goes beside the event, if not its traceparent alone."""
    at: datetime | None = None
    """When it was committed, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Published:
    """A delivery report: which row, where the broker put it."""

    row: OutboxRow
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Consumed:
    """A message that was read from a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish some hash partitions of the outbox. A newer `epoch` makes an older one powerless; time is
    the database's."""

    owner: str
    epochs: Mapping[int, int]
    """Epoch by partition."""


@dataclass(frozen=True, slots=True)
class Depth:
    """A gauge of the catalogue, with its value and tags."""

    name: str
    value: float
    tags: Mapping[str, str] = field(default_factory=dict)


class Backlog(Protocol):
    """Due work, claimed by any number of workers (FOR UPDATE SKIP LOCKED, leases on the database's clock)."""

    async def due_attempts(self, limit: int) -> list[tuple[Attempt, Origin]]:
        """Open attempts whose time has come; each is put off by its backoff, so that nobody else takes it."""
        ...

    async def due_holds(self, limit: int) -> list[tuple[str, str]]:
        """Merchant and payment id of holds that have lapsed; each is put off by a minute, so that nobody else takes
        it."""
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

    async def depths(self) -> list[Depth]:
        """How much waits, and for how long."""
        ...

    async def cards_not_under(self, key_version: int, limit: int) -> list[SealedCard]: ...

    async def cards_by_key(self) -> dict[int, int]:
        """How many cards are sealed under each version of the key ring that seals any."""
        ...

    async def store_rewrapped(self, cards: Sequence[tuple[SealedCard, SealedCard]]) -> int:
        """Replace (old, new) where the old one still stands and nobody else is changing it; returns how many."""
        ...


class Publisher(Protocol):
    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        """Produce in order and wait for the reports. A row that failed is left out, and so are the later ones of its
        subject, so that order holds."""
        ...

    async def ping(self) -> None: ...
