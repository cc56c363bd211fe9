"""Fixtures all tests may use: real stores, started once per session from wheels and cleaned for each test.

Nothing here is started unless a test asks for it; tests of rooms that do no I/O run with sockets refused.
"""

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from pytest_socket import disable_socket, enable_socket
from sqlalchemy import make_url

from cleartill.adapters.postgres.migrate import upgrade
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port, scratch_dir
from cleartill.embedded.valkey import EmbeddedValkey

WITHOUT_IO = {"domain", "usecases", "api", "telemetry", "providers"}
# Only what is not empty: to truncate all the tables takes 60 ms, for each test.
_CLEAN = """
SET session_replication_role = replica;
DO $$
DECLARE name text; filled boolean;
BEGIN
    FOR name IN SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('alembic_version', 'outbox_leases', 'reconcile_lease', 'audit_chain') LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO filled;
        IF filled THEN EXECUTE 'TRUNCATE ' || name || ' CASCADE'; END IF;
    END LOOP;
END $$;
UPDATE outbox_leases SET owner = '', epoch = 0, until = '-infinity';
UPDATE reconcile_lease SET owner = '', run = 0, until = '-infinity', ended_at = now(), resume_from = NULL;
UPDATE audit_chain SET began_at = now(), owner = '', epoch = 0, until = '-infinity', number = 0, seal = NULL,
    sealed_at = NULL, anchored = 0, anchor_tried_at = '-infinity';
"""


def pytest_configure() -> None:
    """Eight thousand tests are no garbage: looking through them for some took a fifth of collecting them."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in WITHOUT_IO and item.get_closest_marker("enable_socket") is None:
        disable_socket(allow_unix_socket=True)


def pytest_runtest_teardown() -> None:
    enable_socket()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that a server of another user can read: pytest's own are closed to others."""
    with scratch_dir() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 18, migrated once, with no word from the disk: it does not outlive the tests."""
    with EmbeddedPostgres(scratch / "postgres", free_port(), durable=False, log=scratch / "postgres.log") as server:
        upgrade(server.url)
        _make_logins_cheap(server)
        yield server


def _make_logins_cheap(server: EmbeddedPostgres) -> None:
    """SCRAM's 4,096 rounds are half of what a connection costs, and the tests make ten thousand."""
    with closing(psycopg2.connect(server.admin_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET scram_iterations = 1")
        for url in (server.url, server.admin_url):
            made = make_url(url)
            cursor.execute(f'ALTER ROLE "{made.username}" PASSWORD %s', (made.password,))


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> str:
    """The migrated database, emptied."""
    connection = psycopg2.connect(postgres.admin_url, dbname="cleartill")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_CLEAN)
    finally:
        connection.close()
    return postgres.url


@pytest.fixture(scope="session")
def redis_url(scratch: Path) -> Iterator[str]:
    with EmbeddedValkey(scratch / "valkey", free_port()) as server:
        yield server.url


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(scratch: Path) -> Iterator[str]:
    with EmbeddedKafka(scratch / "kafka", free_port()) as broker:
        yield broker.bootstrap_servers
