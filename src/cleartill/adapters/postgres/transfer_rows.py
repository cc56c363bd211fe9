"""Transfers to rows and back."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import null

from cleartill.domain.idempotency import Claim
from cleartill.domain.transfer import Transfer, TransferError, TransferKind, TransferStatus
from cleartill.ports import Turn


def changed_transfer(turn: Turn) -> dict[str, Any]:
    transfer = turn.transfer
    return {
        "status": transfer.status,
        "round": transfer.round,
        "attempts": transfer.attempts,
        "faults": transfer.faults,
        "unsure": transfer.unsure,
        "accepted_at": transfer.accepted_at,
        "bank_reference": transfer.bank_reference,
        "error": asdict(transfer.error) if transfer.error else null(),
        "needs_review": transfer.needs_review,
        "dead": transfer.dead,
        "version": transfer.version,
        "seq": transfer.seq,
        "unit_id": turn.id,
        "updated_at": transfer.updated_at,
    }


def new_transfer(turn: Turn) -> dict[str, Any]:
    transfer = turn.transfer
    return {
        "merchant_id": transfer.merchant_id,
        "id": transfer.id,
        "kind": transfer.kind,
        "amount_minor": transfer.amount_minor,
        "currency": transfer.currency,
        "provider": transfer.provider,
        "description": transfer.description,
        "metadata": transfer.metadata,
        "claim": asdict(transfer.claim) if transfer.claim else null(),
        "origin": asdict(turn.origin),
        "trace_id": transfer.trace_id,
        "created_at": transfer.created_at,
        **changed_transfer(turn),
    }


def transfer_from(row: Any) -> Transfer:
    return Transfer(
        id=row.id,
        merchant_id=row.merchant_id,
        kind=TransferKind(row.kind),
        amount_minor=row.amount_minor,
        currency=row.currency,
        provider=row.provider,
        status=TransferStatus(row.status),
        trace_id=row.trace_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        description=row.description,
        metadata=row.metadata,
        claim=Claim(**row.claim) if row.claim else None,
        round=row.round,
        attempts=row.attempts,
        faults=row.faults,
        unsure=row.unsure,
        accepted_at=row.accepted_at,
        bank_reference=row.bank_reference,
        error=TransferError(**row.error) if row.error else None,
        needs_review=row.needs_review,
        dead=row.dead,
        version=row.version,
        seq=row.seq,
    )
