"""Giving up a payment that nobody was asked for."""

import pytest

from cleartill.domain.errors import BooksUnavailable, ForbiddenStep, InDoubtNow, NotFound
from cleartill.domain.outcome import Unknown
from cleartill.ports import Unit
from fakes import OTHER_MERCHANT_ID, World
from fakes.steps import Steps, body


async def test_a_pending_payment_is_failed_and_nobody_is_asked(world: World, steps: Steps) -> None:
    given_up = await steps.fail(await steps.create())

    assert (given_up.status, body(given_up)["status"], body(given_up)["decline"]) == (200, "failed", None)
    assert world.bank.asked == []
    assert world.memory.attempts == {}
    assert [(fact.type, fact.seq) for fact, _ in world.memory.facts] == [("payment.created", 1), ("payment.failed", 2)]


async def test_what_was_asked_for_cannot_be_given_up(world: World, steps: Steps) -> None:
    paid = await steps.charge()
    rows = world.memory.rows
    with pytest.raises(ForbiddenStep, match="Cannot fail a payment that is captured"):
        await steps.fail(paid, "k")
    assert world.memory.rows == rows


async def test_doubt_is_waited_for(world: World, steps: Steps) -> None:
    world.bank.answers(Unknown("timeout"))
    with pytest.raises(InDoubtNow):
        await steps.fail(await steps.charge())


async def test_another_merchants_payment_is_absent(steps: Steps) -> None:
    made = await steps.create()
    with pytest.raises(NotFound):
        await steps.fail(made, merchant_id=OTHER_MERCHANT_ID)
    with pytest.raises(NotFound):
        await steps.fail("pay_none")


async def test_a_repeat_gets_the_same_bytes_and_another_key_a_no(steps: Steps) -> None:
    made = await steps.create()
    first, again = await steps.fail(made, "k"), await steps.fail(made, "k")

    assert (again.status, again.body, again.replayed) == (200, first.body, True)
    with pytest.raises(ForbiddenStep):
        await steps.fail(made, "l")
    with pytest.raises(ForbiddenStep):
        await steps.fail(made)


async def test_a_refusal_leaves_the_key_free(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.books.away = True
    with pytest.raises(BooksUnavailable):
        await steps.fail(made, "k")
    world.books.away = False
    assert (await steps.fail(made, "k")).replayed is False


async def test_a_payment_that_moved_is_decided_again(world: World, steps: Steps) -> None:
    made = await steps.create()
    moved = iter((True, True))

    def meddle(_: Unit) -> None:
        if next(moved, False):
            next(iter(world.memory.payments.values())).version += 1

    world.books.before_record = meddle
    assert body(await steps.fail(made))["status"] == "failed"
