"""Connections: how we connect, for how long we wait, which servers we refuse, and the pool that plain reads use."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cleartill.adapters.postgres import faults
from cleartill.adapters.postgres.comments import OfWork, no_comment, write_comments
from cleartill.adapters.postgres.link import CONNECT_TIMEOUT_S, Link
from cleartill.adapters.postgres.patience import ImpatientConnection
from cleartill.domain.errors import BooksUnavailable
from cleartill.ports import Watch

# A frozen peer must not freeze us: no statement waits for a lock longer than this, no transaction lives longer.
_SESSION = "-c timezone=UTC -c lock_timeout=250 -c transaction_timeout=5000 -c idle_in_transaction_session_timeout=5000"
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}

_T = TypeVar("_T")


class MissingRight(RuntimeError):
    """The role of DATABASE_URL may not do what we need."""


class UnsafeDurability(RuntimeError):
    """This PostgreSQL may forget what it has acknowledged."""


def psycopg2_url(url: str) -> str:
    """SQLAlchemy 2.1 takes a plain `postgresql://` for psycopg 3; ours is psycopg2."""
    made = make_url(url)
    if made.drivername in ("postgresql", "postgres"):
        made = made.set(drivername="postgresql+psycopg2")
    return made.render_as_string(hide_password=False)


def connect(url: str, *, name: str, pool_size: int) -> Engine:
    """An engine whose connections call themselves `name` and carry our timeouts. Parameters never show in errors."""
    return create_engine(
        psycopg2_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        hide_parameters=True,
        connect_args={"connection_factory": ImpatientConnection, **_ours(name)},
    )


async def open_link(url: str, *, name: str) -> Link:
    """The same without a pool, on the event loop. Raises psycopg2.OperationalError."""
    return await Link.open({"dsn": make_url(url).set(drivername="postgresql").render_as_string(False), **_ours(name)})


def _ours(name: str) -> dict[str, Any]:
    return {
        "options": _SESSION,
        "application_name": name,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": 10_000,
        **_KEEPALIVE,
    }


def check_rights(connection: Connection) -> None:
    """Raises MissingRight if the writer could not make its function (`statements.WRITE_BATCH`)."""
    if not connection.execute(text("SELECT has_database_privilege(current_database(), 'TEMPORARY')")).scalar_one():
        raise MissingRight("The role of DATABASE_URL needs the right TEMPORARY on its database")


def check_durability(connection: Connection) -> None:
    """Raises UnsafeDurability if an acknowledged commit could be lost."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        if connection.execute(text(f"SHOW {setting}")).scalar_one() == "off":
            raise UnsafeDurability(f"PostgreSQL runs with {setting}=off: payments could be lost in a crash")


class ConnectionPool:
    """A few threads, a connection each, for everything that is not written by the writer."""

    def __init__(self, engine: Engine, size: int, watch: Watch, comment: OfWork = no_comment) -> None:
        self._engine, self._watch, self._comment = engine, watch, comment
        write_comments(engine)
        self.busy = 0
        """Connections in use or waited for."""
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="books-pool")

    async def run(self, work: Callable[[Connection], _T]) -> _T:
        """Run `work` in one transaction, once more if its connection turns out to have died while it lay idle.
        Raises BooksUnavailable when PostgreSQL is away or refuses for now."""
        asked, comment = time.monotonic(), self._comment()

        def transaction() -> _T:
            self._watch.observe("pool.wait", (time.monotonic() - asked) * 1000)
            try:
                return self._transact(work, comment)
            except SQLAlchemyError as error:
                if faults.kind_of(error) is not faults.Kind.LOST:
                    raise
                self._watch.count("books.lost", part="pool")
                return self._transact(work, comment)

        self.busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, transaction)
        except SQLAlchemyError as error:
            if faults.kind_of(error) is faults.Kind.REJECTED:
                raise
            raise BooksUnavailable("The books cannot be reached now") from None
        finally:
            self.busy -= 1

    def _transact(self, work: Callable[[Connection], _T], comment: str) -> _T:
        with self._engine.begin() as connection:
            return work(connection.execution_options(comment=comment))

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._engine.dispose()
