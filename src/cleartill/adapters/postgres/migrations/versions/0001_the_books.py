"""The books: merchants and keys, cards, payments, refunds, attempts, idempotency, ledger, audit, outbox."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Keys and unique constraints carry merchant_id, so that another merchant's row cannot be read by mistake and every
# table can be distributed by merchant. CHECKs are the last line: the domain and the writer decide before them.
UPGRADE = """
CREATE TABLE merchants (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL,
    settings    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    CONSTRAINT merchants_email_one_account UNIQUE (email)
);

CREATE TABLE api_keys (
    merchant_id text NOT NULL REFERENCES merchants (id),
    id          text NOT NULL,
    prefix      text NOT NULL,
    digest      text NOT NULL,
    scopes      text[] NOT NULL,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT api_keys_found_by_prefix UNIQUE (prefix),
    CONSTRAINT api_keys_digest_is_sha256 CHECK (digest ~ '^[0-9a-f]{64}$')
);

CREATE TABLE card_vault (
    merchant_id text NOT NULL,
    token       text NOT NULL,
    key_version integer NOT NULL CHECK (key_version > 0),
    sealed      bytea NOT NULL,
    summary     jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, token)
);
CREATE INDEX card_vault_to_rewrap ON card_vault (key_version);

CREATE TABLE transactions (
    merchant_id           text NOT NULL,
    id                    text NOT NULL,
    status                text NOT NULL,
    amount_minor          bigint NOT NULL,
    currency              text NOT NULL,
    amount_captured_minor bigint NOT NULL DEFAULT 0,
    amount_refunded_minor bigint NOT NULL DEFAULT 0,
    refund_reserved_minor bigint NOT NULL DEFAULT 0,
    refund_count          integer NOT NULL DEFAULT 0,
    payment_method        text NOT NULL,
    capture_method        text NOT NULL,
    provider              text NOT NULL,
    provider_payment_id   text,
    bank_reference        text,
    card                  jsonb,
    decline               jsonb,
    order_id              jsonb,
    customer_email        text,
    description           text,
    metadata              jsonb NOT NULL DEFAULT '{}',
    needs_review          text,
    trace_id              text NOT NULL,
    version               integer NOT NULL,
    seq                   integer NOT NULL,
    unit_id               text NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT transactions_state_known CHECK (status IN ('pending', 'processing', 'requires_action', 'authorized',
        'captured', 'partially_refunded', 'refunded', 'failed', 'voided', 'expired', 'in_doubt')),
    CONSTRAINT transactions_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT transactions_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT transactions_capture_method CHECK (capture_method IN ('automatic', 'manual')),
    CONSTRAINT transactions_capture_cap CHECK (amount_captured_minor BETWEEN 0 AND amount_minor),
    CONSTRAINT transactions_refund_cap CHECK (amount_refunded_minor >= 0 AND refund_reserved_minor >= 0
        AND amount_refunded_minor + refund_reserved_minor <= amount_captured_minor),
    CONSTRAINT transactions_counts CHECK (version > 0 AND seq > 0 AND refund_count >= 0)
) WITH (fillfactor = 80);

CREATE TABLE refunds (
    merchant_id        text NOT NULL,
    id                 text NOT NULL,
    transaction_id     text NOT NULL,
    status             text NOT NULL,
    amount_minor       bigint NOT NULL,
    currency           text NOT NULL,
    provider           text NOT NULL,
    provider_refund_id text,
    bank_reference     text,
    reason             text,
    decline            jsonb,
    metadata           jsonb NOT NULL DEFAULT '{}',
    needs_review       text,
    trace_id           text NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    FOREIGN KEY (merchant_id, transaction_id) REFERENCES transactions (merchant_id, id),
    CONSTRAINT refunds_state_known CHECK (status IN ('processing', 'succeeded', 'failed', 'in_doubt')),
    CONSTRAINT refunds_amount_positive CHECK (amount_minor > 0)
) WITH (fillfactor = 80);

CREATE TABLE idempotency_keys (
    merchant_id    text NOT NULL,
    scope          text NOT NULL,
    key            text NOT NULL,
    fingerprint    text NOT NULL,
    unit_id        text NOT NULL,
    transaction_id text NOT NULL,
    refund_id      text,
    attempt_key    text,
    answer_status  smallint,
    answer_body    text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    answered_at    timestamptz,
    PRIMARY KEY (merchant_id, scope, key),
    CONSTRAINT idempotency_keys_printable CHECK (key ~ '^[ -~]{1,255}$'),
    CONSTRAINT idempotency_keys_answer_whole CHECK ((answer_status IS NULL) = (answer_body IS NULL)
        AND (answer_status IS NULL) = (answered_at IS NULL))
) WITH (fillfactor = 70);

