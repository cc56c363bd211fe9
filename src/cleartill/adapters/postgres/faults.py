"""What an error of PostgreSQL means for a batch, and how to bury a session that may still be committing."""

import asyncio
import time
from enum import StrEnum

import psycopg2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionInTime

from cleartill.adapters.postgres.link import Link

_DEAD_WITHIN_S = 5.0
_OF_LIBPQ = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Kind(StrEnum):
    LOST = "connection lost"
    """The session is gone or doomed, and with it what was not committed."""
    UNSURE = "commit lost"
    """The session went away in mid-commit: whether it happened is unknown."""
    AGAIN = "contention"
    """Serialization, deadlock, lock timeout, a statement cancelled by hand: nothing was written, try the same again."""
    UNAVAILABLE = "no resources"
    """Disk full, too many connections, read-only: nothing was written, and nothing will be for a while."""
    REJECTED = "bad data"
    """One of the units is at fault."""


class CommitLost(Exception):
    """A COMMIT was sent, and no answer came."""


def kind_of(error: Exception) -> Kind:
    if isinstance(error, CommitLost):
        return Kind.UNSURE
    if isinstance(error, NoConnectionInTime):
        return Kind.UNAVAILABLE
    said = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(said, psycopg2.Error):
        return Kind.REJECTED
    state = said.pgcode or ""
    if state.startswith(("08", "57P")) or state == "25P04":
        return Kind.LOST
    if state.startswith("40") or state in ("55P03", "57014"):
        return Kind.AGAIN
    if state.startswith(("53", "58")) or state == "25006":
        return Kind.UNAVAILABLE
    if not state and (isinstance(said, _OF_LIBPQ) or type(said) is psycopg2.DatabaseError):
        return Kind.LOST  # libpq's own words, not the server's; the bare kind when it has none, after a reset
    return Kind.REJECTED


def describe(error: Exception) -> str:
    """SQLSTATE and constraint; never the statement or its values."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(said, psycopg2.Error):
        return f"{type(said).__name__} {said.pgcode} {said.diag.constraint_name or ''}".strip()
    return f"{type(error).__name__} {error}"


async def backend_of(link: Link) -> tuple[int, str]:
    """The session's process id and start, which name it for ever."""
    ((pid, started),) = await link.run(
        "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    )
    return pid, started


async def make_sure_it_is_dead(link: Link, pid: int, started: str) -> None:
    """End an earlier session of ours and wait until it is gone. Raises OperationalError if it stays."""
    ask = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start::text = %s"
    end = time.monotonic() + _DEAD_WITHIN_S
    while await link.run(ask, (pid, started)):
        if time.monotonic() > end:
            raise psycopg2.OperationalError("an old session of ours does not end")
        await asyncio.sleep(0.01)
