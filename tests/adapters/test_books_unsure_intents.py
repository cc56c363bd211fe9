"""An intent whose COMMIT was not acknowledged may be on disk: nobody says "nothing was sent" of it while the resolver
could still send it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from cleartill.adapters.postgres import link as link_module
from cleartill.domain.errors import BooksUnavailable
from cleartill.ports import Verdict
from real import Proxy, Room, captured, intent, open_room, refund_intent, rows
from real.proxy import Prank


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def room(database_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    """Its writer connects through the proxy, and is connected."""
    monkeypatch.setattr(link_module, "CONNECT_TIMEOUT_S", 1)
    async with open_room(database_url, writer_url=proxy.url) as room:
        await room.books.record(intent())
        yield room


async def lost_after_its_commit(room: Room, proxy: Proxy, within_s: float) -> tuple["asyncio.Task[Verdict]", str]:
    """A refund that PostgreSQL has written and whose writer did not hear so; then nobody gets through any more."""
    unit = refund_intent(await captured(room.books), 6_000, within_s=within_s)
    proxy.play(Prank.SWALLOW)
    waiting = asyncio.create_task(room.books.record(unit))
    await asyncio.to_thread(proxy.happened.wait, 5)
    proxy.gate.clear()
    assert unit.refund is not None
    return waiting, unit.refund.id


async def test_its_caller_waits_until_it_is_known(room: Room, proxy: Proxy, database_url: str) -> None:
    waiting, refund_id = await lost_after_its_commit(room, proxy, within_s=0.3)
    with pytest.raises(BooksUnavailable):  # one that surely was not written is not kept waiting
        await room.books.record(intent(within_s=1.0))
    assert not waiting.done()
    proxy.gate.set()

    assert await waiting is Verdict.RECORDED
    assert rows(database_url, "SELECT status FROM refunds WHERE id = %s", refund_id) == [("processing",)]
