"""What each try of a transfer was made of, for its timeline.

A payment's hops stand beside the fact they led to; most tries of a transfer lead to none. The release before this one
writes no such rows, and its transfers' timelines stay as short as they were.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = depends_on = None

UPGRADE = """
CREATE TABLE transfer_tries (
    merchant_id text    NOT NULL,
    transfer_id text    NOT NULL,
    version     integer NOT NULL CHECK (version > 0),
    hops        jsonb   NOT NULL CHECK (jsonb_typeof(hops) = 'array'),
    PRIMARY KEY (merchant_id, transfer_id, version)
);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE transfer_tries")
