"""What the AuditChain port promises, on the fake and on PostgreSQL: one line, no holes, one sealer at a time."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cleartill.domain.audit_chain import link
from cleartill.usecases.anchor_audit import anchor_audit
from cleartill.usecases.seal_audit import seal_audit
from real import open_room
from real.chained import Chained, ago, an_audit_row, fake_chained, postgres_chained


@pytest.fixture(params=["fake", "postgres"])
async def chained(request: pytest.FixtureRequest) -> AsyncIterator[Chained]:
    if request.param == "fake":
        async with fake_chained() as made:
            yield made
        return
    url = request.getfixturevalue("database_url")
    async with open_room(url) as room, postgres_chained(room, url) as made:
        yield made


async def test_an_empty_log_is_sound(chained: Chained) -> None:
    assert (await seal_audit(chained.till, "one"), (await chained.verify()).sound) == (0, True)
    assert (await chained.chain.chain()).head.number == 0
    assert await chained.chain.anchor_due(0) is None


async def test_rows_are_read_as_they_were_written(chained: Chained) -> None:
    written = [an_audit_row(number, ago(60 - number)) for number in range(1, 4)]
    await chained.write(*written)
    read = await chained.chain.unsealed(10)
    assert [replace(row, details="") for row in read] == [replace(row, details="") for row in written]
    head = (await chained.chain.chain()).head
    assert [one.seal for one in link(head, read)] == [one.seal for one in link(head, written)]


async def test_rows_are_sealed_in_one_line_and_read_by_pages(chained: Chained) -> None:
    await chained.write(*(an_audit_row(number, ago(100 - number)) for number in range(1, 11)))
    assert await chained.seal_all() == 10
    verdict = await chained.verify()
    assert (verdict.sound, verdict.rows, verdict.head.number) == (True, 10, 10)
    first = await chained.chain.sealed(0, 10)
    assert [one.number for one in first] == [1, 2, 3]
    assert [one.row.subject_id for one in first] == ["pay_1", "pay_2", "pay_3"]
    assert [one.number for one in await chained.chain.sealed(3, 5)] == [4, 5]
    assert await chained.chain.sealed(10, 10) == []


async def test_a_row_that_was_committed_late_gets_a_later_number(chained: Chained) -> None:
    await chained.write(an_audit_row(2, ago(50)), an_audit_row(3, ago(40)))
    await chained.seal_all()
    await chained.write(an_audit_row(1, ago(60)))
    assert await chained.seal_all() == 1
    assert [one.row.subject_id for one in await chained.chain.sealed(0, 9)] == ["pay_2", "pay_3", "pay_1"]
    assert (await chained.verify()).sound


async def test_one_seals_at_a_time_and_another_when_its_lease_has_ended(chained: Chained) -> None:
    await chained.write(an_audit_row(1))
    mine = await chained.chain.lease("one")
    assert mine is not None
    assert await chained.chain.lease("two") is None
    assert (again := await chained.chain.lease("one"))
    assert again.epoch == mine.epoch
    await chained.lapse()
    theirs = await chained.chain.lease("two")
    assert theirs is not None
    assert theirs.epoch == mine.epoch + 1
    assert await seal_audit(chained.till, "one") == 0


async def test_a_sealer_that_thaws_after_its_lease_writes_nothing(chained: Chained) -> None:
    await chained.write(an_audit_row(1, ago(9)), an_audit_row(2, ago(8)))
    frozen = await chained.chain.lease("one")
    assert frozen is not None
    rows = await chained.chain.unsealed(10)
    await chained.lapse()
    assert await chained.chain.lease("two")
    assert await chained.chain.seal(frozen, link(frozen.head, rows)) is False
    assert (await chained.chain.chain()).head.number == 0
    assert await seal_audit(chained.till, "two") == 2
    assert await chained.chain.seal(frozen, link(frozen.head, rows)) is False
    verdict = await chained.verify()
    assert (verdict.sound, verdict.rows) == (True, 2)


async def test_a_lease_that_was_lost_is_none_even_if_its_owner_has_another(chained: Chained) -> None:
    await chained.write(an_audit_row(1))
    lost = await chained.chain.lease("one")
    assert lost is not None
    rows = await chained.chain.unsealed(10)
    for owner in ("two", "one"):
        await chained.lapse()
        assert await chained.chain.lease(owner)
    assert await chained.chain.seal(lost, link(lost.head, rows)) is False
    assert (await chained.chain.chain()).head.number == 0


async def test_nor_does_one_that_has_its_lease_but_an_old_head(chained: Chained) -> None:
    await chained.write(an_audit_row(1), an_audit_row(2))
    old = await chained.chain.lease("one")
    assert old is not None
    rows = await chained.chain.unsealed(1)
    assert await seal_audit(chained.till, "one") == 2
    assert await chained.chain.seal(old, link(old.head, rows)) is False
    assert (await chained.verify()).sound


async def test_the_head_is_told_when_it_has_moved_and_not_too_often(chained: Chained) -> None:
    await chained.write(an_audit_row(1))
    await chained.seal_all()
    head = await chained.chain.anchor_due(3600)
    assert head is not None
    assert head == (await chained.chain.chain()).head
    assert await chained.chain.anchor_due(3600) is None, "somebody has just tried"
    assert await chained.chain.anchor_due(0) == head, "nobody said that it was told"
    await chained.chain.anchored(head)
    assert await chained.chain.anchor_due(0) is None
    await chained.write(an_audit_row(2))
    await chained.seal_all()
    assert await chained.chain.anchor_due(3600) is None
    assert await chained.chain.anchor_due(0) is not None


async def test_while_kafka_is_away_the_head_stays_to_be_told(chained: Chained) -> None:
    publisher = chained.till.publisher
    await chained.write(an_audit_row(1))
    await chained.seal_all()
    publisher.away = True  # type: ignore[attr-defined]
    await anchor_audit(chained.till, "one")
    publisher.away = False  # type: ignore[attr-defined]
    assert await chained.chain.anchor_due(0) is not None


async def test_what_waits_is_told(chained: Chained) -> None:
    await chained.write(an_audit_row(1, ago(70)), an_audit_row(2, ago(5)))
    depths = {depth.name: depth.value for depth in await chained.chain.depths()}
    assert (depths["audit.unsealed"], depths["audit.head"]) == (2, 0)
    assert 69 <= depths["audit.oldest_s"] < 600
    await chained.seal_all()
    depths = {depth.name: depth.value for depth in await chained.chain.depths()}
    assert depths == {"audit.unsealed": 0, "audit.oldest_s": 0, "audit.head": 2}
