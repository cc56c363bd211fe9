"""One list of payments, refunds, deposits and withdrawals, a page at a time."""

from collections import Counter
from dataclasses import replace

import pytest

from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.payment import Payment
from cleartill.ports import Listed, PaymentQuery
from cleartill.usecases.list_transactions import TransactionQuery, TransactionType, list_transactions
from fakes import World
from fakes.steps import Steps
from fakes.transfers_desk import DEPOSIT, WITHDRAWAL, TransferDesk


@pytest.fixture
async def ids(world: World, steps: Steps) -> list[str]:
    """Thirty things of all types, in the order they were made."""
    desk, made = TransferDesk(world.till), []
    for number in range(10):
        paid = await steps.charge(None)
        made.append(next(id for _, id in reversed(world.memory.payments)))
        if number % 2:
            await steps.refund(paid, "1.00")
            made.append(next(id for _, id in reversed(world.memory.refunds)))
        made.append((await desk.make(DEPOSIT)).id)
        if number % 2:
            made.append((await desk.make(WITHDRAWAL, 100)).id)
    return sorted(made, key=lambda id: id.partition("_")[2], reverse=True)


async def pages(world: World, limit: int, *types: TransactionType) -> list[str]:
    found: list[str] = []
    query = TransactionQuery(frozenset(types), limit=limit)
    for _ in range(100):
        page = await list_transactions(world.till, DEMO_MERCHANT_ID, query)
        assert len(page.items) <= limit
        found += [one.id for one in page.items]
        if page.next is None:
            return found
        query = TransactionQuery(frozenset(types), limit=limit, before=page.next)
    raise AssertionError("a list without end")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 29, 30, 31, 100])
async def test_every_one_once_newest_first(world: World, ids: list[str], limit: int) -> None:
    assert await pages(world, limit) == ids


@pytest.mark.parametrize("kind", list(TransactionType))
async def test_of_one_type(world: World, ids: list[str], kind: TransactionType) -> None:
    prefix = {"payment": "pay_", "refund": "ref_", "deposit": "dep_", "withdrawal": "wdr_"}[kind]
    assert await pages(world, 3, kind) == [id for id in ids if id.startswith(prefix)]


async def test_of_two_types(world: World, ids: list[str]) -> None:
    found = await pages(world, 4, TransactionType.REFUND, TransactionType.DEPOSIT)
    assert Counter(id[:3] for id in found) == {"ref": 5, "dep": 10}


async def test_another_merchants_list_is_empty(world: World, ids: list[str]) -> None:
    page = await list_transactions(world.till, "merchant_456", TransactionQuery())
    assert (page.items, page.next) == ([], None)


async def test_a_list_that_cannot_be_looked_at_further_ends_the_page_for_all(world: World, ids: list[str]) -> None:
    """Below the end of one list, what the others have could stand before something that was not looked at."""
    whole = world.reads.payments

    async def lame(merchant_id: str, query: PaymentQuery) -> Listed[Payment]:
        return await whole(merchant_id, replace(query, limit=min(query.limit, 2)))

    world.reads.payments = lame  # type: ignore[method-assign]
    assert await pages(world, 9) == ids


async def test_the_time_range(world: World, ids: list[str]) -> None:
    now = world.clock.now()
    everything = await list_transactions(world.till, DEMO_MERCHANT_ID, TransactionQuery(created_from=now, limit=100))
    assert len(everything.items) == 30
    nothing = await list_transactions(world.till, DEMO_MERCHANT_ID, TransactionQuery(created_to=now, limit=100))
    assert nothing.items == []
