"""What the migrations made, for SQLAlchemy Core. A test holds these against a migrated database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cleartill.adapters.postgres.chain_tables import audit_chain as audit_chain
from cleartill.adapters.postgres.minute_tables import minutes as minutes
from cleartill.adapters.postgres.schema import TIME as _TIME
from cleartill.adapters.postgres.schema import metadata as metadata
from cleartill.adapters.postgres.schema import table as _table
from cleartill.adapters.postgres.session_tables import sessions as sessions
from cleartill.adapters.postgres.transfer_tables import balances as balances
from cleartill.adapters.postgres.transfer_tables import transfer_tries as transfer_tries
from cleartill.adapters.postgres.transfer_tables import transfers as transfers

merchants = _table("merchants", id=Text, name=Text, email=Text, settings=JSONB, created_at=_TIME, seq=Integer)

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
    last_used_at=_TIME,
)

blocked_cards = _table(
    "blocked_cards", merchant_id=Text, fingerprint=Text, decline=JSONB, transaction_id=Text, created_at=_TIME
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
    lapses_at=_TIME,
    action=JSONB,
    attempt_count=Integer,
    last4=Text,
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
    reverts_to=Text,
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
    seal_previous=LargeBinary,
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

webhook_endpoints = _table(
    "webhook_endpoints",
    merchant_id=Text,
    id=Text,
    url=Text,
    event_types=ARRAY(Text),
    description=Text,
    secret=LargeBinary,
    old_secret=LargeBinary,
    old_secret_until=_TIME,
    key_version=Integer,
    failing_since=_TIME,
    disabled_at=_TIME,
    disabled_reason=Text,
    deleted_at=_TIME,
    seq=Integer,
    created_at=_TIME,
    updated_at=_TIME,
)

webhook_wanted = _table("webhook_wanted", number=BigInteger, merchant_id=Text, subject_id=Text, seq=Integer)

webhook_deliveries = _table(
    "webhook_deliveries",
    merchant_id=Text,
    id=Text,
    endpoint_id=Text,
    event_id=Text,
    type=Text,
    subject_id=Text,
    seq=Integer,
    event=JSONB,
    status=Text,
    tries=Integer,
    attempts=Integer,
    epoch=BigInteger,
    claimed=Boolean,
    next_at=_TIME,
    created_at=_TIME,
    delivered_at=_TIME,
)

webhook_attempts = _table(
    "webhook_attempts",
    merchant_id=Text,
    delivery_id=Text,
    number=Integer,
    at=_TIME,
    status=SmallInteger,
    error=Text,
    latency_ms=Double,
    answer=Text,
)

reconcile_lease = _table(
    "reconcile_lease", one=SmallInteger, owner=Text, run=BigInteger, until=_TIME, ended_at=_TIME, resume_from=_TIME
)

statement_lines = _table(
    "statement_lines",
    run=BigInteger,
    provider=Text,
    reference=Text,
    kind=Text,
    done=Text,
    amount_minor=BigInteger,
    currency=Text,
    at=_TIME,
    times=Integer,
    place=BigInteger,
)

discrepancies = _table(
    "discrepancies",
    kind=Text,
    merchant_id=Text,
    reference=Text,
    id=Text,
    subject_id=Text,
    details=Text,
    run=BigInteger,
    last_run=BigInteger,
    found_at=_TIME,
    reviewed_at=_TIME,
    resolved_at=_TIME,
)

reconciliations = _table("reconciliations", run=BigInteger, clean=Boolean, report=JSONB, ended_at=_TIME)
