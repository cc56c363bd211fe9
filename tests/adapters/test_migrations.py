"""Migrations: up, down and up again on a database with data, several at once; `tables` says what they made."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from cleartill.adapters.postgres import migrate
from cleartill.adapters.postgres.engine import (
    MissingRight,
    UnsafeDurability,
    check_durability,
    check_rights,
    psycopg2_url,
)
from cleartill.adapters.postgres.tables import metadata
from cleartill.embedded.postgres import EmbeddedPostgres
from real import captured, open_room, rows


@pytest.fixture
def fresh(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An empty database of its own."""
    with closing(psycopg2.connect(postgres.admin_url)) as admin:
        admin.autocommit = True
        cursor = admin.cursor()
        cursor.execute("CREATE DATABASE migrations OWNER cleartill")
        yield postgres.url.rsplit("/", 1)[0] + "/migrations"
        cursor.execute("DROP DATABASE migrations WITH (FORCE)")


def tables_of(url: str) -> set[str]:
    found = rows(url, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    return {name for (name,) in found}


async def test_up_down_and_up_on_a_database_with_data(fresh: str) -> None:
    migrate.upgrade(fresh)
    async with open_room(fresh) as room:
        await captured(room.books)
    migrate.upgrade(fresh)
    assert rows(fresh, "SELECT count(*) FROM transactions") == [(1,)]

    migrate.reset(fresh)

    assert tables_of(fresh) == {*metadata.tables, "alembic_version"}
    assert rows(fresh, "SELECT count(*) FROM transactions") == [(0,)]
    async with open_room(fresh) as room:
        await captured(room.books)


def test_down_leaves_nothing_behind(fresh: str) -> None:
    migrate.upgrade(fresh)
    migrate.command.downgrade(migrate._config(fresh), "base")

    assert tables_of(fresh) == {"alembic_version"}
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert rows(fresh, functions) == [(0,)]


async def test_several_at_once_wait_for_each_other(fresh: str) -> None:
    script = "from sys import argv; from cleartill.adapters.postgres.migrate import upgrade; upgrade(argv[1])"
    runs = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, fresh, stderr=asyncio.subprocess.DEVNULL)
        for _ in range(3)
    ]

    assert [await run.wait() for run in runs] == [0, 0, 0]
    assert rows(fresh, "SELECT version_num FROM alembic_version") == [(_head(),)]


def _head() -> str | None:
    return ScriptDirectory.from_config(migrate._config("postgresql://")).get_current_head()


def test_there_is_one_line_of_revisions() -> None:
    assert len(ScriptDirectory.from_config(migrate._config("postgresql://")).get_heads()) == 1


def test_the_tables_are_those_that_the_migrations_made(database_url: str) -> None:
    """Same tables, same columns in the same order, same types; keys, checks and indexes are the migrations' alone."""
    engine = create_engine(psycopg2_url(database_url))
    with engine.connect() as connection:
        made = inspect(connection)
        for name, table in metadata.tables.items():
            columns = made.get_columns(name)
            assert [column["name"] for column in columns] == [column.name for column in table.columns]
            kinds = [column["type"].compile(engine.dialect) for column in columns]
            assert kinds == [column.type.compile(engine.dialect) for column in table.columns]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()

    about_columns = ("add_table", "remove_table", "add_column", "remove_column", "modify_type")
    assert [change for change in _flat(differences) if change[0] in about_columns and not _alembics(change)] == []


def _flat(differences: list[object]) -> list[tuple[object, ...]]:
    """Changes of one column come as a list of their own."""
    found: list[tuple[object, ...]] = []
    for change in differences:
        found.extend(change if isinstance(change, list) else [change])  # type: ignore[list-item]
    return found


def _alembics(change: tuple[object, ...]) -> bool:
    return change[0] == "remove_table" and getattr(change[1], "name", None) == "alembic_version"


def test_a_role_without_the_right_to_temporary_things_is_refused(postgres: EmbeddedPostgres) -> None:
    """The writer's function is one. The owner has the right, and so has everybody unless it is taken back."""
    engine = create_engine(psycopg2_url(postgres.admin_url))
    with engine.connect() as connection:
        check_rights(connection)
        connection.execute(text("CREATE ROLE poor"))  # rolled back, as is the rest
        connection.execute(text("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC"))
        connection.execute(text("SET LOCAL ROLE poor"))
        with pytest.raises(MissingRight, match="TEMPORARY"):
            check_rights(connection)
    engine.dispose()


def test_a_forgetful_server_is_refused(database_url: str) -> None:
    """The tests' own: it runs with fsync off."""
    engine = create_engine(psycopg2_url(database_url))
    with engine.connect() as connection, pytest.raises(UnsafeDurability, match="fsync"):
        check_durability(connection)
    engine.dispose()
