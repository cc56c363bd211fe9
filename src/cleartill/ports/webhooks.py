"""Merchants' endpoints, what is on its way to them, and who carries it there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cleartill.domain.card import Secret
from cleartill.domain.events import Fact
from cleartill.domain.webhook import TEST, Delivery, DeliveryStatus, Endpoint, Heard, Try, Why
from cleartill.ports.backlog import Depth
from cleartill.ports.lists import LOOK_AT, Listed
from cleartill.ports.work import Origin

Change = Callable[[Endpoint], tuple[Endpoint, Fact]]
"""What an endpoint becomes, and the fact of it: pure, for it may be asked in another thread."""


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries of an endpoint, the newest event first. `before`: only events with ids below this one. No more
    than `look_at` are looked at for a page."""

    statuses: frozenset[DeliveryStatus] = frozenset()
    before: str | None = None
    limit: int = 20
    look_at: int = LOOK_AT


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery with its tries, the oldest first, and the event it delivers."""

    delivery: Delivery
    tries: Sequence[Try]
    event: dict[str, Any]


Place = tuple[str, str]
"""A merchant's id and an endpoint's: where deliveries queue."""


@dataclass(frozen=True, slots=True)
class Lane:
    """An endpoint that something is pending for. `due`: its time has come, and the endpoint is open."""

    place: Place
    due: bool
    failing: bool


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery claimed for one try. `epoch`: of the claim; a newer one makes an older one powerless. `tries`: so far,
    this one not counted. `waited_s`: since the event was made into a delivery."""

    merchant_id: str
    id: str
    endpoint_id: str
    epoch: int
    tries: int
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    """Sealed; the current one first."""
    event_id: str
    type: str
    subject_id: str
    seq: int
    body: bytes
    """The CloudEvent as JSON."""
    traceparent: str | None
    waited_s: float

    @property
    def place(self) -> Place:
        return (self.merchant_id, self.endpoint_id)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a parcel, and what is to become of it: see `domain.webhook.after`. `at`: when it was sent."""

    parcel: Parcel
    heard: Heard
    at: datetime
    status: DeliveryStatus
    again_in_s: float
    origin: Origin

    @property
    def counts(self) -> bool:
        """Whether it says how its endpoint is. A test that fails does not: it is not repeated."""
        return self.heard.ok or self.heard.gone or self.parcel.type != TEST


class Webhooks(Protocol):
    """Endpoints and deliveries. What changes an endpoint is written with its fact, in one transaction. Another
    merchant's ids are absent. Raises BooksUnavailable when the database is away."""

    async def add(self, endpoint: Endpoint, origin: Origin) -> None:
        """Raises NotFound for a merchant that is not there, TooManyEndpoints."""
        ...

    async def get(self, merchant_id: str, endpoint_id: str) -> Endpoint:
        """Raises NotFound, also once it is deleted."""
        ...

    async def endpoints(self, merchant_id: str) -> list[Endpoint]:
        """The newest first; there are never more than MAX_ENDPOINTS."""
        ...

    async def change(self, merchant_id: str, endpoint_id: str, change: Change, origin: Origin) -> Endpoint:
        """What it has become; nobody changes it in between. Raises NotFound, and what `change` raises."""
        ...

    async def reseal(self, key_version: int, again: Callable[[Endpoint], Endpoint], limit: int) -> int:
        """Replace up to `limit` endpoints whose secrets are sealed under another key; how many. No fact."""
        ...

    async def secrets_by_key(self) -> dict[int, int]:
        """How many endpoints' secrets are sealed under each version of the key ring that seals any; those of deleted
        endpoints, which nobody opens again, do not count."""
        ...

    # ── deliveries, as they are shown ─────────────────────────────────────────────────────────────────────────────────

    async def deliveries(self, merchant_id: str, endpoint_id: str, query: DeliveryQuery) -> Listed[Delivery]:
        """`next` is an event's id."""
        ...

    async def delivery(self, merchant_id: str, delivery_id: str) -> Told:
        """Raises NotFound."""
        ...

    async def post(self, endpoint: Endpoint, event: dict[str, Any]) -> Delivery:
        """Send an event to this endpoint alone."""
        ...

    async def resend(self, merchant_id: str, delivery_id: str) -> Delivery:
        """Due now, with all of its tries before it; as it is, while it is being sent. Raises NotFound, also when its
        endpoint is; EndpointDisabled."""
        ...

    # ── deliveries, as they are made ──────────────────────────────────────────────────────────────────────────────────

    async def fan_out(self, limit: int) -> int:
        """Make deliveries of up to `limit` events, one for each endpoint that wants it, once; how many events."""
        ...

    async def lanes(self, beyond: Place, limit: int) -> list[Lane]:
        """The next endpoints that something is pending for, in the order of their places; fewer than `limit`: that was
        the last of them."""
        ...

    async def claim(self, shares: Sequence[tuple[Place, int]]) -> list[Parcel]:
        """Up to so many due deliveries of each of these endpoints, the most overdue first. Nobody else gets them while
        the claim lasts."""
        ...

    async def settle(self, tried: Sequence[Tried]) -> list[tuple[Tried, Why | None]]:
        """Write down what came of parcels, and how their endpoints are now. Those whose claim still held; with them why
        their endpoint has been disabled now, if it has."""
        ...

    async def depths(self) -> list[Depth]:
        """How much waits, and for how long."""
        ...


@dataclass(frozen=True, slots=True)
class Letter:
    """What goes out. `id`: of the event, equal however often it is sent. `secrets`: each signs."""

    url: str
    id: str
    body: bytes = field(repr=False)
    secrets: Sequence[Secret]
    traceparent: str
    at: datetime


class Courier(Protocol):
    """Who carries letters to addresses that others have named, and looks where that is."""

    async def check(self, url: str) -> None:
        """Raises InvalidUrl if it must not be asked for. A name that nobody knows at the moment is let pass: it is
        looked at again whenever something is sent."""
        ...

    async def send(self, letter: Letter) -> Heard:
        """One try, within 10 s. Raises nothing but cancellation."""
        ...
