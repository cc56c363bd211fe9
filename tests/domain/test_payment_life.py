"""The whole life of a payment: every step it can begin, and what every answer makes of it in every state."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from cleartill.domain import events
from cleartill.domain.attempt import Attempt, AttemptKind
from cleartill.domain.errors import ExceedsLeft, ForbiddenStep, InDoubtNow
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import ACTION_WITHIN, HOLD_LASTS, RELEASE_AGAIN_AFTER, Payment
from cleartill.domain.states import PaymentStatus

AT = datetime(2026, 1, 1, tzinfo=UTC)
LATER = AT + timedelta(seconds=1)
ACS = "https://bank.example/3ds/1"
YES, NO = Approved("bnk_1", "REF1", "00", "Y", "M"), Declined("do_not_honor", "05")
SILENCE, UNSENT, ACT = Unknown("timeout"), NotSent("connect"), ActionRequired("bnk_1", ACS)
NEVER = Declined("not_charged")
S, K = PaymentStatus, AttemptKind


def payment(status: PaymentStatus, capture: str = "manual", **more: object) -> Payment:
    made = Payment("pay_1", "m_1", 1_000, "USD", "bank", status, "t" * 32, AT, AT, capture_method=capture)
    return replace(made, **more)  # type: ignore[arg-type]


def attempt(kind: AttemptKind, amount_minor: int = 1_000) -> Attempt:
    return Attempt(f"pay_1.{kind}.1", "m_1", "pay_1", kind, "bank", amount_minor, "USD", AT)


def types(facts: list[events.Fact] | None) -> list[str] | None:
    return None if facts is None else [fact.type for fact in facts]


# ── steps that are begun ──────────────────────────────────────────────────────────────────────────────────────────────

BEGIN = {"confirm": S.PENDING, "fail": S.PENDING, "capture": S.AUTHORIZED, "void": S.AUTHORIZED}


def begin(made: Payment, verb: str) -> None:
    match verb:
        case "confirm":
            made.confirm(LATER)
        case "fail":
            made.fail(LATER)
        case "capture":
            made.capture(None, LATER)
        case "void":
            made.void(LATER)


@pytest.mark.parametrize(("verb", "status"), list(product(BEGIN, S)))
def test_a_step_begins_in_one_state_and_is_refused_by_name_in_all_others(verb: str, status: PaymentStatus) -> None:
    made = payment(status)
    before = replace(made)
    if status is BEGIN[verb]:
        begin(made, verb)
        assert made.status is (S.FAILED if verb == "fail" else S.PROCESSING)
        assert made.updated_at == LATER
        return
    with pytest.raises(InDoubtNow if status is S.IN_DOUBT else ForbiddenStep) as refused:
        begin(made, verb)
    assert f"Cannot {verb} a payment that is {status}" in str(refused.value)
    assert made == before


@pytest.mark.parametrize("verb", ["confirm", "capture", "void"])
def test_what_will_be_asked_is_counted_so_that_each_attempt_has_a_key_of_its_own(verb: str) -> None:
    made = payment(BEGIN[verb], attempt_count=3)
    begin(made, verb)
    assert made.attempt_count == 4


def test_a_payment_that_was_given_up_asked_nobody() -> None:
    made = payment(S.PENDING)
    fact = made.fail(LATER)

    assert (type(fact), fact.seq, fact.amount_minor, made.attempt_count) == (events.PaymentFailed, 1, 0, 0)
    assert fact.data["status"] == "failed"


@pytest.mark.parametrize(("asked", "meant"), [(None, 1_000), (1_000, 1_000), (999, 999), (1, 1)])
def test_all_or_part_of_a_hold_is_captured(asked: int | None, meant: int) -> None:
    made = payment(S.AUTHORIZED)
    assert made.capture(asked, LATER) == meant
    assert (made.status, made.amount_captured_minor) == (S.PROCESSING, 0)


@pytest.mark.parametrize("amount", [0, -1, 1_001, 10**12])
def test_no_more_is_captured_than_is_held_and_no_less_than_something(amount: int) -> None:
    made = payment(S.AUTHORIZED)
    with pytest.raises(ExceedsLeft, match=r"Cannot capture more than is left: 10\.00 USD") as refused:
        made.capture(amount, LATER)
    assert (refused.value.left_minor, made.status, made.attempt_count) == (1_000, S.AUTHORIZED, 0)


def test_the_state_is_looked_at_before_the_amount() -> None:
    with pytest.raises(ForbiddenStep):
        payment(S.CAPTURED).capture(10**12, LATER)


# ── answers to an authorization ───────────────────────────────────────────────────────────────────────────────────────

AUTHORIZATION: list[tuple[PaymentStatus, Outcome, str, PaymentStatus, list[str] | None]] = [
    (S.PROCESSING, YES, "automatic", S.CAPTURED, ["payment.captured"]),
    (S.PROCESSING, YES, "manual", S.AUTHORIZED, ["payment.authorized"]),
    (S.PROCESSING, NO, "manual", S.FAILED, ["payment.failed"]),
    (S.PROCESSING, NEVER, "manual", S.FAILED, ["payment.failed"]),
    (S.PROCESSING, UNSENT, "manual", S.FAILED, ["payment.failed"]),
    (S.PROCESSING, SILENCE, "manual", S.IN_DOUBT, ["payment.in_doubt"]),
    (S.PROCESSING, ACT, "manual", S.REQUIRES_ACTION, ["payment.requires_action"]),
    (S.IN_DOUBT, YES, "automatic", S.CAPTURED, ["payment.captured", "payment.resolved"]),
    (S.IN_DOUBT, YES, "manual", S.AUTHORIZED, ["payment.authorized", "payment.resolved"]),
    (S.IN_DOUBT, NO, "manual", S.FAILED, ["payment.failed", "payment.resolved"]),
    (S.IN_DOUBT, NEVER, "manual", S.FAILED, ["payment.failed", "payment.resolved"]),
    (S.IN_DOUBT, SILENCE, "manual", S.IN_DOUBT, None),
    (S.IN_DOUBT, ACT, "manual", S.REQUIRES_ACTION, ["payment.requires_action", "payment.resolved"]),
    (S.REQUIRES_ACTION, YES, "automatic", S.CAPTURED, ["payment.captured"]),
    (S.REQUIRES_ACTION, YES, "manual", S.AUTHORIZED, ["payment.authorized"]),
    (S.REQUIRES_ACTION, NO, "manual", S.FAILED, ["payment.failed"]),
    (S.REQUIRES_ACTION, NEVER, "manual", S.EXPIRED, ["payment.expired"]),
    (S.REQUIRES_ACTION, SILENCE, "manual", S.REQUIRES_ACTION, None),
    (S.REQUIRES_ACTION, ACT, "manual", S.REQUIRES_ACTION, None),
]


@pytest.mark.parametrize(("was", "said", "capture", "becomes", "facts"), AUTHORIZATION)
def test_what_an_answer_makes_of_an_authorization(
    was: PaymentStatus, said: Outcome, capture: str, becomes: PaymentStatus, facts: list[str] | None
) -> None:
    made = payment(was, capture, seq=4)
    caused = made.settle(said, LATER)

    assert (made.status, types(caused)) == (becomes, facts)
    assert [fact.seq for fact in caused or []] == list(range(5, 5 + len(facts or [])))
    assert made.amount_captured_minor == sum(fact.amount_minor for fact in caused or [])
    assert made.amount_captured_minor == (1_000 if becomes is S.CAPTURED else 0)
    assert all(fact.data["status"] == str(becomes) for fact in caused or [])


def test_a_confirmation_that_was_not_sent_is_taken_back() -> None:
    made = payment(S.PROCESSING, provider_payment_id="mock_1")

    assert made.settle(UNSENT, LATER, S.PENDING) == []
    assert (made.status, made.decline) == (S.PENDING, None)


def test_what_is_in_doubt_is_never_taken_back() -> None:
    made = payment(S.IN_DOUBT, provider_payment_id="mock_1")
    with pytest.raises(ForbiddenStep):
        made.settle(UNSENT, LATER, S.PENDING)
    assert made.status is S.IN_DOUBT


def test_a_payer_is_told_where_to_go_and_how_long_there_is_time() -> None:
    made = payment(S.PROCESSING)
    made.settle(ACT, LATER)
    shown = made.view()

    assert made.lapses_at == LATER + ACTION_WITHIN
    assert (shown["action"], shown["expires_at"]) == ({"type": "redirect", "url": ACS}, "2026-01-01T00:15:01.000000Z")
    assert shown["provider_payment_id"] == "bnk_1"


@pytest.mark.parametrize("said", [YES, NO, NEVER])
def test_a_payer_who_acted_or_did_not_is_sent_nowhere_any_more(said: Outcome) -> None:
    made = payment(S.PROCESSING, "automatic")
    made.settle(ACT, AT)
    made.settle(said, LATER)
    assert (made.action, made.lapses_at) == (None, None)


def test_a_hold_ends_by_itself_and_captured_money_does_not() -> None:
    held, taken = payment(S.PROCESSING, "manual"), payment(S.PROCESSING, "automatic")
    for made in (held, taken):
        made.settle(YES, LATER)
    assert (held.lapses_at, taken.lapses_at) == (LATER + HOLD_LASTS, None)
    assert held.view()["expires_at"] == "2026-01-08T00:00:01.000000Z"


def test_a_no_keeps_the_name_that_the_provider_knows_the_payment_by() -> None:
    made = payment(S.PROCESSING, provider_payment_id="mock_1")
    made.settle(NO, LATER)
    assert made.provider_payment_id == "mock_1"
    named = payment(S.PROCESSING)
    named.settle(Declined("do_not_honor", "05", "bnk_2"), LATER)
    assert named.provider_payment_id == "bnk_2"


# ── answers about a hold ──────────────────────────────────────────────────────────────────────────────────────────────

DONE = {
    K.CAPTURE: (S.CAPTURED, "payment.captured"),
    K.VOID: (S.VOIDED, "payment.voided"),
    K.EXPIRE: (S.EXPIRED, "payment.expired"),
}


@pytest.mark.parametrize(
    ("kind", "was", "said"),
    list(product(DONE, (S.PROCESSING, S.IN_DOUBT), (YES, NO, UNSENT, SILENCE, ACT))),
)
def test_what_an_answer_makes_of_a_hold(kind: AttemptKind, was: PaymentStatus, said: Outcome) -> None:
    """A yes does it; a no, and what was not sent, leave the hold as it was; silence is doubt."""
    made = payment(was, lapses_at=AT + HOLD_LASTS, seq=2)
    caused = made.settle_hold(attempt(kind), said, LATER)

    resolved = ["payment.resolved"] if was is S.IN_DOUBT else []
    match said:
        case Approved():
            becomes, fact = DONE[kind]
            assert (made.status, types(caused)) == (becomes, [fact, *resolved])
            assert made.lapses_at is None
        case Declined() | NotSent():
            assert (made.status, types(caused)) == (S.AUTHORIZED, resolved)
            assert made.decline == (NO if said is NO else None)
            assert made.lapses_at == (LATER + RELEASE_AGAIN_AFTER if kind is K.EXPIRE else AT + HOLD_LASTS)
        case _:
            assert (made.status, types(caused)) == (S.IN_DOUBT, None if was is S.IN_DOUBT else ["payment.in_doubt"])
    assert made.amount_captured_minor == (1_000 if made.status is S.CAPTURED else 0)
    assert [one.seq for one in caused or []] == list(range(3, 3 + len(caused or [])))


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (status, kind, said)
        for status, kind, said in product(S, DONE, (YES, NO, UNSENT))
        if status not in (S.PROCESSING, S.IN_DOUBT)
        and (status, kind, said) != (S.REQUIRES_ACTION, K.EXPIRE, YES)  # the payer who did not act takes that arrow
    ],
)
def test_a_hold_that_nobody_asked_about_is_not_settled(status: PaymentStatus, kind: AttemptKind, said: Outcome) -> None:
    made = payment(status)
    with pytest.raises(ForbiddenStep):
        made.settle_hold(attempt(kind), said, LATER)
    assert (made.status, made.amount_captured_minor, made.seq) == (status, 0, 0)


def test_a_part_is_what_was_captured_and_what_can_be_refunded() -> None:
    made = payment(S.AUTHORIZED)
    amount = made.capture(600, AT)
    facts = made.settle_hold(attempt(K.CAPTURE, amount), YES, LATER)

    assert facts is not None
    assert [fact.amount_minor for fact in facts] == [600]
    assert (made.amount_captured_minor, made.left_to_refund_minor) == (600, 600)
    with pytest.raises(ExceedsLeft):
        made.refund(601, at=LATER, trace_id="t")
    refund, _ = made.refund(None, at=LATER, trace_id="t")
    made.settle_refund(refund, YES, LATER)
    assert made.status is S.REFUNDED


def test_a_capture_forgets_the_no_before_it() -> None:
    made = payment(S.PROCESSING)
    made.settle_hold(attempt(K.CAPTURE), NO, AT)
    made.capture(None, AT)
    made.settle_hold(attempt(K.CAPTURE), YES, LATER)
    assert (made.status, made.decline) == (S.CAPTURED, None)


@pytest.mark.parametrize("kind", [K.CAPTURE, K.VOID])
def test_a_hold_whose_outcome_could_not_be_written_shows_doubt_and_who_holds_it(kind: AttemptKind) -> None:
    made = payment(S.PROCESSING, provider_payment_id="bnk_1", bank_reference="REF1")
    made.settle_hold(attempt(kind), YES, LATER)
    shown = made.unsettled(kind).view()

    assert (shown["status"], shown["amount_captured"]) == ("in_doubt", 0)
    assert (shown["provider_payment_id"], shown["bank_reference"]) == ("bnk_1", "REF1")
