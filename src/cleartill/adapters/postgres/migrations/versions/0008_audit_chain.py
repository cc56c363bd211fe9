"""The audit chain: rows are sealed once, in one line; whose turn it is, and how far the chain goes.

The release before this one goes on beside it: it writes rows without a seal, as before. Rows that were written earlier
are sealed by the sealer like new ones, the oldest first.

Every payment writes to the table: both indexes are made beside the writers. The first holds what is not sealed yet,
some seconds' worth of rows; an insert goes to its right end.
"""

from alembic import op

from cleartill.adapters.postgres.online import index

revision = "0008"
down_revision = "0007"
branch_labels = depends_on = None

UPGRADE = """
ALTER TABLE audit_logs ADD COLUMN seal_previous bytea;

CREATE TABLE audit_chain (
    one             smallint PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    chain           text NOT NULL DEFAULT 'chn_' || left(replace(gen_random_uuid()::text, '-', ''), 26),
    began_at        timestamptz NOT NULL DEFAULT now(),
    owner           text NOT NULL DEFAULT '',
    epoch           bigint NOT NULL DEFAULT 0,
    until           timestamptz NOT NULL DEFAULT '-infinity',
    number          bigint NOT NULL DEFAULT 0 CHECK (number >= 0),
    seal            bytea CHECK ((seal IS NULL) = (number = 0)),
    sealed_at       timestamptz,
    anchored        bigint NOT NULL DEFAULT 0,
    anchor_tried_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 20);
INSERT INTO audit_chain DEFAULT VALUES;

-- Byte for byte (*=): JSON that is equal, but not the same, is another row.
CREATE OR REPLACE FUNCTION audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE sealed audit_logs;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        sealed := OLD;
        sealed.seal_number := NEW.seal_number;
        sealed.seal := NEW.seal;
        sealed.seal_previous := NEW.seal_previous;
        IF OLD.seal_number IS NULL AND OLD.seal IS NULL AND OLD.seal_previous IS NULL
            AND NEW.seal_number > 0 AND octet_length(NEW.seal) = 32 AND octet_length(NEW.seal_previous) = 32
            AND NEW *= sealed THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'restrict_violation';
END $$;
"""

# As 0001 made it.
DOWNGRADE = """
CREATE OR REPLACE FUNCTION audit_logs_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seal_number IS NULL AND OLD.seal IS NULL
        AND NEW.seal_number IS NOT NULL AND NEW.seal IS NOT NULL
        AND to_jsonb(NEW) - 'seal_number' - 'seal' = to_jsonb(OLD) - 'seal_number' - 'seal' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit_logs is append-only' USING ERRCODE = 'restrict_violation';
END $$;
DROP TABLE audit_chain;
DROP INDEX audit_logs_chain;
DROP INDEX audit_logs_unsealed;
ALTER TABLE audit_logs DROP COLUMN seal_previous;
ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only;
UPDATE audit_logs SET seal_number = NULL, seal = NULL WHERE seal_number IS NOT NULL;
ALTER TABLE audit_logs ENABLE TRIGGER audit_logs_append_only;
"""


def upgrade() -> None:
    index("audit_logs_unsealed", "audit_logs (recorded_at) WHERE seal_number IS NULL")
    index("audit_logs_chain", "audit_logs (seal_number) WHERE seal_number IS NOT NULL", unique=True)
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
