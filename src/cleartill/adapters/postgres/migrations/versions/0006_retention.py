"""Retention: what is old is found by its age.

None of these makes a payment's own updates dearer. A key is found by when it was made, which never changes: an index
over `answered_at` would end the in-page update (HOT) that writes its answer. An event and a delivery come into theirs
when they are published and settled, which writes to all of their indexes already.

The tables are those that every payment writes to: the indexes are made beside the writers.
"""

from alembic import op

from cleartill.adapters.postgres.online import index

revision = "0006"
down_revision = "0005"
branch_labels = depends_on = None


def upgrade() -> None:
    index("idempotency_keys_by_age", "idempotency_keys (created_at) WHERE scope NOT LIKE 'callback:%'")
    index("callbacks_by_age", "idempotency_keys (created_at) WHERE scope LIKE 'callback:%'")
    index("outbox_published", "outbox (published_at) WHERE published_at IS NOT NULL")
    index("webhook_deliveries_at_rest", "webhook_deliveries (next_at) WHERE status <> 'pending'")


def downgrade() -> None:
    for name in ("webhook_deliveries_at_rest", "outbox_published", "callbacks_by_age", "idempotency_keys_by_age"):
        op.execute(f"DROP INDEX {name}")
