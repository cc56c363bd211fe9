"""Endpoints, deliveries and tries to rows and back."""

from typing import Any

from sqlalchemy import Connection, update

from cleartill.adapters.postgres import tables
from cleartill.domain.webhook import Delivery, DeliveryStatus, Endpoint, Heard, Try, Why


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "merchant_id": endpoint.merchant_id,
        "id": endpoint.id,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "description": endpoint.description,
        "secret": endpoint.secret,
        "old_secret": endpoint.old_secret,
        "old_secret_until": endpoint.old_secret_until,
        "key_version": endpoint.key_version,
        "failing_since": endpoint.failing_since,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason,
        "deleted_at": endpoint.deleted_at,
        "seq": endpoint.seq,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def endpoint_from(row: Any) -> Endpoint:
    return Endpoint(
        id=row.id,
        merchant_id=row.merchant_id,
        url=row.url,
        event_types=tuple(row.event_types),
        description=row.description,
        secret=bytes(row.secret),
        key_version=row.key_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        old_secret=bytes(row.old_secret) if row.old_secret is not None else None,
        old_secret_until=row.old_secret_until,
        failing_since=row.failing_since,
        disabled_at=row.disabled_at,
        disabled_reason=Why(row.disabled_reason) if row.disabled_reason else None,
        deleted_at=row.deleted_at,
        seq=row.seq,
    )


def save(connection: Connection, endpoint: Endpoint) -> None:
    """As it is now, in a row that is locked."""
    e = tables.webhook_endpoints.c
    its = (e.merchant_id == endpoint.merchant_id, e.id == endpoint.id)
    connection.execute(update(tables.webhook_endpoints).where(*its).values(**endpoint_row(endpoint)))


def delivery_from(row: Any) -> Delivery:
    """While it is being sent it has no next time."""
    return Delivery(
        id=row.id,
        merchant_id=row.merchant_id,
        endpoint_id=row.endpoint_id,
        event_id=row.event_id,
        type=row.type,
        subject_id=row.subject_id,
        seq=row.seq,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        created_at=row.created_at,
        next_at=row.next_at if row.status == DeliveryStatus.PENDING and not row.claimed else None,
        delivered_at=row.delivered_at,
    )


def try_from(row: Any) -> Try:
    return Try(row.number, row.at, Heard(row.status, row.error, row.latency_ms, row.answer))
