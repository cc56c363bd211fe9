"""The catalogue of events: what each says in a line, and what it looks like.

An example is made by the same methods that make the real one, with the demo merchant in it: what they change, it shows.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cleartill.domain.attempt import Attempt, AttemptKind, attempt_key
from cleartill.domain.card import CardSummary, SealedCard
from cleartill.domain.events import Fact
from cleartill.domain.merchant import DEMO_MERCHANT_ID, Merchant, Scope, sealed_key
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus
from cleartill.domain.transfer import MAX_RETRIES, Transfer, TransferKind
from cleartill.domain.webhook import TEST, Endpoint, trial_event

DESCRIPTIONS: Mapping[str, str] = {
    "payment.created": "A payment is there; nobody has been asked for the money yet.",
    "payment.authorized": "The issuer holds the money; capture it before `expires_at`.",
    "payment.captured": "The money is claimed, all of it or a part.",
    "payment.requires_action": "The payer must go to `action.url` first (3-D Secure).",
    "payment.voided": "The hold was released; nothing was charged.",
    "payment.expired": "The hold, or the payer's time to act, has lapsed; nothing was charged.",
    "payment.failed": "Declined, or given up; `decline` says why, and whether to try again.",
    "payment.in_doubt": "The bank has not said what became of it. It is being asked, and no second payment is needed.",
    "payment.resolved": "It was in doubt, and the bank has said what was true; another event tells what.",
    "payment.needs_review": "Something contradicts the books: a person must look. No money moves by itself.",
    "refund.created": "A refund is on its way; its amount can be refunded no second time.",
    "refund.succeeded": "The bank has taken on the refund.",
    "refund.failed": "The bank has refused the refund; its amount may be refunded again.",
    "refund.in_doubt": "The bank has not said what became of the refund; it is being asked.",
    "deposit.created": "A deposit waits for a worker to take it to the bank.",
    "deposit.succeeded": "The money is on the balance.",
    "deposit.failed": "The bank has refused the deposit, or could not be reached; nothing moved.",
    "deposit.in_doubt": "Nobody knows what became of the deposit: a person must look.",
    "deposit.retried": "A dead letter was taken up again by hand.",
    "deposit.needs_review": "What the bank says of the deposit contradicts itself: a person must look.",
    "withdrawal.created": "A withdrawal waits for a worker; its amount is reserved.",
    "withdrawal.succeeded": "The bank has paid it out.",
    "withdrawal.failed": "The bank has refused the withdrawal, or could not be reached; its amount is free again.",
    "withdrawal.in_doubt": "Nobody knows what became of the withdrawal; its amount stays reserved: a person must look.",
    "withdrawal.retried": "A dead letter was taken up again by hand, its amount reserved.",
    "withdrawal.needs_review": "What the bank says of the withdrawal contradicts itself: a person must look.",
    "card.erased": "A stored card was erased; its token is good for nothing any more.",
    "merchant.created": "A merchant was taken on.",
    "api_key.created": "An API key was made.",
    "api_key.revoked": "An API key is refused from now on.",
    "webhook_endpoint.created": "A webhook endpoint was made.",
    "webhook_endpoint.updated": "A webhook endpoint was changed, enabled or disabled by hand.",
    "webhook_endpoint.disabled": "We have disabled an endpoint: its receiver is gone, or has failed for days.",
    "webhook_endpoint.deleted": "A webhook endpoint hears nothing any more.",
    "webhook_endpoint.secret_rotated": "An endpoint has a fresh secret; for a day the old one signs as well.",
    TEST: "Nothing happened: an endpoint was tried by hand. No endpoint can ask for it.",
}
"""Type → what it means, in the order in which a person would look for it."""

_AT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
_LATER = _AT + timedelta(seconds=2)
_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_YES = Approved("bnk_01kabcdefg", "REF-20260115-0042", "00", "Y", "M")
_NO = Declined("insufficient_funds", "51", "bnk_01kabcdefg")
_SILENCE = Unknown("timeout")


def examples() -> dict[str, dict[str, Any]]:
    """Type → a CloudEvent of it, for every type in `DESCRIPTIONS`."""
    traceparent = f"00-{_TRACE}-{_SPAN}-01"
    made = {fact.type: fact.cloud_event(traceparent) for fact in _facts()}
    made[TEST] = trial_event(_endpoint(), _AT, traceparent)
    return {type: made[type] for type in DESCRIPTIONS}


def _facts() -> Iterator[Fact]:
    """One of each type, and the last one of a type is taken."""
    yield from _charges()
    yield from _holds()
    yield from _refunds()
    for kind in TransferKind:
        yield from _transfers(kind)
    yield from _accounts()
    yield from _endpoints()


def _charges() -> Iterator[Fact]:
    new = _payment(PaymentStatus.PENDING)
    yield new.created()
    for outcome in (_NO, ActionRequired("bnk_01kabcdefg", "https://bank.example/3ds/01k"), _SILENCE):
        yield from _settled(_payment(), outcome)
    doubtful = _payment()
    yield from _settled(doubtful, _SILENCE)
    yield from _settled(doubtful, _YES)
    yield _paid().review("the provider says declined, the books say captured", _LATER)
    yield from _settled(_payment(), _YES)


def _holds() -> Iterator[Fact]:
    for kind in (AttemptKind.VOID, AttemptKind.EXPIRE):
        held = _payment(capture_method="manual")
        yield from _settled(held, _YES)
        held.void(_LATER)
        attempt = Attempt(
            attempt_key(held.id, kind), held.merchant_id, held.id, kind, held.provider, held.amount_minor,
            held.currency, _LATER,
        )  # fmt: skip
        yield from held.settle_hold(attempt, _YES, _LATER) or ()


def _refunds() -> Iterator[Fact]:
    answers: tuple[Outcome, ...] = (_SILENCE, Declined("processing_error", "96"), _YES)
    for answer in answers:
        paid = _paid()
        refund, fact = paid.refund(2500, at=_LATER, trace_id=_TRACE, reason="returned")
        yield fact
        yield from paid.settle_refund(refund, answer, _LATER) or ()


def _transfers(kind: TransferKind) -> Iterator[Fact]:
    done = _transfer(kind)
    yield done.created()
    done.begin(_LATER)
    yield from done.end(_YES, _LATER)
    asked = done.review("the bank's callback names another amount", _LATER)
    assert asked is not None  # nobody had been asked before
    yield asked
    doubtful, unsent = _transfer(kind), _transfer(kind)
    doubtful.created()
    doubtful.begin(_LATER)
    unsent.created()
    for _ in range(MAX_RETRIES + 1):
        yield from doubtful.fault("timeout", _LATER)
        yield from unsent.fault("refused", _LATER)
    yield unsent.retry(_LATER)


def _accounts() -> Iterator[Fact]:
    merchant = Merchant(DEMO_MERCHANT_ID, "Demo Merchant", "demo@merchant.example", _AT)
    yield merchant.created()
    key = sealed_key(f"sk_test_{'A' * 32}", "0" * 64, merchant.id, "checkout backend", (Scope.PAYMENTS_WRITE,), _AT)
    yield key.created(2)
    revoked = key.revoked(_LATER, 3)
    assert revoked is not None  # it was alive
    yield revoked[1]
    card = _card()
    yield SealedCard(card.card_token, merchant.id, 1, b"", card).erased(_LATER)


def _endpoints() -> Iterator[Fact]:
    endpoint = _endpoint()
    yield endpoint.created()
    yield endpoint.changed(_LATER, description="the shop's second backend")[1]
    yield endpoint.rotated(b"", b"", 1, _LATER)[1]
    _, disabled = endpoint.tried(ok=False, gone=True, at=_LATER)
    assert disabled is not None  # whoever says he is gone is disabled at once
    yield disabled
    yield endpoint.deleted(_LATER)[1]


# ── whom it is about ──────────────────────────────────────────────────────────────────────────────────────────────────


def _card() -> CardSummary:
    return CardSummary("visa", "4242", "424242", 12, 2034, "9f86d081884c7d65", f"card_{'0' * 26}")


def _payment(status: PaymentStatus = PaymentStatus.PROCESSING, capture_method: str = "automatic") -> Payment:
    made = Payment(
        "pay_01kabcdefghjkmnpqrstvwxyz0", DEMO_MERCHANT_ID, 9999, "USD", "bank", status, _TRACE, _AT, _AT,
        capture_method=capture_method, card=_card(), order_id="order-4711", description="Two tickets",
    )  # fmt: skip
    if status is PaymentStatus.PROCESSING:
        made.created()
    return made


def _settled(payment: Payment, outcome: Outcome | NotSent) -> list[Fact]:
    return payment.settle(outcome, _LATER) or []


def _paid() -> Payment:
    paid = _payment()
    _settled(paid, _YES)
    return paid


def _transfer(kind: TransferKind) -> Transfer:
    return Transfer.of(DEMO_MERCHANT_ID, kind, 50_000, "USD", "bank", _AT, _TRACE, description="January")


def _endpoint() -> Endpoint:
    return Endpoint(
        f"we_{'0' * 26}", DEMO_MERCHANT_ID, "https://shop.example/webhooks", ("payment.captured",), None, b"", 1, _AT,
        _AT,
    )  # fmt: skip
