"""Minutes: what each process counted and timed, a row for each minute, for pictures and for operators."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = depends_on = None

# A row is replaced every few seconds while its minute lasts: neither index holds what changes then, so that the new
# version stays in its page (HOT). Nothing here is touched by a payment.
UPGRADE = """
CREATE TABLE minutes (
    instance   text NOT NULL,
    number     bigint NOT NULL CHECK (number > 0),
    revision   integer NOT NULL CHECK (revision > 0),
    role       text NOT NULL,
    minute     timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    began_at   timestamptz NOT NULL,
    counts     jsonb NOT NULL,
    latencies  jsonb NOT NULL,
    gauges     jsonb NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance, number)
) WITH (fillfactor = 50);
CREATE INDEX minutes_in_time ON minutes (minute);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE minutes")
