"""What merchants pay for captures: nothing by default, and what is set otherwise."""

from cleartill.domain.ledger import Fees
from fakes import World
from fakes.steps import Steps


async def test_by_default_nothing(world: World, steps: Steps) -> None:
    await steps.charge(None)
    assert (world.memory.balance("merchant", "USD"), world.memory.balance("fees", "USD")) == (10_000, 0)


async def test_a_capture_pays_its_fee_and_a_refund_gives_none_back(world: World, steps: Steps) -> None:
    world.till.fees = Fees(290, 30)
    paid = await steps.charge(None)
    assert (world.memory.balance("merchant", "USD"), world.memory.balance("fees", "USD")) == (9_680, 320)
    await steps.refund(paid)
    assert (world.memory.balance("merchant", "USD"), world.memory.balance("fees", "USD")) == (-320, 320)
    assert world.memory.balance("acquirer", "USD") == 0
