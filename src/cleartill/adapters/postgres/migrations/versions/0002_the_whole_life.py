"""The whole life of a payment: holds that lapse, payers who must act, cards that are refused, keys that are used.

An update of a payment stays within its page (HOT) only while no indexed value changes: so what is looked for is indexed
by columns that stay as they are, or that only the few payments with a hold ever set.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = depends_on = None

UPGRADE = """
ALTER TABLE transactions
    ADD COLUMN lapses_at timestamptz,
    ADD COLUMN action jsonb,
    ADD COLUMN attempt_count integer NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    ADD COLUMN last4 text GENERATED ALWAYS AS (card ->> 'last4') STORED;
CREATE INDEX transactions_lapsing ON transactions (lapses_at) WHERE lapses_at IS NOT NULL;
CREATE INDEX transactions_of_order ON transactions (merchant_id, order_id, id) WHERE order_id IS NOT NULL;
CREATE INDEX transactions_of_card ON transactions (merchant_id, last4, id) WHERE last4 IS NOT NULL;

ALTER TABLE attempts
    ADD COLUMN reverts_to text CHECK (reverts_to IN ('pending', 'authorized')),
    DROP CONSTRAINT attempts_kind_known,
    ADD CONSTRAINT attempts_kind_known CHECK (kind IN ('authorize', 'capture', 'void', 'expire', 'refund'));
CREATE INDEX attempts_at_provider ON attempts (merchant_id, provider, provider_id)
    WHERE kind = 'authorize' AND provider_id IS NOT NULL;
CREATE INDEX attempts_by_key ON attempts (key);

CREATE INDEX refunds_of_payment ON refunds (merchant_id, transaction_id, id);

CREATE TABLE blocked_cards (
    merchant_id    text NOT NULL,
    fingerprint    text NOT NULL,
    decline        jsonb NOT NULL,
    transaction_id text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (merchant_id, fingerprint)
);

ALTER TABLE api_keys ADD COLUMN last_used_at timestamptz;
ALTER TABLE merchants ADD COLUMN seq integer NOT NULL DEFAULT 1 CHECK (seq > 0);

-- Whatever changes what a key may do, be it an operator's own UPDATE: every process that remembers it is told at once.
CREATE FUNCTION api_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('cleartill_api_keys', coalesce(OLD.prefix, NEW.prefix));
    RETURN NULL;
END $$;
CREATE TRIGGER api_keys_changed AFTER INSERT OR DELETE OR UPDATE OF prefix, digest, scopes, revoked_at ON api_keys
    FOR EACH ROW EXECUTE FUNCTION api_keys_changed();
"""

DOWNGRADE = """
DROP TRIGGER api_keys_changed ON api_keys;
DROP FUNCTION api_keys_changed();
ALTER TABLE merchants DROP COLUMN seq;
ALTER TABLE api_keys DROP COLUMN last_used_at;
DROP TABLE blocked_cards;
DROP INDEX refunds_of_payment;
DROP INDEX attempts_by_key;
DROP INDEX attempts_at_provider;
ALTER TABLE attempts
    DROP COLUMN reverts_to,
    DROP CONSTRAINT attempts_kind_known,
    ADD CONSTRAINT attempts_kind_known CHECK (kind IN ('authorize', 'capture', 'void', 'refund'));
ALTER TABLE transactions
    DROP COLUMN last4,
    DROP COLUMN attempt_count,
    DROP COLUMN action,
    DROP COLUMN lapses_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
