"""Domain objects to rows and back. A row is what orjson can write: plain values, times, enums and dataclasses."""

from base64 import b64encode
from types import SimpleNamespace
from typing import Any
from zlib import crc32

from sqlalchemy import Row, SelectLabelStyle, Table

from cleartill.domain.attempt import Attempt, AttemptKind, AttemptStatus
from cleartill.domain.card import CardSummary, SealedCard
from cleartill.domain.events import Fact
from cleartill.domain.idempotency import Claim
from cleartill.domain.outcome import Declined
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.ports import Hop, Origin, Unit

SHARDS = 16
_AUDITED = ("id", "status", "provider", "currency", "amount_minor", "decline", "needs_review", "last4")


def shard(subject_id: str) -> int:
    """The hash partition of the outbox that a subject's events wait in."""
    return crc32(subject_id.encode()) % SHARDS


def changed_payment(payment: Payment, unit_id: str) -> dict[str, Any]:
    return {
        "status": payment.status,
        "amount_captured_minor": payment.amount_captured_minor,
        "amount_refunded_minor": payment.amount_refunded_minor,
        "refund_reserved_minor": payment.refund_reserved_minor,
        "refund_count": payment.refund_count,
        "provider_payment_id": payment.provider_payment_id,
        "bank_reference": payment.bank_reference,
        "card": payment.card,
        "decline": payment.decline,
        "needs_review": payment.needs_review,
        "lapses_at": payment.lapses_at,
        "action": payment.action,
        "attempt_count": payment.attempt_count,
        "provider": payment.provider,
        "version": payment.version,
        "seq": payment.seq,
        "unit_id": unit_id,
        "updated_at": payment.updated_at,
    }


def new_payment(payment: Payment, unit_id: str) -> dict[str, Any]:
    return {
        "merchant_id": payment.merchant_id,
        "id": payment.id,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "payment_method": payment.payment_method,
        "capture_method": payment.capture_method,
        "order_id": payment.order_id,
        "customer_email": payment.customer_email,
        "description": payment.description,
        "metadata": payment.metadata,
        "trace_id": payment.trace_id,
        "created_at": payment.created_at,
        **changed_payment(payment, unit_id),
    }


def changed_refund(refund: Refund) -> dict[str, Any]:
    return {
        "merchant_id": refund.merchant_id,
        "id": refund.id,
        "status": refund.status,
        "provider_refund_id": refund.provider_refund_id,
        "bank_reference": refund.bank_reference,
        "decline": refund.decline,
        "needs_review": refund.needs_review,
        "updated_at": refund.updated_at,
    }


def new_refund(refund: Refund) -> dict[str, Any]:
    return {
        "transaction_id": refund.payment_id,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "provider": refund.provider,
        "reason": refund.reason,
        "metadata": refund.metadata,
        "trace_id": refund.trace_id,
        "created_at": refund.created_at,
        **changed_refund(refund),
    }


def new_attempt(attempt: Attempt, unit: Unit) -> dict[str, Any]:
    return {
        "merchant_id": attempt.merchant_id,
        "key": attempt.key,
        "transaction_id": attempt.payment_id,
        "refund_id": attempt.refund_id,
        "kind": attempt.kind,
        "provider": attempt.provider,
        "amount_minor": attempt.amount_minor,
        "currency": attempt.currency,
        "status": attempt.status,
        "reverts_to": attempt.reverts_to,
        "claim": attempt.claim,
        "origin": unit.origin,
        "opened_by": unit.id,
        "expires_at": attempt.expires_at,
        "resolve_after_s": unit.resolve_after_s,
    }


def changed_attempt(attempt: Attempt, unit: Unit) -> dict[str, Any]:
    return {
        "merchant_id": attempt.merchant_id,
        "key": attempt.key,
        "status": attempt.status,
        "reason": attempt.reason,
        "provider_id": attempt.provider_id,
        "network_code": attempt.network_code,
        "unit_id": unit.id,
        "resolve_after_s": unit.resolve_after_s,
    }


def sealed_card(card: SealedCard) -> dict[str, Any]:
    return {
        "merchant_id": card.merchant_id,
        "token": card.token,
        "key_version": card.key_version,
        "sealed": b64encode(card.sealed).decode(),
        "summary": card.summary,
    }


