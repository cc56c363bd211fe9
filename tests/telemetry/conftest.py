"""A till of fakes behind telemetry's wrappers, and everything telemetry said, in lists."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cleartill.domain.card import Card, CardSummary, Cvv, Pan, SealedCard, Secret
from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.order import Order
from cleartill.domain.outcome import Approved, Finding, NotYet, Outcome
from cleartill.ports import Asked, Authorization, Loaded, Origin, OutboxRow, Published, Reversal, Till, Unit, Verdict
from cleartill.telemetry.correlation import outgoing_headers
from cleartill.telemetry.flight import Flight, FlightDeck
from cleartill.telemetry.metrics import Metrics
from cleartill.telemetry.request import watch_requests
from cleartill.telemetry.wrappers import observed
from cleartill.usecases.charge import PROCESS, charge
from fakes import FakeClock, FakeCourier, FakeLedger, FakeMerchants, FakeTransfers, Memory


class Heard:
    """A metrics sink that remembers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, float, list[str]]] = []

    def increment(self, metric: str, value: float = 1, tags: list[str] | None = None) -> None:
        self.said.append(("count", metric, value, tags or []))

    def gauge(self, metric: str, value: float, tags: list[str] | None = None) -> None:
        self.said.append(("gauge", metric, value, tags or []))

    def distribution(self, metric: str, value: float, tags: list[str] | None = None) -> None:
        self.said.append(("distribution", metric, value, tags or []))

    def tags_of(self, metric: str) -> list[list[str]]:
        return [tags for _, name, _, tags in self.said if name == metric]

    def total(self, metric: str) -> float:
        return sum(value for kind, name, value, _ in self.said if name == metric and kind == "count")


class FakeBooks:
    """Says what `verdicts` says, then RECORDED, and stamps units as the writer does."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.verdicts: list[Verdict | Exception] = []
        self.claim: ExistingClaim | None = None
        self.loaded: Loaded | None = None

    async def record(self, unit: Unit) -> Verdict:
        self.units.append(unit)
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict.RECORDED
        if isinstance(verdict, Exception):
            raise verdict
        if verdict is Verdict.RECORDED:
            now = time.time_ns()
            unit.stamps.update(
                queued_ns=now, began_ns=now + 2_000_000, committed_ns=now + 3_000_000, batch_id="bat_1", batch_rows=7
            )
        return verdict

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        return self.claim

    async def load(self, merchant_id: str, payment_id: str, refund_id: str | None = None) -> Loaded:
        assert self.loaded is not None
        return self.loaded


class FakeVault:
    key_version = 1

    def seal(self, card: Card, merchant_id: str) -> SealedCard:
        summary = CardSummary("visa", card.pan.last4, card.pan.bin, 1, 2040, "fingerprint", "tok_1")
        return SealedCard("tok_1", merchant_id, 1, b"sealed", summary)

    def mark(self, purpose: str, text: str) -> str:
        return "f" * 64


class FakeBank:
    """Answers `outcome`, and remembers the trace headers that would have gone out."""

    name, prepares, needs_card = "bank", False, True

    def takes(self, amount_minor: int, currency: str) -> bool:
        return True

    def __init__(self) -> None:
        self.outcome: Outcome = Approved("bank_1")
        self.finding: Finding = NotYet()
        self.sent_headers: list[dict[str, str]] = []
        self.refuses = False

    async def authorize(self, ask: Authorization) -> Outcome:
        self.sent_headers.append(outgoing_headers())
        return self.outcome

    async def refund(self, ask: Reversal) -> Outcome:
        return self.outcome

    async def lookup(self, ask: Asked) -> Finding:
        return self.finding

    @asynccontextmanager
    async def permit(self, name: str, deadline: float) -> AsyncIterator["FakeBank"]:
        if self.refuses:
            raise ProviderUnavailable("nothing was sent")
        yield self


class FakePublisher:
    def __init__(self) -> None:
        self.fails: set[int] = set()

    async def publish(self, rows: list[OutboxRow]) -> list[Published]:
        return [Published(row, 3, 100 + row.seq) for row in rows if row.seq not in self.fails]


@dataclass
class Stage:
    """Telemetry around fakes. `keep_share` may be set before a flight begins."""

    heard: Heard = field(default_factory=Heard)
    books: FakeBooks = field(default_factory=FakeBooks)
    bank: FakeBank = field(default_factory=FakeBank)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    courier: FakeCourier = field(default_factory=FakeCourier)
    landed: list[Flight] = field(default_factory=list)
    traced: list[Flight] = field(default_factory=list)
    facts: list[tuple[str, Unit]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.heard, strict=True)
        self.deck = FlightDeck([self.metrics.render, self.landed.append], 1.0, self.failures.append)
        bare = Till(
            books=self.books,  # type: ignore[arg-type]
            reads=None,  # type: ignore[arg-type]
            merchants=FakeMerchants(Memory(), FakeClock()),
            backlog=None,  # type: ignore[arg-type]
            vault=FakeVault(),  # type: ignore[arg-type]
            providers=self.bank,  # type: ignore[arg-type]
            publisher=self.publisher,  # type: ignore[arg-type]
            webhooks=None,  # type: ignore[arg-type]
            courier=self.courier,
            audits=None,  # type: ignore[arg-type]
            transfers=FakeTransfers(Memory(), FakeClock(), FakeLedger(Memory())),
            ledger=FakeLedger(Memory()),
        )
        self.till = observed(
            bare,
            self.metrics,
            self.deck,
            lambda fact, unit: self.facts.append((fact.type, unit)),
            self.traced.append,
        )

    async def charge(self, origin: Origin, key: str | None = None) -> Answer:
        card = Card(Pan("4111 1111 1111 1111"), 1, 2040, Cvv("123"), Secret("J. Doe"))
        asked = Order("merchant_1", 9999, "USD", "credit_card", "automatic", None, card, None, None, None, None, {})
        return await charge(self.till, asked, PROCESS, key, origin, self.till.clock.monotonic() + 8)

    async def visit(self, app: Any = None, headers: list[tuple[bytes, bytes]] | None = None) -> Flight:
        """One request through the middleware, a charge unless an `app` is given; its flight once it has landed."""

        async def charging(scope: Any, receive: Any, send: Any) -> None:
            visit = scope["cleartill.visit"]
            visit.route, visit.request_id, visit.merchant_id = "POST /api/v1/payments/process", "req_1", "merchant_1"
            await self.charge(Origin("key_1", visit.request_id, visit.trace_id, visit.span_id, visit.keep))
            await send({"type": "http.response.start", "status": 201, "headers": []})

        async def unused(*_: Any) -> None: ...

        scope = {"type": "http", "method": "POST", "headers": headers or []}
        await watch_requests(app or charging, self.deck)(scope, unused, unused)
        return self.landed[-1]


@pytest.fixture
def stage() -> Stage:
    return Stage()
