"""What a migration may do to tables that are written to meanwhile, by the release before this one.

Expand, then contract: a migration adds what the new code needs and takes away nothing that the old code uses; what
nobody needs any more goes with a later release. A lock that keeps writers out is asked for in its own short
transaction, waited for no longer than a writer itself would wait (`PATIENCE`), and asked for again later
(`migrate.upgrade`): a statement that waits for such a lock keeps everybody behind it waiting too. Indexes on tables
that exist are made beside the writers (`index`).
"""

from alembic import op
from sqlalchemy import text

PATIENCE = "SET lock_timeout = '200ms'", "SET statement_timeout = '60s'"
BESIDE = "SET lock_timeout = '10min'", "SET statement_timeout = '2h'"
"""CONCURRENTLY waits for older transactions to end, and nobody waits for it."""
HALF_MADE = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def index(name: str, of: str, *, unique: bool = False) -> None:
    """An index of a table that may be large: `of` is what follows ON. Writers go on while it is made. It cannot be part
    of a transaction, so it stands first in its migration; there already (made by hand, or by a try that broke off), it
    stays, unless it was left half made."""
    context = op.get_context()
    with context.autocommit_block():
        _say(BESIDE)
        if not context.as_sql and op.get_bind().execute(HALF_MADE, {"name": name}).first():
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY IF NOT EXISTS {name} ON {of}")
        _say(PATIENCE)


def _say(settings: tuple[str, ...]) -> None:
    for setting in settings:
        op.execute(setting)


def check(table: str, name: str, condition: str) -> None:
    """A rule of a table that may be large, in place of the one of that name if there is one: rows are looked through
    beside the writers, and at no time is the table without a rule. Not part of a transaction, like `index`."""
    context = op.get_context()
    with context.autocommit_block():
        _say(PATIENCE)
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}_anew")  # left by a try that broke off
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name}_anew CHECK ({condition}) NOT VALID")
        _say(BESIDE)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}_anew")
        _say(PATIENCE)
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {name}_anew TO {name}")
