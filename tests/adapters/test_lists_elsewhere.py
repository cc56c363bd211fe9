"""Lists read a database of their own, if there is one: nothing else does, and it may be away without harm to others."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from cleartill.adapters.postgres.comments import no_comment
from cleartill.adapters.postgres.engine import ConnectionPool, connect
from cleartill.adapters.postgres.reads import PostgresReads
from cleartill.domain.errors import BooksUnavailable
from cleartill.embedded.scratch import free_port
from cleartill.ports import PaymentQuery, RefundQuery
from cleartill.settings import Settings
from cleartill.wiring import _pool_for_lists
from fakes import FakeWatch
from real import MERCHANT, Room, captured


@pytest.fixture
async def elsewhere() -> AsyncIterator[ConnectionPool]:
    """A replica that is away."""
    url = f"postgresql://cleartill@127.0.0.1:{free_port()}/cleartill"
    pool = ConnectionPool(connect(url, name="cleartill test", pool_size=1), 1, FakeWatch())
    yield pool
    pool.close()


async def test_only_lists_need_the_replica(room: Room, elsewhere: ConnectionPool) -> None:
    paid = await captured(room.books)
    reads = PostgresReads(room.pool, elsewhere)

    assert (await reads.payment(MERCHANT, paid.id)).id == paid.id
    with pytest.raises(BooksUnavailable):
        await reads.payments(MERCHANT, PaymentQuery())
    with pytest.raises(BooksUnavailable):
        await reads.refunds(MERCHANT, RefundQuery())


async def test_lists_do_not_need_the_primary(room: Room, elsewhere: ConnectionPool) -> None:
    paid = await captured(room.books)
    reads = PostgresReads(elsewhere, room.pool)

    assert [one.id for one in (await reads.payments(MERCHANT, PaymentQuery())).items] == [paid.id]


@pytest.mark.parametrize(("replica", "host"), [("", "books"), ("postgresql://u:p@replica/db", "replica")])
def test_the_replica_is_for_lists_if_there_is_one(replica: str, host: str) -> None:
    settings = Settings(database_url="postgresql://u:p@books/db", database_replica_url=replica, _env_file=None)  # type: ignore[call-arg]

    sight = SimpleNamespace(watch=FakeWatch(), comments=lambda _: SimpleNamespace(here=no_comment))
    pool = _pool_for_lists(settings, "api", sight)  # type: ignore[arg-type]

    assert pool._engine.url.host == host
    pool.close()
