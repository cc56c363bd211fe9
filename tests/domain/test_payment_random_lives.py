"""Payments led through random lives: whatever is asked and answered in whatever order, the sums and the order hold."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cleartill.domain.attempt import Attempt, AttemptKind
from cleartill.domain.errors import CleartillError
from cleartill.domain.events import Fact
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PAYMENT_STEPS, PaymentStatus, RefundStatus

AT = datetime(2026, 1, 1, tzinfo=UTC)
S, K = PaymentStatus, AttemptKind
HELD = 1_000
OUTCOMES = st.sampled_from(
    [
        Approved("bnk_1", "REF1", "00"),
        Declined("do_not_honor", "05"),
        Declined("not_charged"),
        ActionRequired("bnk_1", "https://bank.example/3ds"),
        Unknown("timeout"),
        NotSent("connect"),
    ]
)
WAITS = (S.PROCESSING, S.IN_DOUBT, S.REQUIRES_ACTION)


class Watched(Payment):
    """Remembers the states it went through, those in between too."""

    __slots__ = ("gone_through",)

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self.gone_through = [self.status]

    def _become(self, to: PaymentStatus, at: datetime) -> None:
        super()._become(to, at)
        self.gone_through.append(to)


class Life(RuleBasedStateMachine):
    """What is asked of a payment and what is answered; an answer comes to the attempt that is open, or to a refund."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []
        self.refunds: list[Refund] = []
        self.open: Attempt | None = None

    @initialize(capture=st.sampled_from(["automatic", "manual"]), status=st.sampled_from([S.PENDING, S.PROCESSING]))
    def begins(self, capture: str, status: PaymentStatus) -> None:
        self.payment = Watched("pay_1", "m_1", HELD, "USD", "bank", status, "t", AT, AT, capture_method=capture)
        self.facts.append(self.payment.created())
        if status is S.PROCESSING:
            self._opens(K.AUTHORIZE, None)

    def _opens(self, kind: AttemptKind, reverts_to: PaymentStatus | None, amount_minor: int = HELD) -> None:
        key = f"pay_1.{kind}.{self.payment.attempt_count}"
        self.open = Attempt(key, "m_1", "pay_1", kind, "bank", amount_minor, "USD", AT, reverts_to=reverts_to)

    @rule(verb=st.sampled_from(["confirm", "fail", "void", "expire"]))
    def asks(self, verb: str) -> None:
        try:
            match verb:
                case "confirm":
                    self.payment.confirm(AT)
                    self._opens(K.AUTHORIZE, S.PENDING)
                case "fail":
                    self.facts.append(self.payment.fail(AT))
                case _:
                    self.payment.void(AT)
                    self._opens(AttemptKind(verb), S.AUTHORIZED)
        except CleartillError:
            pass

    @rule(amount=st.one_of(st.none(), st.integers(-1, HELD + 1)))
    def captures(self, amount: int | None) -> None:
        with suppress(CleartillError):
            self._opens(K.CAPTURE, S.AUTHORIZED, self.payment.capture(amount, AT))

    @precondition(lambda self: self.open is not None)
    @rule(said=OUTCOMES)
    def answers(self, said: Outcome) -> None:
        attempt = self.open
        assert attempt is not None
        if attempt.kind is K.AUTHORIZE:
            if isinstance(said, NotSent) and self.payment.status is not S.PROCESSING:
                return  # it was sent
            self.facts += self.payment.settle(said, AT, attempt.reverts_to) or []
        else:
            self.facts += self.payment.settle_hold(attempt, said, AT) or []
        if self.payment.status not in WAITS:
            self.open = None

    @rule(amount=st.one_of(st.none(), st.integers(-1, HELD + 1)))
    def refunds_some(self, amount: int | None) -> None:
        try:
            refund, fact = self.payment.refund(amount, at=AT, trace_id="t")
        except CleartillError:
            return
        self.refunds.append(refund)
        self.facts.append(fact)

    @precondition(lambda self: self.refunds)
    @rule(said=OUTCOMES, which=st.integers(0, 20))
    def answers_a_refund(self, said: Outcome, which: int) -> None:
        try:
            settled = self.payment.settle_refund(self.refunds[which % len(self.refunds)], said, AT)
        except CleartillError:
            return
        self.facts += settled or []

    @invariant()
    def facts_are_numbered_without_a_gap(self) -> None:
        if self.facts:
            assert [fact.seq for fact in self.facts] == list(range(1, len(self.facts) + 1))
            assert self.payment.seq == len(self.facts)

    @invariant()
    def every_step_is_drawn(self) -> None:
        if self.facts:
            steps = self.payment.gone_through
            assert all(to in PAYMENT_STEPS[was] for was, to in pairwise(steps))

    @invariant()
    def money_is_where_the_state_says(self) -> None:
        if not self.facts:
            return
        made, told = self.payment, [fact.type for fact in self.facts]
        assert 0 <= made.amount_captured_minor <= HELD
        took = made.status in (S.CAPTURED, S.PARTIALLY_REFUNDED, S.REFUNDED)
        assert (made.amount_captured_minor > 0) is took
        ended = [told.count(f"payment.{end}") for end in ("captured", "voided", "expired", "failed")]
        assert sum(ended) <= 1, "captured and voided, or ended twice"
        assert (ended[0] == 1) is took
        assert made.left_to_refund_minor >= 0
        open_refunds = [r for r in self.refunds if r.status in (RefundStatus.PROCESSING, RefundStatus.IN_DOUBT)]
        assert made.refund_reserved_minor == sum(refund.amount_minor for refund in open_refunds)

    @invariant()
    def the_ledger_says_the_same(self) -> None:
        if not self.facts:
            return
        entries = [entry for journal in journals(self.facts) for entry in journal.entries]
        merchant = sum(entry.amount_minor for entry in entries if entry.account == "merchant")
        assert merchant == self.payment.amount_captured_minor - self.payment.amount_refunded_minor
        assert sum(entry.amount_minor for entry in entries) == 0

    @invariant()
    def who_waits_is_waited_for(self) -> None:
        if self.facts:
            assert (self.open is not None) is (self.payment.status in WAITS)
            assert (self.payment.action is not None) is (self.payment.status is S.REQUIRES_ACTION)


TestLives = Life.TestCase
TestLives.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
