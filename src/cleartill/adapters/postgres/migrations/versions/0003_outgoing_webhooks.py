"""Outgoing webhooks: where merchants want to hear of events, what is on its way there, and how each try went.

Events are made into deliveries by a worker. What it has to do is noted by a trigger, together with the event itself,
and only if an endpoint of the merchant wants it: whoever has no endpoint pays for a look into a small index, the outbox
gets no further column, index or update, and nothing depends on Kafka or on the order in which numbers are committed. A
worker takes a note by deleting it in the transaction that makes the deliveries: each event is made into them once.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = depends_on = None

UPGRADE = """
CREATE TABLE webhook_endpoints (
    merchant_id      text NOT NULL REFERENCES merchants (id),
    id               text NOT NULL,
    url              text NOT NULL,
    event_types      text[] NOT NULL,
    description      text,
    secret           bytea NOT NULL,
    old_secret       bytea,
    old_secret_until timestamptz,
    key_version      integer NOT NULL CHECK (key_version > 0),
    failing_since    timestamptz,
    disabled_at      timestamptz,
    disabled_reason  text,
    deleted_at       timestamptz,
    seq              integer NOT NULL CHECK (seq > 0),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT webhook_endpoints_disabled_whole CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
) WITH (fillfactor = 70);

CREATE TABLE webhook_wanted (
    number      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant_id text NOT NULL,
    subject_id  text NOT NULL,
    seq         integer NOT NULL
);

CREATE TABLE webhook_deliveries (
    merchant_id  text NOT NULL,
    id           text NOT NULL,
    endpoint_id  text NOT NULL,
    event_id     text NOT NULL,
    type         text NOT NULL,
    subject_id   text NOT NULL,
    seq          integer NOT NULL,
    event        jsonb NOT NULL,
    status       text NOT NULL DEFAULT 'pending',
    tries        integer NOT NULL DEFAULT 0,
    attempts     integer NOT NULL DEFAULT 0,
    epoch        bigint NOT NULL DEFAULT 0,
    claimed      boolean NOT NULL DEFAULT false,
    next_at      timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    PRIMARY KEY (merchant_id, id),
    CONSTRAINT webhook_deliveries_once UNIQUE (merchant_id, endpoint_id, event_id),
    FOREIGN KEY (merchant_id, endpoint_id) REFERENCES webhook_endpoints (merchant_id, id),
    CONSTRAINT webhook_deliveries_state_known CHECK (status IN ('pending', 'delivered', 'failed')),
    CONSTRAINT webhook_deliveries_delivered_whole CHECK ((status = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT webhook_deliveries_counts CHECK (tries BETWEEN 0 AND attempts)
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (merchant_id, endpoint_id, next_at)
    WHERE status = 'pending';

CREATE TABLE webhook_attempts (
    merchant_id text NOT NULL,
    delivery_id text NOT NULL,
    number      integer NOT NULL CHECK (number > 0),
    at          timestamptz NOT NULL,
    status      smallint,
    error       text,
    latency_ms  double precision NOT NULL,
    answer      text NOT NULL,
    PRIMARY KEY (merchant_id, delivery_id, number),
    FOREIGN KEY (merchant_id, delivery_id) REFERENCES webhook_deliveries (merchant_id, id) ON DELETE CASCADE
);

CREATE FUNCTION outbox_wanted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_wanted (merchant_id, subject_id, seq)
    SELECT m.merchant_id, m.subject_id, m.seq FROM made m
    WHERE EXISTS (SELECT FROM webhook_endpoints e
        WHERE e.merchant_id = m.merchant_id AND e.disabled_at IS NULL AND e.deleted_at IS NULL
            AND (e.event_types = '{}' OR m.type = ANY (e.event_types)));
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_wanted AFTER INSERT ON outbox REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_wanted();
"""

DOWNGRADE = """
DROP TRIGGER outbox_wanted ON outbox;
DROP FUNCTION outbox_wanted();
DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_wanted;
DROP TABLE webhook_endpoints;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
