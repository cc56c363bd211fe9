"""The wrappers around ports: they record hops, count what is on disk, and change nothing else.

Books and reads are here, the others in `edges`. `observed` is called once, by wiring. Outside of a flight (a command
line, a test) no hops are kept, metrics are.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import time_ns
from typing import TypeVar

from cleartill.domain.card import SealedCard, StoredCard
from cleartill.domain.errors import BooksUnavailable, CleartillError
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Claim, ExistingClaim
from cleartill.domain.merchant import ApiKey, Merchant, Principal
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.session import Session
from cleartill.ports import (
    Books,
    Listed,
    Loaded,
    Merchants,
    Origin,
    PaymentQuery,
    Reads,
    RefundQuery,
    Sessions,
    Step,
    Till,
    Turn,
    Unit,
    Verdict,
    Watch,
)
from cleartill.telemetry.correlation import here, new_span_id
from cleartill.telemetry.decided import count_decided
from cleartill.telemetry.edges import ObservedProviders, ObservedVault
from cleartill.telemetry.flight import Flight, FlightDeck, Rendering, current
from cleartill.telemetry.messages import ObservedCourier, ObservedPublisher
from cleartill.telemetry.streams import NoStreams, Streams
from cleartill.telemetry.transfers import ObservedLedger, ObservedTransfers

T = TypeVar("T")
OnFact = Callable[[Fact, Unit | Turn], None]

OUTCOMES = {
    "payment.authorized": "authorized",
    "payment.captured": "captured",
    "payment.failed": "failed",
    "payment.requires_action": "requires_action",
    "payment.voided": "voided",
    "payment.expired": "expired",
    "payment.in_doubt": "in_doubt",
    "refund.succeeded": "succeeded",
    "refund.failed": "failed",
    "refund.in_doubt": "in_doubt",
}
"""The facts that are outcomes, as the metrics call them."""


def observed(
    till: Till,
    watch: Watch,
    flights: FlightDeck,
    on_fact: OnFact,
    trace: Rendering | None,
    streams: Streams | None = None,
) -> Till:
    """The till with every port watched that a payment passes. Backlog and webhooks are polled, and bare: their pool is
    watched.

    `on_fact` hears of every recorded fact; `trace` renders spans in the traces of published events, `streams` checks
    them off.
    """
    return replace(
        till,
        books=ObservedBooks(till.books, watch, on_fact),
        reads=ObservedReads(till.reads, watch),
        merchants=ObservedMerchants(till.merchants),
        sessions=ObservedSessions(till.sessions),
        vault=ObservedVault(till.vault, watch),
        providers=ObservedProviders(till.providers, watch),
        publisher=ObservedPublisher(till.publisher, watch, flights, trace, streams or NoStreams()),
        courier=ObservedCourier(till.courier),
        transfers=ObservedTransfers(till.transfers, watch, on_fact),
        ledger=ObservedLedger(till.ledger),
        watch=watch,
        flights=flights,
    )


async def _timed(name: str, what: str, call: Awaitable[T]) -> T:
    """One awaited question as a hop."""
    flight = current.get()
    if flight is None:
        return await call
    leg, outcome = flight.begin(name, what=what), "error"
    located = here.set(flight.spot(leg.span_id))
    try:
        result = await call
        outcome = "ok"
        return result
    except CleartillError as refused:
        outcome = refused.code
        raise
    finally:
        here.reset(located)
        leg.end(outcome)


class ObservedBooks:
    def __init__(self, books: Books, watch: Watch, on_fact: OnFact) -> None:
        self._books, self._watch, self._on_fact = books, watch, on_fact

    async def record(self, unit: Unit) -> Verdict:
        """Hands the unit its hops, and counts its facts once they are on disk."""
        flight = current.get()
        if flight is None:
            verdict = await self._record(unit)
        else:
            verdict = await self._recorded(flight, unit)
        if verdict is Verdict.CONFLICT:
            self._watch.count("books.conflict")
        elif verdict is Verdict.RECORDED:
            self._count(flight, unit)
        return verdict

    async def _record(self, unit: Unit) -> Verdict:
        try:
            return await self._books.record(unit)
        except BooksUnavailable:
            self._watch.count("books.unavailable")
            raise

    async def _recorded(self, flight: Flight, unit: Unit) -> Verdict:
        known = flight.hand_over(unit)
        leg, outcome = flight.begin("books.record", facts=len(unit.facts)), "error"
        unit.stamps["span_id"] = new_span_id()
        try:
            verdict = await self._record(unit)
            outcome = "ok" if verdict is Verdict.RECORDED else verdict.value
        except BooksUnavailable as away:
            outcome = away.code
            raise
        finally:
            leg.end(outcome)
        if verdict is Verdict.RECORDED:
            flight.stored = known
            flight.note(unit)
            stamps = unit.stamps
            if "committed_ns" in stamps:
                leg.tags["batch_id"] = stamps["batch_id"]
                waited_ms = round((stamps["began_ns"] - stamps["queued_ns"]) / 1e6, 3)
                batch = flight.begin(
                    "books.batch",
                    leg.span_id,
                    batch_id=stamps["batch_id"],
                    rows=stamps["batch_rows"],
                    waited_ms=waited_ms,
                )
                batch.start_ns, batch.end_ns = stamps["began_ns"], stamps["committed_ns"]
                batch.span_id, batch.in_sql = stamps["span_id"], "in_sql" in stamps
        return verdict

    def _count(self, flight: Flight | None, unit: Unit) -> None:
        watch, stamps = self._watch, unit.stamps
        if "began_ns" in stamps:
            watch.observe("books.wait", (stamps["began_ns"] - stamps["queued_ns"]) / 1e6)
        for fact in unit.facts:
            status = OUTCOMES.get(fact.type)
            if status is not None:
                if unit.refund is None:
                    self._count_payment(flight, unit.payment, status)
                    count_decided(self._watch, unit, fact)
                else:
                    self._count_refund(unit.refund, status)
            self._on_fact(fact, unit)

    def _count_payment(self, flight: Flight | None, payment: Payment, status: str) -> None:
        watch, provider, currency = self._watch, payment.provider, payment.currency
        brand = payment.card.brand if payment.card else "none"
        category = payment.decline.view()["category"] if payment.decline else "none"
        watch.count(
            "payment.count",
            provider=provider,
            brand=brand,
            currency=currency,
            status=status,
            decline_category=category,
        )
        watch.observe(
            "payment.amount", payment.amount_minor, provider=provider, brand=brand, currency=currency, status=status
        )
        if flight is not None and flight.operation in ("payment.charge", "payment.confirm"):
            took_ns = time_ns() - flight.start_ns
            watch.observe("payment.latency", took_ns / 1e6, provider=provider, status=status)
            watch.observe("payment.overhead", (took_ns - flight.asked_ns) / 1e6, provider=provider, status=status)

    def _count_refund(self, refund: Refund, status: str) -> None:
        tags = {"provider": refund.provider, "currency": refund.currency, "status": status}
        self._watch.count("refund.count", 1, **tags)
        self._watch.observe("refund.amount", refund.amount_minor, **tags)

    async def load(self, merchant_id: str, payment_id: str, refund_id: str | None = None) -> Loaded:
        return await _timed("books.load", "payment", self._books.load(merchant_id, payment_id, refund_id))

    async def load_attempt(self, merchant_id: str, attempt_key: str) -> Loaded:
        return await _timed("books.load", "attempt", self._books.load_attempt(merchant_id, attempt_key))

    async def find_attempt(self, attempt_key: str) -> Loaded:
        return await _timed("books.load", "attempt", self._books.find_attempt(attempt_key))

    async def blocked(self, merchant_id: str, fingerprint: str) -> Declined | None:
        return await _timed("books.load", "blocked_card", self._books.blocked(merchant_id, fingerprint))

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        """Counts what the domain will say of a key that is taken (`ExistingClaim.replay`)."""
        existing = await _timed("books.load", "claim", self._books.claimed(claim))
        if existing is not None:
            if existing.fingerprint != claim.fingerprint:
                self._watch.count("idempotency.conflict")
            elif existing.answer is None and not existing.overdue:
                self._watch.count("idempotency.in_progress")
            else:
                self._watch.count("idempotency.replayed")
        return existing

    async def card(self, merchant_id: str, card_token: str) -> SealedCard:
        return await _timed("books.load", "card", self._books.card(merchant_id, card_token))

    async def erase_card(self, merchant_id: str, card_token: str, fact: Fact, origin: Origin) -> bool:
        return await self._books.erase_card(merchant_id, card_token, fact, origin)


class ObservedReads:
    def __init__(self, reads: Reads, watch: Watch) -> None:
        self._reads, self._watch = reads, watch

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        return await _timed("reads.query", "payment", self._reads.payment(merchant_id, payment_id))

    async def payment_at_provider(self, merchant_id: str, provider: str, provider_payment_id: str) -> Payment:
        call = self._reads.payment_at_provider(merchant_id, provider, provider_payment_id)
        return await _timed("reads.query", "payment", call)

    async def payments(self, merchant_id: str, query: PaymentQuery) -> Listed[Payment]:
        return await _timed("reads.query", "payments", self._reads.payments(merchant_id, query))

    async def refunds(self, merchant_id: str, query: RefundQuery) -> Listed[Refund]:
        return await _timed("reads.query", "refunds", self._reads.refunds(merchant_id, query))

    async def card(self, merchant_id: str, card_token: str) -> StoredCard:
        return await _timed("reads.query", "card", self._reads.card(merchant_id, card_token))

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        return await _timed("reads.query", "refund", self._reads.refund(merchant_id, refund_id))

    async def timeline(self, merchant_id: str, payment_id: str) -> list[Step]:
        return await _timed("reads.query", "timeline", self._reads.timeline(merchant_id, payment_id))

    async def outbox_oldest_s(self) -> float:
        oldest_s = await _timed("reads.query", "outbox_oldest", self._reads.outbox_oldest_s())
        self._watch.gauge("outbox.oldest_s", oldest_s)
        return oldest_s


class ObservedMerchants:
    """What is asked is a hop; what is changed, a few times a year, is not."""

    def __init__(self, merchants: Merchants) -> None:
        self._merchants = merchants
        self.used = merchants.used
        self.add, self.add_key, self.revoke_key = merchants.add, merchants.add_key, merchants.revoke_key

    async def get(self, merchant_id: str) -> Merchant:
        return await _timed("reads.query", "merchant", self._merchants.get(merchant_id))

    async def key_of(self, prefix: str) -> ApiKey | None:
        return await _timed("reads.query", "api_key", self._merchants.key_of(prefix))

    async def keys(self, merchant_id: str) -> list[ApiKey]:
        return await _timed("reads.query", "api_keys", self._merchants.keys(merchant_id))


class ObservedSessions:
    """Each question is a hop of the request that asks."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.end = sessions.end

    async def begin(self, digest: str, principal: Principal, instead_of: str | None, origin: Origin) -> Session:
        return await _timed("reads.query", "login", self._sessions.begin(digest, principal, instead_of, origin))

    async def resume(self, digest: str) -> Session | None:
        return await _timed("reads.query", "session", self._sessions.resume(digest))
