"""Tampering with sealed rows in a real PostgreSQL, by somebody who owns the server: each is found and named."""

from collections.abc import AsyncIterator

import pytest

from cleartill.domain.audit_walk import FaultKind
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.usecases.verify_audit import verify_audit
from real import open_room
from real.chained import Chained, by_superuser, insert_many, postgres_chained

COUNT = 60
SWAP = "UPDATE audit_logs SET {} FROM (VALUES (11, 23), (23, 11)) AS v (mine, theirs) WHERE seal_number = v.mine"
FORGED = (
    "INSERT INTO audit_logs SELECT merchant_id, 'pay_forged', 1, event, actor, request_id, trace_id, details, hops, "
    "at, recorded_at, {}, seal, seal_previous FROM audit_logs WHERE subject_id = 'pay_000000030'"
)
SHIFT = (
    "UPDATE audit_logs SET seal_number = -seal_number WHERE seal_number >= 30",
    "UPDATE audit_logs SET seal_number = 1 - seal_number WHERE seal_number < 0",
)
PLANTED: dict[str, tuple[tuple[str, ...], FaultKind, int]] = {
    "an amount": (
        ("UPDATE audit_logs SET details = jsonb_set(details, '{amount_minor}', '1') WHERE seal_number = 30",),
        FaultKind.EDITED, 30,
    ),
    "a digit that is equal": (
        ("UPDATE audit_logs SET details = jsonb_set(details, '{amount_minor}', '30.0') WHERE seal_number = 30",),
        FaultKind.EDITED, 30,
    ),
    "an actor": (("UPDATE audit_logs SET actor = 'nobody' WHERE seal_number = 1",), FaultKind.EDITED, 1),
    "a microsecond": (
        ("UPDATE audit_logs SET at = at + interval '1 microsecond' WHERE seal_number = 60",), FaultKind.EDITED, 60,
    ),
    "the end of time": (("UPDATE audit_logs SET at = 'infinity' WHERE seal_number = 7",), FaultKind.EDITED, 7),
    "hops": (("UPDATE audit_logs SET hops = 'null' WHERE seal_number = 31",), FaultKind.EDITED, 31),
    "a seal": (("UPDATE audit_logs SET seal = sha256('x') WHERE seal_number = 30",), FaultKind.EDITED, 30),
    "no seal": (
        ("UPDATE audit_logs SET seal = NULL WHERE seal_number = 30",), FaultKind.EDITED, 30,
    ),
    "a row gone": (("DELETE FROM audit_logs WHERE seal_number = 30",), FaultKind.DELETED, 30),
    "the first row gone": (("DELETE FROM audit_logs WHERE seal_number = 1",), FaultKind.DELETED, 1),
    "many rows gone": (("DELETE FROM audit_logs WHERE seal_number BETWEEN 5 AND 50",), FaultKind.DELETED, 5),
    "a row unsealed to be sealed anew": (
        ("UPDATE audit_logs SET seal_number = NULL, seal = NULL, seal_previous = NULL, actor = 'x' "
         "WHERE seal_number = 30",), FaultKind.DELETED, 30,
    ),
    "the gap closed": (
        ("DELETE FROM audit_logs WHERE seal_number = 29", SHIFT[0],
         "UPDATE audit_logs SET seal_number = -seal_number - 1 WHERE seal_number < 0"), FaultKind.DELETED, 29,
    ),
    "two exchanged": (
        ("DROP INDEX audit_logs_chain", SWAP.format("seal_number = theirs"),
         "CREATE UNIQUE INDEX audit_logs_chain ON audit_logs (seal_number) WHERE seal_number IS NOT NULL"),
        FaultKind.REORDERED, 11,
    ),
    "a row inserted": ((*SHIFT, FORGED.format(30)), FaultKind.INSERTED, 30),
    "a row behind the head": ((FORGED.format(61),), FaultKind.INSERTED, 61),
    "a row that never was": ((FORGED.format(-5),), FaultKind.INSERTED, -5),
    "half a seal": ((FORGED.format("NULL"),), FaultKind.INSERTED, 0),
    "the tail cut off": (("DELETE FROM audit_logs WHERE seal_number > 50",), FaultKind.CUT, 51),
    "everything gone": (("TRUNCATE audit_logs",), FaultKind.CUT, 1),
    "the tail and the head": (
        ("DELETE FROM audit_logs WHERE seal_number > 50",
         "UPDATE audit_chain SET number = 50, seal = (SELECT seal FROM audit_logs WHERE seal_number = 50)"),
        FaultKind.CUT, 51,
    ),
    "another chain": (("UPDATE audit_chain SET chain = 'chn_other'",), FaultKind.REPLACED, 1),
}  # fmt: skip


@pytest.fixture
async def chained(database_url: str) -> AsyncIterator[Chained]:
    insert_many(database_url, 1, COUNT)
    async with open_room(database_url) as room, postgres_chained(room, database_url, page=25) as made:
        await made.seal_all()
        yield made


@pytest.mark.parametrize("planted", PLANTED)
async def test_what_is_planted_is_found(chained: Chained, postgres: EmbeddedPostgres, planted: str) -> None:
    statements, kind, number = PLANTED[planted]
    kept = (await chained.chain.chain()).head
    assert (await verify_audit(chained.till, [kept])).sound
    by_superuser(postgres.admin_url, *statements)
    try:
        fault = (await verify_audit(chained.till, [kept])).faults[0]
        assert (fault.kind, fault.number) == (kind, number), fault
    finally:
        by_superuser(postgres.admin_url, f"UPDATE audit_chain SET chain = '{kept.chain}'")


async def test_what_the_service_itself_may_do_is_no_tampering(chained: Chained, database_url: str) -> None:
    kept = (await chained.chain.chain()).head
    insert_many(database_url, COUNT + 1, COUNT + 5)
    assert (await verify_audit(chained.till, [kept])).sound, "rows that wait for their seal"
    await chained.seal_all("one")
    verdict = await verify_audit(chained.till, [kept])
    assert (verdict.sound, verdict.rows) == (True, COUNT + 5)
