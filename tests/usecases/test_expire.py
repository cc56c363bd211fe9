"""Holds that have lapsed are released, and payers who did not act are waited for no more."""

import pytest

from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Unknown
from cleartill.domain.payment import ACTION_WITHIN, HOLD_LASTS, Payment
from cleartill.usecases.expire import expire
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World
from fakes.steps import Steps

WEEK_S, HOUR_S = HOLD_LASTS.total_seconds(), 3600.0


@pytest.fixture
async def lapsed(world: World, steps: Steps) -> World:
    """A hold whose time has just come."""
    await steps.hold()
    world.clock.advance(WEEK_S)
    return world


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


async def test_nothing_is_released_before_its_time(world: World, steps: Steps) -> None:
    await steps.hold()
    world.clock.advance(WEEK_S - 1)
    assert await expire(world.till) == 0
    assert the_payment(world).status == "authorized"


async def test_a_lapsed_hold_is_released(lapsed: World) -> None:
    assert await expire(lapsed.till) == 1

    payment = the_payment(lapsed)
    assert (payment.status, payment.lapses_at, lapsed.memory.journals) == ("expired", None, [])
    verb, ask = lapsed.bank.asked[-1]
    assert (verb, ask.attempt_key, ask.amount_minor) == ("void", f"{payment.id}.expire.2", 10_000)
    assert [fact.type for fact, _ in lapsed.memory.facts][-1] == "payment.expired"
    assert {origin.actor for fact, origin in lapsed.memory.facts if fact.type == "payment.expired"} == {
        "payment.expire"
    }
    assert await expire(lapsed.till) == 0


async def test_a_no_is_asked_again_in_an_hour(lapsed: World) -> None:
    lapsed.bank.answers(Declined("processing_error"))
    await expire(lapsed.till)
    assert the_payment(lapsed).status == "authorized"
    lapsed.clock.advance(HOUR_S - 1)
    assert await expire(lapsed.till) == 0
    lapsed.clock.advance(1)
    assert await expire(lapsed.till) == 1
    assert the_payment(lapsed).status == "expired"


async def test_who_cannot_be_asked_now_is_asked_in_a_minute(lapsed: World) -> None:
    lapsed.providers.refused.add("bank")
    assert await expire(lapsed.till) == 1
    assert await expire(lapsed.till) == 0
    lapsed.providers.refused.clear()
    lapsed.clock.advance(60)
    assert await expire(lapsed.till) == 1
    assert the_payment(lapsed).status == "expired"


async def test_what_was_not_sent_is_held_as_before(lapsed: World) -> None:
    lapsed.bank.answers(NotSent("connect"))
    assert await expire(lapsed.till) == 1
    assert the_payment(lapsed).status == "authorized"


@pytest.mark.parametrize("happened", [True, False])
async def test_doubt_is_resolved_as_an_expiry(lapsed: World, happened: bool) -> None:
    lapsed.bank.answers(Scripted(Unknown("timeout"), Approved("void_9") if happened else None))
    await expire(lapsed.till)
    assert the_payment(lapsed).status == "in_doubt"
    lapsed.clock.advance(2)
    await resolve(lapsed.till)
    assert the_payment(lapsed).status == "expired"


async def test_a_hold_that_was_captured_in_time_stays(world: World, steps: Steps) -> None:
    held = await steps.hold()
    await steps.capture(held)
    world.clock.advance(WEEK_S)
    assert await expire(world.till) == 0
    assert the_payment(world).status == "captured"


async def test_a_hold_that_is_captured_just_then_stays(lapsed: World, steps: Steps) -> None:
    """The round has seen it, and the merchant is faster."""
    payment_id = the_payment(lapsed).id
    load = lapsed.books.load

    async def captured_first(*which: str) -> object:
        lapsed.books.load = load  # type: ignore[method-assign]
        loaded = await load(*which)
        await steps.capture(payment_id)
        return loaded

    lapsed.books.load = captured_first  # type: ignore[assignment,method-assign]
    assert await expire(lapsed.till) == 1
    assert the_payment(lapsed).status == "captured"
    assert [verb for verb, _ in lapsed.bank.asked] == ["authorize", "capture"]


async def test_one_that_fails_keeps_no_other_from_it(world: World, steps: Steps) -> None:
    for _ in range(3):
        await steps.hold()
    world.clock.advance(WEEK_S)
    world.bank.answers(ValueError("this one cannot be asked about"))
    with pytest.raises(ValueError, match="cannot be asked about"):
        await expire(world.till)
    assert sorted(payment.status for payment in world.memory.payments.values()) == ["expired", "expired", "processing"]


async def test_a_payer_who_does_not_act_lets_the_payment_expire(world: World, steps: Steps) -> None:
    """The provider is asked, and puts a tombstone: who acts later has paid nothing."""
    world.bank.answers(Scripted(ActionRequired("bnk_1", "https://bank.example/3ds")))
    await steps.confirm(await steps.create("c"), key="k")
    world.clock.advance(ACTION_WITHIN.total_seconds() - 1)
    assert (await resolve(world.till), await expire(world.till)) == (0, 0)
    world.clock.advance(1)
    assert (await expire(world.till), await resolve(world.till)) == (0, 1)

    payment = the_payment(world)
    assert (payment.status, payment.action, payment.lapses_at) == ("expired", None, None)
    assert (len(world.bank.tombstones), world.memory.journals) == (1, [])
    held = [held for held in world.memory.claims.values() if held.claim.scope.startswith("confirm")]
    assert held[0].answer is not None
    assert held[0].answer.status == 200


async def test_a_payer_who_is_still_expected_is_waited_for(world: World, steps: Steps) -> None:
    world.bank.answers(ActionRequired("bnk_1", "https://bank.example/3ds"))
    await steps.charge()
    for _ in range(3):
        world.clock.advance(ACTION_WITHIN.total_seconds())
        assert await resolve(world.till) == 1
        assert the_payment(world).status == "requires_action"
