"""Capturing: the whole or a part of a hold, once."""

import pytest

from cleartill.domain.errors import ExceedsLeft, IdempotencyKeyReused, InvalidAmount
from cleartill.domain.outcome import Unknown
from cleartill.usecases.resolve import resolve
from fakes import World
from fakes.steps import Steps, body


async def test_the_whole_by_default(world: World, steps: Steps) -> None:
    taken = body(await steps.capture(await steps.hold()))

    assert (taken["status"], taken["amount_captured"], taken["amount_captured_minor"]) == ("captured", 100.0, 10_000)
    assert (world.memory.balance("merchant", "USD"), world.memory.balance("acquirer", "USD")) == (10_000, -10_000)
    assert [(fact.type, fact.seq) for fact, _ in world.memory.facts] == [
        ("payment.created", 1),
        ("payment.authorized", 2),
        ("payment.captured", 3),
    ]


async def test_a_part_is_all_there_will_be(world: World, steps: Steps) -> None:
    held = await steps.hold()
    taken = body(await steps.capture(held, "60.00"))

    assert (taken["status"], taken["amount"], taken["amount_captured"]) == ("captured", 100.0, 60.0)
    assert world.memory.balance("merchant", "USD") == 6_000
    assert world.bank.asked[-1][1].amount_minor == 6_000
    with pytest.raises(ExceedsLeft):
        await steps.refund(held, "60.01")
    assert body(await steps.refund(held))["amount"] == 60.0
    assert world.memory.balance("merchant", "USD") == 0


async def test_a_part_in_doubt_is_asked_again_for_that_part(world: World, steps: Steps) -> None:
    held = await steps.hold()
    world.bank.answers(Unknown("timeout"))
    await steps.capture(held, "60.00")
    world.clock.advance(2)
    await resolve(world.till)
    assert [ask.amount_minor for verb, ask in world.bank.asked if verb == "capture"] == [6_000, 6_000]
    assert world.memory.balance("merchant", "USD") == 6_000


async def test_no_more_than_is_held(world: World, steps: Steps) -> None:
    held = await steps.hold()
    rows = world.memory.rows
    with pytest.raises(ExceedsLeft, match=r"Cannot capture more than is left: 100\.00 USD"):
        await steps.capture(held, "100.01", key="k")
    assert (world.memory.rows, len(world.bank.asked)) == (rows, 1)
    assert body(await steps.capture(held, "100.00", key="k"))["status"] == "captured"


@pytest.mark.parametrize("amount", ["0", "0.00", "-1", "1e2", "1.001", "", "٣", "1,00"])
async def test_an_amount_that_is_none_is_refused(world: World, steps: Steps, amount: str) -> None:
    held = await steps.hold()
    rows = world.memory.rows
    with pytest.raises(InvalidAmount):
        await steps.capture(held, amount)
    assert (world.memory.rows, len(world.bank.asked)) == (rows, 1)


async def test_equal_amounts_are_one_body_and_others_are_not(steps: Steps) -> None:
    held = await steps.hold()
    first = await steps.capture(held, "60", key="k")

    assert (await steps.capture(held, "60.00", key="k")).body == first.body
    for other in ("6", "60.01", None):
        with pytest.raises(IdempotencyKeyReused):
            await steps.capture(held, other, key="k")