def claim_row(unit: Unit, claim: Claim) -> dict[str, Any]:
    return {
        "merchant_id": claim.merchant_id,
        "scope": claim.scope,
        "key": claim.key,
        "fingerprint": claim.fingerprint,
        "unit_id": unit.id,
        "transaction_id": unit.payment.id,
        "refund_id": unit.refund.id if unit.refund else None,
        "attempt_key": unit.attempt.key if unit.attempt else None,
    }


def checked_card(payment: Payment) -> dict[str, Any]:
    assert payment.card is not None
    return {"merchant_id": payment.merchant_id, "fingerprint": payment.card.fingerprint}


def blocked_card(payment: Payment, decline: Declined) -> dict[str, Any]:
    return {**checked_card(payment), "decline": decline, "transaction_id": payment.id}


def audit_row(fact: Fact, origin: Origin, hops: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {
        "merchant_id": fact.merchant_id,
        "subject_id": fact.subject_id,
        "seq": fact.seq,
        "event": fact.type,
        "actor": origin.actor,
        "request_id": origin.request_id,
        "trace_id": origin.trace_id,
        "details": {"event_id": fact.id, **{name: fact.data[name] for name in _AUDITED if name in fact.data}},
        "hops": hops,
        "at": fact.at,
    }


def outbox_row(fact: Fact, origin: Origin) -> dict[str, Any]:
    return {
        "merchant_id": fact.merchant_id,
        "subject_id": fact.subject_id,
        "seq": fact.seq,
        "shard": shard(fact.subject_id),
        "type": fact.type,
        "event": fact.cloud_event(origin.traceparent),
    }


def hop_row(hop: Hop) -> dict[str, Any]:
    return {
        "name": hop.name,
        "start_ns": hop.start_ns,
        "ms": round((hop.end_ns - hop.start_ns) / 1e6, 3),
        "outcome": hop.outcome,
        "tags": hop.tags,
    }


def payment_from(row: Any) -> Payment:
    return Payment(
        id=row.id,
        merchant_id=row.merchant_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        provider=row.provider,
        status=PaymentStatus(row.status),
        trace_id=row.trace_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        payment_method=row.payment_method,
        capture_method=row.capture_method,
        amount_captured_minor=row.amount_captured_minor,
        amount_refunded_minor=row.amount_refunded_minor,
        refund_reserved_minor=row.refund_reserved_minor,
        refund_count=row.refund_count,
        card=CardSummary(**row.card) if row.card else None,
        decline=Declined(**row.decline) if row.decline else None,
        provider_payment_id=row.provider_payment_id,
        bank_reference=row.bank_reference,
        order_id=row.order_id,
        customer_email=row.customer_email,
        description=row.description,
        metadata=row.metadata,
        needs_review=row.needs_review,
        lapses_at=row.lapses_at,
        action=row.action,
        attempt_count=row.attempt_count,
        version=row.version,
        seq=row.seq,
    )


def refund_from(row: Any) -> Refund:
    return Refund(
        id=row.id,
        merchant_id=row.merchant_id,
        payment_id=row.transaction_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
        provider=row.provider,
        status=RefundStatus(row.status),
        trace_id=row.trace_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        reason=row.reason,
        metadata=row.metadata,
        decline=Declined(**row.decline) if row.decline else None,
        bank_reference=row.bank_reference,
        provider_refund_id=row.provider_refund_id,
        needs_review=row.needs_review,
    )


def attempt_from(row: Any) -> Attempt:
    return Attempt(
        key=row.key,
        merchant_id=row.merchant_id,
        payment_id=row.transaction_id,
        kind=AttemptKind(row.kind),
        provider=row.provider,
        amount_minor=row.amount_minor,
        currency=row.currency,
        expires_at=row.expires_at,
        refund_id=row.refund_id,
        reverts_to=PaymentStatus(row.reverts_to) if row.reverts_to else None,
        claim=Claim(**row.claim) if row.claim else None,
        status=AttemptStatus(row.status),
        reason=row.reason,
        provider_id=row.provider_id,
        network_code=row.network_code,
        tries=row.tries,
    )


def sealed_from(row: Any) -> SealedCard:
    return SealedCard(row.token, row.merchant_id, row.key_version, bytes(row.sealed), CardSummary(**row.summary))


LABELS = SelectLabelStyle.LABEL_STYLE_TABLENAME_PLUS_COL


def part(row: Row[Any], table: Table) -> SimpleNamespace:
    """The columns of one table out of a joined row."""
    prefix = f"{table.name}_"
    return SimpleNamespace(**{column.name: getattr(row, prefix + column.name) for column in table.columns})
