"""Events whose transactions commit in another order than they began: none is passed over."""

from contextlib import closing

import psycopg2

from cleartill.adapters.postgres import rows as mapping
from cleartill.ports import Published
from real import Room, captured, payment, rows

LATE = """
INSERT INTO outbox (merchant_id, subject_id, seq, shard, type, event)
SELECT merchant_id, %s, 1, %s, type, event FROM outbox LIMIT 1
"""


async def published(room: Room) -> list[str]:
    """Whose events a worker finds in one round, and marks."""
    lease = await room.backlog.lease_outbox("a", 16)
    waiting = await room.backlog.unpublished(lease, 500)
    marked = await room.backlog.mark_published(lease, [Published(row, 0, n) for n, row in enumerate(waiting)])
    assert marked == len(waiting)
    return [row.subject_id for row in waiting]


async def test_what_commits_late_is_not_passed_over(room: Room, database_url: str) -> None:
    """It was written first, and is there to be seen only when later ones have gone out."""
    first, late = await captured(room.books), payment()
    assert await published(room) == [first.id] * 2
    with closing(psycopg2.connect(database_url)) as theirs, theirs.cursor() as cursor:
        cursor.execute(LATE, (late.id, mapping.shard(late.id)))
        second = await captured(room.books)
        assert await published(room) == [second.id] * 2
        theirs.commit()

    in_order = [subject for (subject,) in rows(database_url, "SELECT subject_id FROM outbox ORDER BY created_at, seq")]
    assert in_order == [first.id, first.id, late.id, second.id, second.id]
    assert await published(room) == [late.id]
