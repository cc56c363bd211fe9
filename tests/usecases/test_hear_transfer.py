"""Callbacks about transfers: early, late, repeated, contradictory, of another amount: one effect, no money on a lie."""

from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, NotFound
from cleartill.domain.outcome import Approved, Declined, NotSent, Unknown
from cleartill.domain.transfer import Transfer
from cleartill.usecases.retry_transfer import retry_transfer
from fakes import World
from fakes.transfers_desk import DEPOSIT, ORIGIN, WITHDRAWAL, TransferDesk

YES, NO = Approved("bnk_1", "bnk_1"), Declined("card_declined", provider_id="bnk_1")


@pytest.fixture
def desk(world: World) -> TransferDesk:
    return TransferDesk(world.till)


@pytest.fixture
async def accepted(desk: TransferDesk) -> Transfer:
    """A withdrawal of all there is, on its way at the bank."""
    await desk.fund(700)
    made = await desk.make(WITHDRAWAL, 700)
    await desk.work()
    return await desk.now(made)


async def dead(desk: TransferDesk, world: World, said: Any) -> Transfer:
    made = await desk.make(DEPOSIT)
    for _ in range(6):
        world.bank.transfers.append(said)
        await desk.work()
        world.clock.advance(600)
    return await desk.now(made)


@pytest.mark.parametrize(("said", "status", "left"), [(YES, "succeeded", 0), (NO, "failed", 700)])
async def test_how_it_ended(desk: TransferDesk, accepted: Transfer, said: Any, status: str, left: int) -> None:
    for _ in range(3):
        await desk.hear(accepted, said)
    await desk.hear(accepted, said, "evt_2")
    now = await desk.now(accepted)
    assert (now.status, now.bank_reference, now.needs_review) == (status, "bnk_1", None)
    assert (await desk.balance(), await desk.balance("merchant_reserved"), await desk.total()) == (left, 0, 0)


async def test_what_was_never_asked_must_be_said_again(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    rows = world.memory.rows
    with pytest.raises(NotFound):
        await desk.hear(made, YES)
    assert ((await desk.now(made)).status, world.memory.rows) == ("pending", rows)
    world.bank.transfers.append(NotSent("connect"))
    await desk.work()
    with pytest.raises(NotFound):
        await desk.hear(made, YES)


async def test_an_early_one_counts_and_the_workers_answer_changes_nothing(desk: TransferDesk, world: World) -> None:
    """It comes before the worker has written down that the bank took it on."""
    made = await desk.make(DEPOSIT)

    async def transfer(ask: Any) -> Any:
        await desk.hear(made, YES)
        return Unknown("timeout")

    world.bank.transfer = transfer  # type: ignore[method-assign]
    await desk.work()
    now = await desk.now(made)
    assert (now.status, now.faults, await desk.balance()) == ("succeeded", 0, 700)
    world.clock.advance(3_600)
    assert await desk.work() == 0


@pytest.mark.parametrize(("first", "second"), [(YES, NO), (NO, YES)])
async def test_the_opposite_moves_no_money_and_asks_for_a_person(
    desk: TransferDesk, accepted: Transfer, world: World, first: Any, second: Any
) -> None:
    await desk.hear(accepted, first, "evt_1")
    left, status = await desk.balance(), (await desk.now(accepted)).status
    for _ in range(2):
        await desk.hear(accepted, second, "evt_2")
    now = await desk.now(accepted)
    assert (now.status, await desk.balance(), now.needs_review is not None) == (status, left, True)
    assert [fact.type for fact, _ in world.memory.facts].count("withdrawal.needs_review") == 1


@pytest.mark.parametrize(
    "said", [{"amount_minor": 699, "currency": "USD"}, {"amount_minor": 700, "currency": "EUR"}, {"amount_minor": 1}]
)
async def test_another_amount_moves_no_money_and_asks_for_a_person(
    desk: TransferDesk, accepted: Transfer, said: dict[str, Any]
) -> None:
    await desk.hear(accepted, YES, **said)
    now = await desk.now(accepted)
    assert (now.status, await desk.balance("merchant_reserved")) == ("processing", 700)
    assert now.needs_review is not None
    assert "another amount" in now.needs_review
    await desk.hear(accepted, YES, "evt_2", amount_minor=700, currency="USD")
    assert (await desk.now(accepted)).status == "succeeded"


@pytest.mark.parametrize("strange", ["{id}.transfer.2", "{id}.transfer.0", "{id}.refund.1", "{id}"])
async def test_a_reference_that_is_not_ours(desk: TransferDesk, accepted: Transfer, strange: str) -> None:
    with pytest.raises(NotFound):
        await desk.hear(accepted, YES, reference=strange.format(id=accepted.id))


async def test_another_providers_word_is_not_heard(desk: TransferDesk, accepted: Transfer) -> None:
    with pytest.raises(NotFound):
        await desk.hear(accepted, YES, provider="stripe")


async def test_a_dead_letter_in_doubt_is_settled_by_a_late_one(desk: TransferDesk, world: World) -> None:
    made = await dead(desk, world, Unknown("timeout"))
    assert made.status == "in_doubt"
    await desk.hear(made, YES)
    now = await desk.now(made)
    assert (now.status, now.dead, now.needs_review, await desk.balance()) == ("succeeded", None, None, 700)


@pytest.mark.parametrize("said", [YES, NO])
async def test_a_word_about_a_reference_that_was_given_up(desk: TransferDesk, world: World, said: Any) -> None:
    made = await dead(desk, world, NotSent("connect"))
    await retry_transfer(world.till, made.id, ORIGIN)
    await desk.hear(made, said)
    now = await desk.now(made)
    assert (now.status, await desk.balance()) == ("pending", 0)
    assert (now.needs_review is not None) is (said is YES)


async def test_what_cannot_be_written_down_must_be_said_again(
    desk: TransferDesk, accepted: Transfer, world: World
) -> None:
    world.transfers.away = True
    with pytest.raises(BooksUnavailable):
        await desk.hear(accepted, YES)
    world.transfers.away = False
    await desk.hear(accepted, YES)
    assert (await desk.now(accepted)).status == "succeeded"