CREATE TABLE attempts (
    merchant_id    text NOT NULL,
    key            text NOT NULL,
    transaction_id text NOT NULL,
    refund_id      text,
    kind           text NOT NULL,
    provider       text NOT NULL,
    amount_minor   bigint NOT NULL,
    currency       text NOT NULL,
    status         text NOT NULL,
    reason         text,
    provider_id    text,
    network_code   text,
    tries          integer NOT NULL DEFAULT 0,
    claim          jsonb,
    origin         jsonb NOT NULL,
    opened_by      text NOT NULL,
    settled_by     text,
    expires_at     timestamptz NOT NULL,
    resolve_at     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    settled_at     timestamptz,
    PRIMARY KEY (merchant_id, key),
    FOREIGN KEY (merchant_id, transaction_id) REFERENCES transactions (merchant_id, id),
    CONSTRAINT attempts_kind_known CHECK (kind IN ('authorize', 'capture', 'void', 'refund')),
    CONSTRAINT attempts_state_known CHECK (status IN ('open', 'approved', 'declined', 'not_sent')),
    CONSTRAINT attempts_settled_whole CHECK ((status = 'open') = (settled_by IS NULL)
        AND (status = 'open') = (settled_at IS NULL)),
    CONSTRAINT attempts_amount_positive CHECK (amount_minor > 0)
) WITH (fillfactor = 70);
CREATE INDEX attempts_of_payment ON attempts (merchant_id, transaction_id);
CREATE INDEX attempts_due ON attempts (resolve_at) WHERE status = 'open';

CREATE TABLE ledger_entries (
    merchant_id    text NOT NULL,
    fact_id        text NOT NULL,
    account        text NOT NULL,
    currency       text NOT NULL,
    amount_minor   bigint NOT NULL,
    transaction_id text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, fact_id, account),
    CONSTRAINT ledger_entries_move_something CHECK (amount_minor <> 0)
);

-- Entries not yet rolled up into a balance. Append here never waits for a hot row.
CREATE TABLE ledger_pending (
    merchant_id  text NOT NULL,
    account      text NOT NULL,
    currency     text NOT NULL,
    amount_minor bigint NOT NULL
);
CREATE INDEX ledger_pending_of_account ON ledger_pending (merchant_id, account, currency);

CREATE TABLE audit_logs (
    merchant_id text NOT NULL,
    subject_id  text NOT NULL,
    seq         integer NOT NULL,
    event       text NOT NULL,
    actor       text NOT NULL,
    request_id  text NOT NULL,
    trace_id    text NOT NULL,
    details     jsonb NOT NULL,
    hops        jsonb,
    at          timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    seal_number bigint,
    seal        bytea,
    PRIMARY KEY (merchant_id, subject_id, seq)
);

CREATE FUNCTION audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seal_number IS NULL AND OLD.seal IS NULL
        AND NEW.seal_number IS NOT NULL AND NEW.seal IS NOT NULL
        AND to_jsonb(NEW) - 'seal_number' - 'seal' = to_jsonb(OLD) - 'seal_number' - 'seal' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION audit_logs_append_only();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_append_only();

CREATE TABLE outbox (
    merchant_id     text NOT NULL,
    subject_id      text NOT NULL,
    seq             integer NOT NULL,
    shard           smallint NOT NULL,
    type            text NOT NULL,
    event           jsonb NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    published_at    timestamptz,
    kafka_partition integer,
    kafka_offset    bigint,
    PRIMARY KEY (merchant_id, subject_id, seq),
    CONSTRAINT outbox_shard_range CHECK (shard BETWEEN 0 AND 15)
) WITH (fillfactor = 80);
CREATE INDEX outbox_unpublished ON outbox (shard, subject_id, seq) WHERE published_at IS NULL;

CREATE TABLE outbox_leases (
    shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 15),
    owner text NOT NULL DEFAULT '',
    epoch bigint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO outbox_leases (shard) SELECT generate_series(0, 15);
"""

TABLES = (
    "outbox_leases outbox audit_logs ledger_pending ledger_entries attempts idempotency_keys refunds transactions "
    "card_vault api_keys merchants"
)


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    for table in TABLES.split():
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION audit_logs_append_only()")
