"""The Books and Reads ports over memory: compare-and-set, claims, caps, as the real ones keep them."""

import asyncio
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.card import SealedCard
from cleartill.domain.errors import BooksUnavailable, NotFound
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Claim, ExistingClaim
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Loaded, Origin, OutboxRow, Step, Unit, Verdict
from fakes.lists import FakeLists
from fakes.memory import FakeClock, Held, Key, Memory, of


class FakeBooks:
    """`away`: nothing can be written or read. `before_record`: called with each unit, may raise or meddle."""

    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock
        self.away = False
        self.before_record: Callable[[Unit], None] | None = None
        self.units: list[Unit] = []

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    async def record(self, unit: Unit) -> Verdict:
        await asyncio.sleep(0)
        self._reach()
        if self.before_record:
            self.before_record(unit)
        if unit.deadline is not None and self._clock.monotonic() >= unit.deadline:
            raise BooksUnavailable("Too late; nothing was written")
        key = (unit.payment.merchant_id, unit.payment.id)
        stored = self._memory.payments.get(key)
        if (stored.version if stored else 0) != unit.expecting:
            return Verdict.CONFLICT
        if self._taken_over(unit):
            return Verdict.CONFLICT
        if unit.claim and (unit.claim.merchant_id, unit.claim.scope, unit.claim.key) in self._memory.claims:
            return Verdict.KEY_TAKEN
        card = unit.payment.card
        if unit.unless_blocked and card and (unit.payment.merchant_id, card.fingerprint) in self._memory.blocked:
            return Verdict.CARD_BLOCKED
        self._write(key, unit)
        self.units.append(unit)
        return Verdict.RECORDED

    def _taken_over(self, unit: Unit) -> bool:
        """It says "not sent" of an attempt that a resolver may have sent since."""
        attempt = unit.attempt
        if attempt is None or attempt.status is not AttemptStatus.NOT_SENT:
            return False
        return self._memory.attempts[(attempt.merchant_id, attempt.key)].tries > 0

    def _write(self, key: Key, unit: Unit) -> None:
        memory, payment, refund = self._memory, unit.payment, unit.refund
        held = payment.amount_refunded_minor + payment.refund_reserved_minor
        assert 0 <= held <= payment.amount_captured_minor <= payment.amount_minor, "a CHECK would refuse this row"
        assert all(sum(entry.amount_minor for entry in journal.entries) == 0 for journal in unit.journals)
        memory.payments[key] = deepcopy(payment)
        if refund:
            memory.refunds[(refund.merchant_id, refund.id)] = deepcopy(refund)
        if unit.card:
            memory.cards[(unit.card.merchant_id, unit.card.token)] = unit.card
            memory.card_times[(unit.card.merchant_id, unit.card.token)] = self._clock.now()
        if unit.block and unit.block.is_hard and payment.card:
            memory.blocked.setdefault((payment.merchant_id, payment.card.fingerprint), unit.block)
        self._write_attempt(unit)
        self._write_claim(unit)
        memory.journals.extend(unit.journals)
        for fact in unit.facts:
            memory.facts.append((fact, unit.origin))
            traceparent = unit.origin.traceparent
            event = json.dumps(fact.cloud_event(traceparent)).encode()
            subject = (fact.merchant_id, fact.subject_id, fact.seq)
            assert subject not in memory.outbox, "seq is unique per subject"
            memory.outbox[subject] = OutboxRow(*subject, event, fact.type, traceparent)

    def _write_attempt(self, unit: Unit) -> None:
        attempt = unit.attempt
        if attempt is None:
            return
        key = (attempt.merchant_id, attempt.key)
        stored = self._memory.attempts.get(key)
        assert stored is None if unit.is_intent else stored and stored.status is AttemptStatus.OPEN, "went astray"
        self._memory.attempts[key] = replace(attempt)
        self._memory.origins[key] = unit.origin if unit.is_intent else self._memory.origins[key]
        if unit.resolve_after_s is not None:
            self._memory.resolve_at[key] = self._clock.now() + timedelta(seconds=unit.resolve_after_s)

    def _write_claim(self, unit: Unit) -> None:
        if unit.claim:
            refund_id = unit.refund.id if unit.refund else None
            attempt_key = unit.attempt.key if unit.attempt else None
            at = (unit.claim.merchant_id, unit.claim.scope, unit.claim.key)
            made = Held(unit.claim, unit.payment.id, refund_id, attempt_key, created_at=self._clock.now())
            self._memory.claims[at] = made
        claim = unit.attempt.claim if unit.attempt else unit.claim
        if claim is None:
            return
        at = (claim.merchant_id, claim.scope, claim.key)
        held = self._memory.claims.get(at)
        if held is None or held.answer is not None:
            return
        if unit.answer:
            held.answer, held.answered_at = unit.answer, self._clock.now()
        elif unit.release:
            del self._memory.claims[at]

    async def load(self, merchant_id: str, payment_id: str, refund_id: str | None = None) -> Loaded:
        await asyncio.sleep(0)
        self._reach()
        payment = of(self._memory.payments, merchant_id, payment_id)
        refund = of(self._memory.refunds, merchant_id, refund_id) if refund_id else None
        if refund and refund.payment_id != payment_id:
            raise NotFound
        return Loaded(payment, refund)

    async def load_attempt(self, merchant_id: str, attempt_key: str) -> Loaded:
        await asyncio.sleep(0)
        self._reach()
        attempt = of(self._memory.attempts, merchant_id, attempt_key)
        refund = of(self._memory.refunds, merchant_id, attempt.refund_id) if attempt.refund_id else None
        return Loaded(of(self._memory.payments, merchant_id, attempt.payment_id), refund, attempt)

    async def find_attempt(self, attempt_key: str) -> Loaded:
        merchants = [merchant for merchant, key in self._memory.attempts if key == attempt_key]
        return await self.load_attempt(merchants[0] if merchants else "", attempt_key)

    async def blocked(self, merchant_id: str, fingerprint: str) -> Declined | None:
        await asyncio.sleep(0)
        self._reach()
        return self._memory.blocked.get((merchant_id, fingerprint))

    async def claimed(self, claim: Claim) -> ExistingClaim | None:
        await asyncio.sleep(0)
        self._reach()
        held = self._memory.claims.get((claim.merchant_id, claim.scope, claim.key))
        if held is None:
            return None
        merchant_id = claim.merchant_id
        shown: Payment | Refund = self._memory.payments[(merchant_id, held.payment_id)]
        if held.refund_id:
            shown = self._memory.refunds[(merchant_id, held.refund_id)]
        overdue = shown.status in ("in_doubt", "requires_action")
        if held.attempt_key:
            key = (merchant_id, held.attempt_key)
            due = self._memory.resolve_at[key] <= self._clock.now()
            attempt = self._memory.attempts[key]
            overdue = overdue or due or attempt.status is not AttemptStatus.OPEN or attempt.tries > 0
        return ExistingClaim(held.claim.fingerprint, held.answer, held.payment_id, held.refund_id, overdue)

    async def card(self, merchant_id: str, card_token: str) -> SealedCard:
        self._reach()
        return of(self._memory.cards, merchant_id, card_token)

    async def erase_card(self, merchant_id: str, card_token: str, fact: Fact, origin: Origin) -> bool:
        await asyncio.sleep(0)
        self._reach()
        if self._memory.cards.pop((merchant_id, card_token), None) is None:
            return False
        self._memory.facts.append((fact, origin))
        event = json.dumps(fact.cloud_event(origin.traceparent)).encode()
        subject = (fact.merchant_id, fact.subject_id, fact.seq)
        self._memory.outbox[subject] = OutboxRow(*subject, event, fact.type, origin.traceparent)
        return True


