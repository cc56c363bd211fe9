"""How Alembic runs: online, one transaction for each migration, with a lock timeout so that a migration never queues
the service up (`adapters.postgres.online`)."""

import os
import time

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

from cleartill.adapters.postgres.engine import psycopg2_url
from cleartill.adapters.postgres.online import PATIENCE
from cleartill.adapters.postgres.tables import metadata

MIGRATION_LOCK = 7_216_503_118
TURN_TRIES, TURN_PAUSE_S = 12_000, 0.1


def run() -> None:
    url = context.config.attributes.get("url") or os.environ["DATABASE_URL"]
    engine = create_engine(psycopg2_url(url), poolclass=NullPool)  # a connection that ends gives the turn back
    with engine.connect() as connection:
        wait_for_turn(connection)
        for setting in PATIENCE:
            connection.execute(text(setting))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


def wait_for_turn(connection: Connection) -> None:
    """One migrates, the others ask again and again: a statement that waited would be an open transaction, for whose end
    an index made CONCURRENTLY waits."""
    for _ in range(TURN_TRIES):
        turn = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}).scalar()
        connection.commit()
        if turn:
            return
        time.sleep(TURN_PAUSE_S)
    raise TimeoutError("Somebody else has been migrating this database for 20 minutes")


run()
