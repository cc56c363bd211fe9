"""Sessions of the console, by the HMAC of their token.

A session's use is written into its row once a minute: no index holds `used_at`, so that the new version stays in its
page (HOT). The release before this one knows nothing of the table, and needs nothing of it.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = depends_on = None

UPGRADE = """
CREATE TABLE sessions (
    digest      text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    id          text NOT NULL,
    merchant_id text NOT NULL,
    key_id      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    used_at     timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX sessions_by_age ON sessions (expires_at);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE sessions")
