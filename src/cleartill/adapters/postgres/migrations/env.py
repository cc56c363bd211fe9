"""How Alembic runs: online, one transaction, with a lock timeout so that a migration never queues the service up."""

import os

from alembic import context
from sqlalchemy import create_engine, text

from cleartill.adapters.postgres.engine import psycopg2_url
from cleartill.adapters.postgres.tables import metadata

MIGRATION_LOCK = 7_216_503_118


def run() -> None:
    url = context.config.attributes.get("url") or os.environ["DATABASE_URL"]
    engine = create_engine(psycopg2_url(url))
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("SET statement_timeout = '60s'"))
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
    engine.dispose()


run()
