"""What the migrations made, for SQLAlchemy Core. A test holds these against a migrated database."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_TIME = DateTime(timezone=True)


def _table(name: str, /, **columns: Any) -> Table:
    return Table(name, metadata, *(Column(column, kind) for column, kind in columns.items()))


merchants = _table("merchants", id=Text, name=Text, email=Text, settings=JSONB, created_at=_TIME)

api_keys = _table(
    "api_keys",
    merchant_id=Text,
    id=Text,
    prefix=Text,
    digest=Text,
    scopes=ARRAY(Text),
    name=Text,
    created_at=_TIME,
    revoked_at=_TIME,
)

card_vault = _table(
    "card_vault",
    merchant_id=Text,
    token=Text,
    key_version=Integer,
    sealed=LargeBinary,
    summary=JSONB,
    created_at=_TIME,
)

transactions = _table(
    "transactions",
    merchant_id=Text,
    id=Text,
    status=Text,
    amount_minor=BigInteger,
    currency=Text,
    amount_captured_minor=BigInteger,
    amount_refunded_minor=BigInteger,
    refund_reserved_minor=BigInteger,
    refund_count=Integer,
    payment_method=Text,
    capture_method=Text,
    provider=Text,
    provider_payment_id=Text,
    bank_reference=Text,
    card=JSONB,
    decline=JSONB,
    order_id=JSONB,
    customer_email=Text,
    description=Text,
    metadata=JSONB,
    needs_review=Text,
    trace_id=Text,
    version=Integer,
    seq=Integer,
    unit_id=Text,
    created_at=_TIME,
    updated_at=_TIME,
)

refunds = _table(
    "refunds",
    merchant_id=Text,
    id=Text,
    transaction_id=Text,
    status=Text,
    amount_minor=BigInteger,
    currency=Text,
    provider=Text,
    provider_refund_id=Text,
    bank_reference=Text,
    reason=Text,
    decline=JSONB,
    metadata=JSONB,
    needs_review=Text,
    trace_id=Text,
    created_at=_TIME,
    updated_at=_TIME,
)

idempotency_keys = _table(
    "idempotency_keys",
    merchant_id=Text,
    scope=Text,
    key=Text,
    fingerprint=Text,
    unit_id=Text,
    transaction_id=Text,
    refund_id=Text,
    attempt_key=Text,
    answer_status=SmallInteger,
    answer_body=Text,
    created_at=_TIME,
    answered_at=_TIME,
)

attempts = _table(
    "attempts",
    merchant_id=Text,
    key=Text,
    transaction_id=Text,
    refund_id=Text,
    kind=Text,
    provider=Text,
    amount_minor=BigInteger,
    currency=Text,
    status=Text,
    reason=Text,
    provider_id=Text,
    network_code=Text,
    tries=Integer,
    claim=JSONB,
    origin=JSONB,
    opened_by=Text,
    settled_by=Text,
    expires_at=_TIME,
    resolve_at=_TIME,
    created_at=_TIME,
    settled_at=_TIME,
)

ledger_entries = _table(
    "ledger_entries",
    merchant_id=Text,
    fact_id=Text,
    account=Text,
    currency=Text,
    amount_minor=BigInteger,
    transaction_id=Text,
    created_at=_TIME,
)

ledger_pending = _table("ledger_pending", merchant_id=Text, account=Text, currency=Text, amount_minor=BigInteger)

audit_logs = _table(
    "audit_logs",
    merchant_id=Text,
    subject_id=Text,
    seq=Integer,
    event=Text,
    actor=Text,
    request_id=Text,
    trace_id=Text,
    details=JSONB,
    hops=JSONB,
    at=_TIME,
    recorded_at=_TIME,
    seal_number=BigInteger,
    seal=LargeBinary,
)

outbox = _table(
    "outbox",
    merchant_id=Text,
    subject_id=Text,
    seq=Integer,
    shard=SmallInteger,
    type=Text,
    event=JSONB,
    created_at=_TIME,
    published_at=_TIME,
    kafka_partition=Integer,
    kafka_offset=BigInteger,
)

outbox_leases = _table("outbox_leases", shard=SmallInteger, owner=Text, epoch=BigInteger, until=_TIME)
