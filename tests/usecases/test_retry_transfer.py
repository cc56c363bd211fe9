"""Dead letters, taken up again."""

from typing import Any

import pytest

from cleartill.domain.errors import ForbiddenStep, InsufficientFunds, NotFound
from cleartill.domain.outcome import Approved, NotSent, Unknown
from cleartill.domain.transfer import Transfer
from cleartill.usecases.retry_transfer import retry_transfer
from fakes import World
from fakes.transfers_desk import ORIGIN, WITHDRAWAL, TransferDesk

YES = Approved("bnk_1", "bnk_1")


@pytest.fixture
def desk(world: World) -> TransferDesk:
    return TransferDesk(world.till)


async def dead(desk: TransferDesk, world: World, said: Any) -> Transfer:
    await desk.fund(700)
    made = await desk.make(WITHDRAWAL, 700)
    for _ in range(6):
        world.bank.transfers.append(said)
        await desk.work()
        world.clock.advance(600)
    return await desk.now(made)


@pytest.mark.parametrize("said", [NotSent("connect"), Unknown("timeout")])
async def test_it_is_tried_again_and_pays_out_once(desk: TransferDesk, world: World, said: Any) -> None:
    made = await dead(desk, world, said)
    assert [one.id for one in (await world.till.transfers.dead(10)).items] == [made.id]
    tried = await retry_transfer(world.till, made.id, ORIGIN)
    assert await desk.balance("merchant_reserved") == 700
    assert (await world.till.transfers.dead(10)).items == []
    world.bank.transfers.append(YES)
    assert await desk.work() == 1
    assert world.bank.asked[-1][1].attempt_key == tried.reference
    assert ((await desk.now(made)).status, await desk.balance(), await desk.total()) == ("succeeded", 0, 0)


async def test_a_second_retry_does_nothing(desk: TransferDesk, world: World) -> None:
    made = await dead(desk, world, NotSent("connect"))
    await retry_transfer(world.till, made.id, ORIGIN)
    with pytest.raises(ForbiddenStep, match="pending: it is no dead letter"):
        await retry_transfer(world.till, made.id, ORIGIN)


async def test_what_was_given_back_and_spent_is_not_there_any_more(desk: TransferDesk, world: World) -> None:
    made = await dead(desk, world, NotSent("connect"))
    await desk.make(WITHDRAWAL, 1)
    with pytest.raises(InsufficientFunds, match=r"6\.99 USD"):
        await retry_transfer(world.till, made.id, ORIGIN)
    assert (await desk.now(made)).dead is not None


async def test_an_unknown_one(world: World) -> None:
    with pytest.raises(NotFound):
        await retry_transfer(world.till, "dep_0", ORIGIN)
