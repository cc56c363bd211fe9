"""Units as the use cases make them, without the use cases."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cleartill.domain.answers import answer
from cleartill.domain.attempt import Attempt, AttemptKind, AttemptStatus, attempt_key
from cleartill.domain.idempotency import Claim
from cleartill.domain.ids import new_id
from cleartill.domain.ledger import journals
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Origin, Unit

MERCHANT = "merchant_123"
TRACE = "0af7651916cd43dd8448eb211c80319c"
YES = Approved("bnk_1", bank_reference="REF1", network_code="00")
_SAID = {
    Approved: AttemptStatus.APPROVED,
    Declined: AttemptStatus.DECLINED,
    NotSent: AttemptStatus.NOT_SENT,
    Unknown: AttemptStatus.OPEN,
}


def origin() -> Origin:
    return Origin(actor="key_1", request_id="req_1", trace_id=TRACE, span_id="b7ad6b7169203331")


def later(seconds: float) -> float:
    """A deadline: monotonic seconds."""
    return time.monotonic() + seconds


def claim(key: str, scope: str = "process", fingerprint: str = "f" * 64) -> Claim:
    return Claim(MERCHANT, scope, key, fingerprint)


def payment(amount_minor: int = 10_000, currency: str = "USD", **more: Any) -> Payment:
    now = datetime.now(UTC)
    return Payment(
        id=new_id("pay"),
        merchant_id=MERCHANT,
        amount_minor=amount_minor,
        currency=currency,
        provider="bank",
        status=PaymentStatus.PROCESSING,
        trace_id=TRACE,
        created_at=now,
        updated_at=now,
        **more,
    )


def intent(of: Payment | None = None, *, under: Claim | None = None, within_s: float = 20.0) -> Unit:
    """A charge about to be sent."""
    of = of or payment()
    return Unit(
        payment=of,
        expecting=0,
        origin=origin(),
        facts=[of.created()],
        attempt=_attempt(of, AttemptKind.AUTHORIZE, of.id, of.amount_minor, under),
        claim=under,
        deadline=later(within_s),
        resolve_after_s=10.0,
    )


def outcome(of: Unit, said: Outcome = YES) -> Unit:
    """What the provider said to an intent."""
    at = datetime.now(UTC)
    assert of.attempt is not None
    facts = of.payment.settle_refund(of.refund, said, at) if of.refund else of.payment.settle(said, at)
    assert facts is not None
    attempt = of.attempt
    attempt.status = _SAID[type(said)]
    attempt.reason = getattr(said, "reason", None)
    final = isinstance(said, Approved | Declined) and attempt.claim is not None
    return Unit(
        payment=of.payment,
        expecting=of.payment.version,
        origin=origin(),
        facts=facts,
        journals=journals(facts),
        refund=of.refund,
        attempt=attempt,
        answer=answer(of.payment, of.refund, made=attempt.makes) if final else None,
        release=isinstance(said, NotSent),
        resolve_after_s=2.0 if isinstance(said, Unknown) else None,
    )


def refund_intent(of: Payment, amount_minor: int, *, under: Claim | None = None, within_s: float = 20.0) -> Unit:
    """A refund about to be sent."""
    expecting = of.version
    made, fact = of.refund(amount_minor, at=datetime.now(UTC), trace_id=TRACE)
    return Unit(
        payment=of,
        expecting=expecting,
        origin=origin(),
        facts=[fact],
        refund=made,
        attempt=_attempt(of, AttemptKind.REFUND, made.id, amount_minor, under, made),
        claim=under,
        deadline=later(within_s),
        resolve_after_s=10.0,
    )


def _attempt(
    of: Payment, kind: AttemptKind, object_id: str, amount_minor: int, under: Claim | None, refund: Refund | None = None
) -> Attempt:
    return Attempt(
        key=attempt_key(object_id, kind),
        merchant_id=of.merchant_id,
        payment_id=of.id,
        kind=kind,
        provider=of.provider,
        amount_minor=amount_minor,
        currency=of.currency,
        expires_at=datetime.now(UTC) + timedelta(seconds=8),
        refund_id=refund.id if refund else None,
        claim=under,
    )


async def captured(books: Any, amount_minor: int = 10_000) -> Payment:
    """A captured payment, on disk."""
    asked = intent(payment(amount_minor))
    await books.record(asked)
    await books.record(outcome(asked))
    return asked.payment
