"""What a real PostgreSQL sees in front of our statements: service, environment, and the trace of the payment."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Connection, text

from cleartill.adapters.postgres.engine import ConnectionPool, connect, open_link
from cleartill.adapters.postgres.writer import Writer
from cleartill.ports import Verdict
from cleartill.telemetry.correlation import here
from cleartill.telemetry.sql import SqlComments
from fakes import FakeWatch
from real import intent, rows
from real.units import TRACE

SPAN = "00f067aa0ba902b7"
OTHER = "1" * 32
LAST = "SELECT query FROM pg_stat_activity WHERE application_name = %s"


@dataclass
class Talk:
    pool: ConnectionPool
    writer: Writer
    url: str


@pytest.fixture(params=["full", "service", "disabled"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def talk(database_url: str, mode: str) -> AsyncIterator[Talk]:
    comments = SqlComments(mode, database_url, service="cleartill 100%'s", env="test", version="1.2.3")
    pool = ConnectionPool(connect(database_url, name="commented", pool_size=1), 1, FakeWatch(), comments.here)
    writer = Writer(partial(open_link, database_url, name="commented writer"), FakeWatch(), comments.of_unit)
    writer.start()
    yield Talk(pool, writer, database_url)
    await writer.close()
    pool.close()


def said_by(mode: str, url: str, trace_id: str, span_id: str, keep: str) -> str:
    """What ddtrace would have written: keys sorted, values percent-encoded and quoted."""
    where = urlsplit(url)
    name = "cleartill%20100%25%27s"
    said = f"dddb='{where.path[1:]}',dddbs='{name}',dde='test',ddh='{where.hostname}',ddps='{name}',ddpv='1.2.3'"
    if mode == "full":
        said += f",traceparent='00-{trace_id}-{span_id}-{keep}'"
    return "" if mode == "disabled" else f"/*{said}*/ "


async def test_a_read_says_whose_it_is(talk: Talk, mode: str) -> None:
    def own(connection: Connection) -> str:
        query = text("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND :yes")
        return str(connection.execute(query, {"yes": True}).scalar_one())

    located = here.set((OTHER, SPAN, False, ""))
    try:
        heard = await talk.pool.run(own)
    finally:
        here.reset(located)
    assert heard.startswith(said_by(mode, talk.url, OTHER, SPAN, "00") + "SELECT query")
    alone = await talk.pool.run(own)
    assert "traceparent" not in alone, "nothing is left of the work before"


async def test_a_batch_says_whose_first_unit_it_writes(talk: Talk, mode: str) -> None:
    unit = intent()
    unit.stamps["span_id"] = int(SPAN, 16)
    assert await talk.writer.record(unit) is Verdict.RECORDED
    ((heard,),) = rows(talk.url, LAST, "commented writer")
    assert heard.startswith(said_by(mode, talk.url, TRACE, SPAN, "01") + "BEGIN; EXECUTE write_batch (")
    assert ("in_sql" in unit.stamps) is (mode == "full")


async def test_a_unit_that_nobody_traces_is_written_all_the_same(talk: Talk, mode: str) -> None:
    assert await talk.writer.record(intent()) is Verdict.RECORDED
    ((heard,),) = rows(talk.url, LAST, "commented writer")
    assert "traceparent" not in heard
    assert heard.startswith("/*dddb=" if mode != "disabled" else "BEGIN; ")
