"""Migrations under a service that goes on: what each says to PostgreSQL, and what it does when a table is busy."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from secrets import token_hex

import psycopg2
import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from cleartill.adapters.postgres import migrate
from cleartill.embedded.postgres import EmbeddedPostgres
from real import rows

SCRIPTS: list[Script] = list(ScriptDirectory.from_config(migrate._config("postgresql://")).walk_revisions())[::-1]
BEFORE_ANY_ROW = {"0001", "0002", "0003", "0004", "0005"}
"""They came before there was a database to be migrated: 0002 rewrites `transactions` and makes indexes under a lock."""
STATEMENT = re.compile(r"(?:[^;$']|\$\$.*?\$\$|'[^']*')+", re.DOTALL)
MADE = re.compile(r"CREATE TABLE (\w+)")
SMALL = {"webhook_endpoints", "merchants", "api_keys", "outbox_leases", "reconcile_lease", "audit_chain"}
"""Tables that do not grow with the payments."""
QUICK = re.compile(
    r"ADD COLUMN (IF NOT EXISTS )?\w+ [\w\[\]]+( NOT NULL)?( DEFAULT ('[^']*'|\d+|true|false))?"
    r"|ADD CONSTRAINT .* NOT VALID|(VALIDATE|DROP) CONSTRAINT (IF EXISTS )?\w+|RENAME CONSTRAINT \w+ TO \w+"
    r"|(RE)?SET \(.*\)|(EN|DIS)ABLE TRIGGER \w+",
    re.DOTALL,
)
"""What an ALTER TABLE may do to a large table: neither rewrite nor read it under its lock."""


def said(script: Script) -> list[str]:
    """The statements of a migration, in order, without comments."""
    out = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out, "transactional_ddl": True}
    )
    with Operations.context(context), context.begin_transaction():
        script.module.upgrade()
    sql = re.sub(r"--[^\n]*", "", out.getvalue())
    return [" ".join(statement.split()) for statement in STATEMENT.findall(sql) if statement.strip()]


def faults(statements: list[str]) -> list[str]:
    """What would keep the payments of a running service waiting, or break the release that is still running."""
    new = set(MADE.findall(" ".join(statements))) | SMALL
    found = []
    for one in statements:
        index = re.match(r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON (\w+)", one)
        alter = re.match(r"ALTER TABLE (?:ONLY )?(\w+) (.*)", one)
        touched = re.match(r"(?:UPDATE|DELETE FROM|LOCK TABLE|TRUNCATE|CLUSTER|VACUUM FULL|REINDEX TABLE) (\w+)", one)
        if (index and index[1] not in new) or (touched and touched[1] not in new):
            found.append(one)
        elif alter and alter[1] not in new:
            parts = re.split(r", (?=ADD |DROP |ALTER |SET |VALIDATE )", alter[2])
            found += [one for part in parts if not QUICK.fullmatch(part)]
        elif re.match(r"DROP (TABLE|INDEX (?!CONCURRENTLY)|TYPE|VIEW)|ALTER TYPE|ALTER TABLE \w+ RENAME", one):
            found.append(one)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.revision for script in SCRIPTS])
def test_a_migration_leaves_the_service_alone(script: Script) -> None:
    if script.revision not in BEFORE_ANY_ROW:
        assert faults(said(script)) == []


def test_the_check_finds_what_it_is_for() -> None:
    [second] = [script for script in SCRIPTS if script.revision == "0002"]
    assert len(faults(said(second))) >= 6
    for bad in (
        "CREATE INDEX x ON outbox (created_at)",
        "CREATE UNIQUE INDEX x ON outbox (created_at)",
        "ALTER TABLE refunds ADD COLUMN at timestamptz DEFAULT now()",
        "ALTER TABLE refunds ADD COLUMN a text, ALTER COLUMN b SET NOT NULL",
        "ALTER TABLE refunds ADD COLUMN a text GENERATED ALWAYS AS (reason) STORED",
        "ALTER TABLE refunds ADD CONSTRAINT c CHECK (amount_minor < 10)",
        "ALTER TABLE refunds DROP COLUMN reason",
        "ALTER TABLE refunds RENAME COLUMN reason TO why",
        "UPDATE refunds SET reason = ''",
        "DROP TABLE refunds",
        "LOCK TABLE refunds",
    ):
        assert faults([bad]) == [bad], bad
    for good in (
        "CREATE INDEX CONCURRENTLY x ON outbox (created_at)",
        "ALTER TABLE refunds ADD COLUMN a bytea",
        "ALTER TABLE refunds ADD COLUMN a text NOT NULL DEFAULT 'none'",
        "ALTER TABLE refunds ADD CONSTRAINT c CHECK (amount_minor < 10) NOT VALID",
    ):
        assert faults([good]) == [], good
    assert faults(["CREATE TABLE fresh (a text)", "CREATE INDEX x ON fresh (a)"]) == []


# ── on a database that is in use ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def at_0005(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of its own, as the last migration before any row left it."""
    name = f"online_{token_hex(4)}"
    with closing(psycopg2.connect(postgres.admin_url)) as admin:
        admin.autocommit = True
        cursor = admin.cursor()
        cursor.execute(f"CREATE DATABASE {name} OWNER cleartill")
        url = postgres.url.rsplit("/", 1)[0] + f"/{name}"
        migrate.command.upgrade(migrate._config(url), "0005")
        yield url
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def version(url: str) -> str:
    return str(rows(url, "SELECT version_num FROM alembic_version")[0][0])


def test_a_table_in_use_is_not_queued_for_but_asked_for_again(at_0005: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment that has written and not committed; a second one must not have to wait behind the migration."""
    migrate.upgrade(at_0005)
    migrate.command.downgrade(migrate._config(at_0005), "0007")
    with closing(psycopg2.connect(at_0005)) as beside:
        beside.autocommit = True
        for sql in said(next(script for script in SCRIPTS if script.revision == "0008")):
            if "CONCURRENTLY" in sql:
                beside.cursor().execute(sql)
    again = threading.Event()
    monkeypatch.setattr(migrate, "PAUSE_S", 0.01)
    monkeypatch.setattr(migrate.log, "warning", lambda *_: again.set())
    with closing(psycopg2.connect(at_0005)) as payment, closing(psycopg2.connect(at_0005)) as second:
        payment.cursor().execute("LOCK TABLE audit_logs IN ROW EXCLUSIVE MODE")
        migrating = threading.Thread(target=migrate.upgrade, args=(at_0005,), daemon=True)
        migrating.start()
        assert again.wait(60)
        second.cursor().execute("SET lock_timeout = '5s'; LOCK TABLE audit_logs IN ROW EXCLUSIVE MODE")
        second.commit()
        assert version(at_0005) == "0007"
        payment.commit()
        migrating.join(60)
    assert version(at_0005) == SCRIPTS[-1].revision


def test_an_index_that_was_left_half_made_is_made_anew(at_0005: str) -> None:
    with closing(psycopg2.connect(at_0005)) as payment, closing(psycopg2.connect(at_0005)) as beside:
        payment.cursor().execute("LOCK TABLE outbox IN ROW EXCLUSIVE MODE")
        beside.autocommit = True
        beside.cursor().execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            beside.cursor().execute("CREATE INDEX CONCURRENTLY outbox_published ON outbox (shard)")
        payment.rollback()
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    assert rows(at_0005, invalid) == [("outbox_published",)]
    migrate.upgrade(at_0005)
    assert rows(at_0005, invalid) == []
    made = rows(at_0005, "SELECT indexdef FROM pg_indexes WHERE indexname = 'outbox_published'")
    assert "published_at IS NOT NULL" in str(made)
