"""Every arrow that may be gone and every one that may not, for payments and refunds; sums that always hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleartill.domain import events
from cleartill.domain.attempt import AttemptKind
from cleartill.domain.card import CardSummary
from cleartill.domain.errors import CleartillError, ExceedsLeft, ForbiddenStep, InDoubtNow
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PAYMENT_STEPS, REFUND_STEPS, PaymentStatus, RefundStatus, step

AT = datetime(2026, 1, 1, tzinfo=UTC)
YES, NO = Approved("bnk_1", "REF1", "00", "Y", "M"), Declined("do_not_honor", "05")
SILENCE, UNSENT = Unknown("timeout"), NotSent("connect")
S, R = PaymentStatus, RefundStatus

DRAWN = {
    S.PENDING: {S.PROCESSING, S.FAILED},
    S.PROCESSING: {S.AUTHORIZED, S.CAPTURED, S.FAILED, S.VOIDED, S.EXPIRED, S.REQUIRES_ACTION, S.IN_DOUBT, S.PENDING},
    S.REQUIRES_ACTION: {S.PROCESSING, S.FAILED, S.EXPIRED},
    S.AUTHORIZED: {S.PROCESSING},
    S.CAPTURED: {S.PARTIALLY_REFUNDED, S.REFUNDED},
    S.PARTIALLY_REFUNDED: {S.PARTIALLY_REFUNDED, S.REFUNDED},
    S.IN_DOUBT: {S.AUTHORIZED, S.CAPTURED, S.FAILED, S.VOIDED, S.EXPIRED, S.REQUIRES_ACTION},
}  # fmt: skip
REFUNDS_DRAWN = {R.PROCESSING: {R.SUCCEEDED, R.FAILED, R.IN_DOUBT}, R.IN_DOUBT: {R.SUCCEEDED, R.FAILED}}


def payment(status: PaymentStatus = S.PROCESSING, captured: int = 0, **more: object) -> Payment:
    made = Payment("pay_1", "m_1", 1_000, "USD", "bank", status, "t" * 32, AT, AT, amount_captured_minor=captured)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("current", "to"), list(product(S, S)))
def test_payments_step_along_drawn_arrows_only(current: PaymentStatus, to: PaymentStatus) -> None:
    if to in DRAWN.get(current, set()):
        assert step(PAYMENT_STEPS, "payment", current, to) is to
    else:
        with pytest.raises(ForbiddenStep, match=f"{current} cannot become {to}"):
            step(PAYMENT_STEPS, "payment", current, to)


@pytest.mark.parametrize(("current", "to"), list(product(R, R)))
def test_refunds_step_along_drawn_arrows_only(current: RefundStatus, to: RefundStatus) -> None:
    if to in REFUNDS_DRAWN.get(current, set()):
        assert step(REFUND_STEPS, "refund", current, to) is to
    else:
        with pytest.raises(ForbiddenStep):
            step(REFUND_STEPS, "refund", current, to)


@pytest.mark.parametrize(
    ("said", "capture", "status", "captured", "facts"),
    [
        (YES, "automatic", S.CAPTURED, 1_000, [events.PaymentCaptured]),
        (YES, "manual", S.AUTHORIZED, 0, [events.PaymentAuthorized]),
        (NO, "automatic", S.FAILED, 0, [events.PaymentFailed]),
        (UNSENT, "automatic", S.FAILED, 0, [events.PaymentFailed]),
        (SILENCE, "automatic", S.IN_DOUBT, 0, [events.PaymentInDoubt]),
    ],
)
def test_what_an_answer_makes_of_a_payment(
    said: Outcome, capture: str, status: PaymentStatus, captured: int, facts: list[type[events.Fact]]
) -> None:
    made = payment(capture_method=capture)
    later = AT + timedelta(seconds=1)
    caused = made.settle(said, later)

    assert caused is not None
    assert (made.status, made.amount_captured_minor, made.updated_at) == (status, captured, later)
    assert [type(fact) for fact in caused] == facts
    assert [fact.seq for fact in caused] == [1]
    assert sum(fact.amount_minor for fact in caused) == captured


@pytest.mark.parametrize("said", [YES, NO])
def test_doubt_ends_with_a_resolution(said: Outcome) -> None:
    made = payment()
    made.settle(SILENCE, AT)
    assert made.settle(SILENCE, AT) is None

    facts = made.settle(said, AT)

    assert facts is not None
    assert type(facts[-1]) is events.PaymentResolved
    assert [fact.seq for fact in facts] == [2, 3]


_WAITS = {S.PROCESSING, S.IN_DOUBT, S.REQUIRES_ACTION}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (status, said)
        for status in S
        for said in (YES, NO, UNSENT, SILENCE)
        if status not in _WAITS and not (status is S.PENDING and said in (NO, UNSENT))  # `fail` takes that arrow
    ],
)
def test_only_a_payment_that_waits_is_settled(status: PaymentStatus, said: Outcome) -> None:
    made = payment(status)
    with pytest.raises(ForbiddenStep):
        made.settle(said, AT)
    assert (made.status, made.amount_captured_minor, made.seq) == (status, 0, 0)


def test_the_checks_of_a_card_are_noted() -> None:
    made = payment(card=CardSummary("visa", "4242", "424242", 1, 2030, "f", "card_1"))
    made.settle(YES, AT)

    assert made.card is not None
    assert (made.card.avs_result, made.card.cvc_result) == ("Y", "M")


@pytest.mark.parametrize("status", [s for s in S if s not in (S.CAPTURED, S.PARTIALLY_REFUNDED)])
def test_only_captured_money_is_refunded(status: PaymentStatus) -> None:
    made = payment(status, captured=1_000)
    with pytest.raises(InDoubtNow if status is S.IN_DOUBT else ForbiddenStep):
        made.refund(1, at=AT, trace_id="t")
    assert made.refund_reserved_minor == 0


@pytest.mark.parametrize("amount", [0, -1, 1_001])
def test_a_refund_is_above_zero_and_at_most_what_is_left(amount: int) -> None:
    made = payment(S.CAPTURED, captured=1_000)
    with pytest.raises(ExceedsLeft) as refused:
        made.refund(amount, at=AT, trace_id="t")
    assert refused.value.left_minor == 1_000
    assert "10.00 USD" in str(refused.value)


@pytest.mark.parametrize(
    ("said", "status", "reserved", "refunded"),
    [(YES, R.SUCCEEDED, 0, 400), (NO, R.FAILED, 0, 0), (UNSENT, R.FAILED, 0, 0), (SILENCE, R.IN_DOUBT, 400, 0)],
)
def test_what_an_answer_makes_of_a_refund(said: Outcome, status: RefundStatus, reserved: int, refunded: int) -> None:
    made = payment(S.CAPTURED, captured=1_000)
    refund, created = made.refund(400, at=AT, trace_id="t")
    assert (type(created), created.data, made.refund_reserved_minor) == (events.RefundCreated, refund.view(), 400)

    made.settle_refund(refund, said, AT)

    assert refund.status is status
    assert (made.refund_reserved_minor, made.amount_refunded_minor) == (reserved, refunded)
    assert made.status is (S.PARTIALLY_REFUNDED if refunded else S.CAPTURED)


def test_a_final_refund_stays_as_it_is() -> None:
    made = payment(S.CAPTURED, captured=1_000)
    refund, _ = made.refund(400, at=AT, trace_id="t")
    made.settle_refund(refund, YES, AT)
    for said in (YES, NO, SILENCE):
        with pytest.raises(ForbiddenStep):
            made.settle_refund(refund, said, AT)
    assert (made.amount_refunded_minor, made.refund_reserved_minor) == (400, 0)


def test_doubt_about_a_refund_is_said_once() -> None:
    made = payment(S.CAPTURED, captured=1_000)
    refund, _ = made.refund(400, at=AT, trace_id="t")
    assert len(made.settle_refund(refund, SILENCE, AT) or []) == 1
    assert made.settle_refund(refund, SILENCE, AT) is None


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), st.one_of(st.none(), st.integers(-5, 1_100))),
        st.tuples(st.sampled_from([YES, NO, SILENCE, UNSENT]), st.integers(0, 20)),
    ),
    max_size=40,
)


@given(_STEPS)
def test_refunds_never_exceed_what_was_captured(steps: list[tuple[object, int | None]]) -> None:
    """In any order of refunds and answers: sums hold, facts are numbered without a gap, each refund counts once."""
    made, refunds, facts = payment(S.CAPTURED, captured=1_000), list[Refund](), list[events.Fact]()
    for what, number in steps:
        try:
            if what == "refund":
                refund, fact = made.refund(number, at=AT, trace_id="t")
                refunds.append(refund)
                facts.append(fact)
            elif refunds:
                facts += made.settle_refund(refunds[(number or 0) % len(refunds)], what, AT) or []  # type: ignore[arg-type]
        except CleartillError:
            pass
        succeeded = sum(refund.amount_minor for refund in refunds if refund.status is R.SUCCEEDED)
        open_ones = sum(refund.amount_minor for refund in refunds if refund.status in (R.PROCESSING, R.IN_DOUBT))
        assert (made.amount_refunded_minor, made.refund_reserved_minor) == (succeeded, open_ones)
        assert succeeded + open_ones <= made.amount_captured_minor == 1_000
        assert (made.status is S.REFUNDED) == (succeeded == 1_000)
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))


def test_a_review_is_a_mark_and_moves_nothing() -> None:
    made = payment(S.CAPTURED, captured=1_000)
    fact = made.review("two answers", AT)

    assert (made.status, made.needs_review, fact.amount_minor) == (S.CAPTURED, "two answers", 0)


def test_an_unsettled_payment_shows_nothing_of_its_outcome() -> None:
    made = payment()
    made.settle(YES, AT)
    shown = made.unsettled(AttemptKind.AUTHORIZE).view()

    assert (shown["status"], shown["amount_captured"], shown["provider_payment_id"]) == ("in_doubt", 0, None)
    assert shown["bank_reference"] is None
    assert made.status is S.CAPTURED
