"""Reconciliation: whose turn it is, what a bank's book said, what was found, and the report of each run."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = depends_on = None

# A bank's book is in the order of time and ours in the order of names: so its lines are written down by name first, for
# the time of one run, and emptied after it. Nothing here is touched by a payment.
UPGRADE = """
CREATE TABLE reconcile_lease (
    one         smallint PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    owner       text NOT NULL DEFAULT '',
    run         bigint NOT NULL DEFAULT 0,
    until       timestamptz NOT NULL DEFAULT '-infinity',
    ended_at    timestamptz NOT NULL DEFAULT now(),
    resume_from timestamptz
);
INSERT INTO reconcile_lease DEFAULT VALUES;

CREATE TABLE statement_lines (
    run          bigint NOT NULL,
    provider     text NOT NULL,
    reference    text NOT NULL,
    kind         text NOT NULL,
    done         text NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    at           timestamptz NOT NULL,
    times        integer NOT NULL,
    place        bigint NOT NULL,
    PRIMARY KEY (run, provider, reference)
);

CREATE TABLE discrepancies (
    kind        text NOT NULL,
    merchant_id text NOT NULL,
    reference   text NOT NULL,
    id          text NOT NULL,
    subject_id  text,
    details     text NOT NULL,
    run         bigint NOT NULL,
    last_run    bigint NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    reviewed_at timestamptz,
    resolved_at timestamptz,
    PRIMARY KEY (kind, merchant_id, reference)
);

CREATE TABLE reconciliations (
    run      bigint PRIMARY KEY,
    clean    boolean NOT NULL,
    report   jsonb NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    for table in ("reconciliations", "discrepancies", "statement_lines", "reconcile_lease"):
        op.execute(f"DROP TABLE {table}")