class FakeReads(FakeLists):
    def __init__(self, memory: Memory, clock: FakeClock) -> None:
        self._memory, self._clock = memory, clock
        self.away = False

    def _reach(self) -> None:
        if self.away:
            raise BooksUnavailable("The books are away")

    async def payment(self, merchant_id: str, payment_id: str) -> Payment:
        self._reach()
        found: Payment = of(self._memory.payments, merchant_id, payment_id)
        return found

    async def refund(self, merchant_id: str, refund_id: str) -> Refund:
        self._reach()
        found: Refund = of(self._memory.refunds, merchant_id, refund_id)
        return found

    async def timeline(self, merchant_id: str, payment_id: str) -> list[Step]:
        self._reach()
        if (merchant_id, payment_id) not in self._memory.transfers:
            of(self._memory.payments, merchant_id, payment_id)
        return [
            Step(fact.at, fact.type, "recorded", details={"seq": fact.seq, "trace_id": origin.trace_id})
            for fact, origin in self._memory.facts
            if (fact.merchant_id, fact.subject_id) == (merchant_id, payment_id)
        ]

    async def outbox_oldest_s(self) -> float:
        self._reach()
        times = {(fact.merchant_id, fact.subject_id, fact.seq): fact.at for fact, _ in self._memory.facts}
        waiting = [times[at] for at in self._memory.outbox if at not in self._memory.published]
        return (self._clock.now() - min(waiting)).total_seconds() if waiting else 0.0
