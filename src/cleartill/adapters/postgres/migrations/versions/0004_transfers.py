"""Money that waits: balances that entries are rolled up into, and transfers with their workers' leases."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = depends_on = None

# The index by id is a hash, so that no list of a merchant's can be read by walking down everybody's.
# A transfer is looked for by its worker while `next_at` says so, which few rows have at a time; the index of what is
# due holds no others. What waits for its roll-up is deleted soon, so the dead rows must go soon, too: a plain read of a
# balance walks past them.
UPGRADE = """
CREATE TABLE balances (
    merchant_id  text NOT NULL,
    account      text NOT NULL,
    currency     text NOT NULL,
    amount_minor bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, account, currency)
) WITH (fillfactor = 70);

ALTER TABLE ledger_pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE transfers (
    merchant_id    text NOT NULL,
    id             text NOT NULL,
    kind           text NOT NULL,
    status         text NOT NULL,
    amount_minor   bigint NOT NULL,
    currency       text NOT NULL,
    provider       text NOT NULL,
    description    text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    claim          jsonb,
    origin         jsonb NOT NULL,
    round          integer NOT NULL,
    attempts       integer NOT NULL,
    faults         integer NOT NULL,
    unsure         boolean NOT NULL,
    accepted_at    timestamptz,
    bank_reference text,
    error          jsonb,
    needs_review   text,
    dead           text,
    next_at        timestamptz,
    lease_owner    text,
    lease_epoch    bigint NOT NULL DEFAULT 0,
    lease_until    timestamptz,
    trace_id       text NOT NULL,
    version        integer NOT NULL,
    seq            integer NOT NULL,
    unit_id        text NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT transfers_kind_known CHECK (kind IN ('deposit', 'withdrawal')),
    CONSTRAINT transfers_kind_of_id CHECK (left(id, 4) = CASE kind WHEN 'deposit' THEN 'dep_' ELSE 'wdr_' END),
    CONSTRAINT transfers_state_known CHECK (status IN ('pending', 'processing', 'succeeded', 'failed', 'in_doubt')),
    CONSTRAINT transfers_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT transfers_currency_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT transfers_counts CHECK (round > 0 AND attempts >= 0 AND faults >= 0 AND version > 0 AND seq > 0),
    CONSTRAINT transfers_final_rest CHECK (status NOT IN ('succeeded', 'failed') OR next_at IS NULL),
    CONSTRAINT transfers_dead_rest CHECK (dead IS NULL OR (next_at IS NULL AND status IN ('failed', 'in_doubt'))),
    CONSTRAINT transfers_failed_why CHECK ((status = 'failed') = (error IS NOT NULL)),
    CONSTRAINT transfers_leased_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX transfers_due ON transfers (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX transfers_dead ON transfers (id) WHERE dead IS NOT NULL;
CREATE INDEX transfers_by_id ON transfers USING hash (id);
"""

DOWNGRADE = """
DROP TABLE transfers;
ALTER TABLE ledger_pending RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
DROP TABLE balances;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
