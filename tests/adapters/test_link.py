"""A connection on the event loop against a real PostgreSQL: what it says, what it carries, and every way it can end."""

import asyncio
from collections.abc import AsyncIterator

import psycopg2
import pytest

from cleartill.adapters.postgres import link as link_module
from cleartill.adapters.postgres.engine import open_link
from cleartill.adapters.postgres.faults import Kind, backend_of, kind_of, make_sure_it_is_dead
from cleartill.adapters.postgres.link import Link
from cleartill.embedded.scratch import free_port
from real import Proxy, rows
from real.proxy import Prank

NAME = "cleartill test link"
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
MEGABYTES = "x" * 16_000_000
"""More than both sockets' buffers hold."""


@pytest.fixture
async def link(database_url: str) -> AsyncIterator[Link]:
    opened = await open_link(database_url, name=NAME)
    yield opened
    opened.close()


async def lost(link: Link, sql: str) -> psycopg2.Error:
    with pytest.raises(psycopg2.Error) as caught:
        await link.run(sql)
    assert kind_of(caught.value) is Kind.LOST
    return caught.value


async def test_the_rows_of_the_last_statement_are_told(link: Link) -> None:
    assert await link.run("SELECT 1, 'a'; SELECT n FROM generate_series(%s, %s) n", (2, 4)) == [(2,), (3,), (4,)]
    assert await link.run("SELECT 1; SET search_path = public") == []


async def test_it_carries_our_settings_and_comment(link: Link) -> None:
    link.comment = "/*whose 100%% it is*/ "
    asked = "SELECT current_setting('lock_timeout'), query FROM pg_stat_activity WHERE application_name = %s"
    ((lock_timeout, query),) = await link.run(asked, (NAME,))
    assert lock_timeout == "250ms"
    assert query.startswith("/*whose 100% it is*/ SELECT current")


async def test_an_error_of_a_statement_is_raised_and_leaves_it_usable(link: Link) -> None:
    with pytest.raises(psycopg2.errors.DivisionByZero):
        await link.run("BEGIN; SELECT 1 / 0; COMMIT")
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        await link.run("SELECT 1")
    assert await link.run("ROLLBACK; SELECT 1") == [(1,)]
    assert not link.closed


async def test_more_than_fits_into_a_socket_goes_and_comes(link: Link) -> None:
    ((heard,),) = await link.run("SELECT %s::text", (MEGABYTES,))
    assert heard == MEGABYTES
    assert await link.run("SELECT length(%s)", (MEGABYTES,)) == [(16_000_000,)]


async def test_the_loop_goes_on_meanwhile(link: Link) -> None:
    beats = 0
    asked = asyncio.create_task(link.run("SELECT pg_sleep(0.3)"))
    while not asked.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert beats > 5


async def test_ended_while_nothing_is_asked_it_is_closed_and_at_rest(
    link: Link, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(link, "_connection", Counted(link._connection, looks))
    assert rows(database_url, KILL, NAME) == [(True,)]
    await asyncio.sleep(0.2)

    assert link.closed
    assert 0 < len(looks) < 5, "a socket at its end can always be read"
    await lost(link, "SELECT 1")


class Counted:
    """A connection whose polls are counted."""

    def __init__(self, connection: psycopg2.extensions.connection, looks: list[int]) -> None:
        self._connection, self._looks = connection, looks

    def poll(self) -> int:
        self._looks.append(1)
        return self._connection.poll()

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


async def test_ended_while_it_waits_the_asker_learns_of_it(link: Link, database_url: str) -> None:
    asked = asyncio.create_task(lost(link, "SELECT pg_sleep(5)"))
    await asyncio.sleep(0.1)
    rows(database_url, KILL, NAME)
    assert "administrator command" in str(await asked)
    await lost(link, "SELECT 1")


async def test_a_server_that_keeps_silent_has_gone(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "ANSWER_TIMEOUT_S", 0.2)
    with Proxy(database_url) as proxy:
        link = await open_link(proxy.url, name=NAME)
        proxy.play(Prank.STALL)
        async with asyncio.timeout(2):
            error = await lost(link, "COMMIT")
        assert "no answer in time" in str(error)
        assert link.closed


@pytest.mark.parametrize("silent", [True, False])
async def test_where_nobody_answers_there_is_no_link(
    database_url: str, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr(link_module, "CONNECT_TIMEOUT_S", 0.2)
    with Proxy(database_url) as proxy:
        proxy.gate.clear()
        url = proxy.url if silent else database_url.rsplit(":", 1)[0] + f":{free_port()}/cleartill"
        with pytest.raises(psycopg2.OperationalError) as caught:
            await open_link(url, name=NAME)
    assert kind_of(caught.value) is Kind.LOST


async def test_a_wrong_password_is_said(database_url: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password"):
        await open_link(database_url.replace("cleartill:", "cleartill:not", 1), name=NAME)


async def test_an_old_session_is_ended_before_anything_else(link: Link, database_url: str) -> None:
    old = await open_link(database_url, name=NAME)
    pid, started = await backend_of(old)
    await make_sure_it_is_dead(link, pid, started)
    assert rows(database_url, "SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid) == []
    await asyncio.sleep(0.1)
    assert old.closed
