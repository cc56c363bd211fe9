"""What psycopg2's errors are taken for."""

import psycopg2
import pytest

from cleartill.adapters.postgres.faults import CommitLost, Kind, kind_of
from cleartill.adapters.postgres.link import Link, Rows
from cleartill.ports import Verdict
from real import Room, intent, rows

WITHOUT_A_WORD = psycopg2.DatabaseError("error with status PGRES_FATAL_ERROR and no message from the libpq")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg2.OperationalError("server closed the connection unexpectedly"), Kind.LOST),
        (psycopg2.InterfaceError("connection already closed"), Kind.LOST),
        (WITHOUT_A_WORD, Kind.LOST),
        (psycopg2.ProgrammingError("can't adapt type 'set'"), Kind.REJECTED),
        (psycopg2.DataError("of no state"), Kind.REJECTED),
        (ValueError("ours"), Kind.REJECTED),
        (CommitLost(), Kind.UNSURE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_what_an_error_without_a_state_means(error: Exception, kind: Kind) -> None:
    assert kind_of(error) is kind


async def test_a_commit_that_libpq_has_no_words_for_is_looked_up(
    room: Room, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a reset connection: it was done, and nobody may be told that it was refused."""
    run, lost = Link.run, []

    async def lose_the_first(link: Link, sql: str, values: object = None) -> Rows:
        found = await run(link, sql, values)
        if sql.endswith("COMMIT") and not lost:
            lost.append(sql)
            link.close()
            raise WITHOUT_A_WORD
        return found

    monkeypatch.setattr(Link, "run", lose_the_first)
    unit = intent()

    assert await room.books.record(unit) is Verdict.RECORDED
    assert lost
    assert rows(database_url, "SELECT count(*) FROM transactions WHERE id = %s", unit.payment.id) == [(1,)]
