"""Callbacks that come again, against each other, before the answer or after the tombstone: one effect."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.errors import ExceedsLeft
from cleartill.domain.outcome import ActionRequired, Approved, Declined, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Callback, Loaded
from cleartill.usecases.receive_callback import receive_callback
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World
from fakes.steps import ORIGIN, Steps, body, card

YES, NO = Approved("bnk_1", "REF1"), Declined("card_declined", provider_id="bnk_1")
ACS = ActionRequired("bnk_1", "https://bank.example/3ds")


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


def news(world: World, outcome: Any = YES, event_id: str = "evt_1", **more: Any) -> Callback:
    """About the last attempt."""
    attempt = list(world.memory.attempts.values())[-1]
    return Callback(event_id, attempt.payment_id, attempt.key, outcome, **more)


async def hear(world: World, callback: Callback, provider: str = "bank") -> None:
    await receive_callback(world.till, provider, callback, ORIGIN)


def told(world: World) -> list[str]:
    return [fact.type for fact, _ in world.memory.facts]


@pytest.fixture
async def challenged(world: World, steps: Steps) -> World:
    """A payment whose payer is at the bank's page, under the key k."""
    world.bank.answers(ACS)
    await steps.charge("k")
    return world


async def test_said_again_it_has_no_effect(challenged: World) -> None:
    await hear(challenged, news(challenged))
    rows, version = challenged.memory.rows, the_payment(challenged).version
    for event_id in ("evt_1", "evt_2"):
        await hear(challenged, news(challenged, event_id=event_id))

    assert (challenged.memory.rows, the_payment(challenged).version) == (rows, version)
    assert (the_payment(challenged).needs_review, challenged.memory.balance("merchant", "USD")) == (None, 10_000)


async def test_said_many_times_at_once_it_has_one_effect(challenged: World) -> None:
    await asyncio.gather(*(hear(challenged, news(challenged, event_id=f"evt_{n % 3}")) for n in range(12)))
    assert (told(challenged).count("payment.captured"), the_payment(challenged).needs_review) == (1, None)


async def test_an_event_that_was_heard_says_nothing_else_later(challenged: World) -> None:
    """An event's id stands for one piece of news."""
    await hear(challenged, news(challenged, amount_minor=1, currency="USD"))
    await hear(challenged, news(challenged))
    assert the_payment(challenged).status == "requires_action"


@pytest.mark.parametrize(("first", "then", "status"), [(YES, NO, "captured"), (NO, YES, "failed")])
async def test_a_contradiction_moves_no_money_and_asks_for_a_person(
    challenged: World, first: Any, then: Any, status: str
) -> None:
    await hear(challenged, news(challenged, first))
    balance = challenged.memory.balance("merchant", "USD")
    for event_id in ("evt_2", "evt_2", "evt_3"):
        await hear(challenged, news(challenged, then, event_id))

    payment = the_payment(challenged)
    assert (payment.status, challenged.memory.balance("merchant", "USD")) == (status, balance)
    assert payment.needs_review is not None
    assert told(challenged).count("payment.needs_review") == 1


@pytest.mark.parametrize(("answer", "review"), [(YES, False), (ACS, False), (NO, True)])
async def test_a_callback_may_be_faster_than_the_answer(world: World, steps: Steps, answer: Any, review: bool) -> None:
    """What came first stands; an answer that says otherwise asks for a person."""
    mock = world.providers["mock"]
    mock.hold = asyncio.Event()
    mock.answers(answer)
    request = asyncio.create_task(steps.charge("k", provider="mock"))
    await mock.reached.wait()
    await hear(world, news(world), "mock")
    assert the_payment(world).status == "captured"
    mock.hold.set()
    first = await request

    assert (first.status, body(first)["status"], body(first)["action"]) == (201, "captured", None)
    assert (the_payment(world).needs_review is not None) is review
    assert (told(world).count("payment.captured"), world.memory.balance("merchant", "USD")) == (1, 10_000)


async def test_a_no_may_be_faster_than_the_answer(world: World, steps: Steps) -> None:
    world.bank.hold = asyncio.Event()
    world.bank.answers(NO)
    request = asyncio.create_task(steps.charge("k"))
    await world.bank.reached.wait()
    await hear(world, news(world, NO))
    world.bank.hold.set()
    assert (body(await request)["status"], the_payment(world).needs_review) == ("failed", None)


async def test_a_yes_after_a_tombstone_asks_for_a_person_named_or_not(world: World, steps: Steps) -> None:
    """The bank said that it never happened, and that it did."""
    world.bank.answers(Unknown("timeout"))
    await steps.charge()
    world.clock.advance(2)
    await resolve(world.till)
    assert (the_payment(world).status, the_payment(world).provider_payment_id) == ("failed", None)
    await hear(world, news(world))
    assert (the_payment(world).needs_review is not None, world.memory.journals) == (True, [])


async def test_a_callback_that_comes_after_the_tombstone_asks_for_a_person(world: World, steps: Steps) -> None:
    world.bank.answers(Scripted(ACS))
    await steps.charge()
    world.clock.advance(3600)
    await resolve(world.till)
    await hear(world, news(world))

    payment = the_payment(world)
    assert (payment.status, payment.needs_review is not None, world.memory.journals) == ("expired", True, [])


async def test_a_hard_no_by_callback_is_remembered_of_the_card(challenged: World, steps: Steps) -> None:
    await hear(challenged, news(challenged, Declined("stolen_card")))
    assert body(await steps.charge())["decline"]["code"] == "stolen_card"
    assert len(challenged.bank.asked) == 1
    assert body(await steps.charge(card=card("5555555555554444")))["status"] == "captured"


async def test_what_is_written_while_a_callback_is_heard_stays_written(world: World, steps: Steps) -> None:
    """Between its look at the books and its word in them, more of the money is promised back."""
    paid = await steps.charge()
    world.bank.answers(Unknown("timeout"), Unknown("timeout"))
    await steps.refund(paid, "60.00")
    callback, find = news(world), world.books.find_attempt

    async def meanwhile(attempt_key: str) -> Loaded:
        found = await find(attempt_key)
        await steps.refund(paid, "30.00")
        return found

    world.books.find_attempt = meanwhile  # type: ignore[method-assign]
    await hear(world, callback)

    payment = the_payment(world)
    assert (payment.amount_refunded_minor, payment.refund_reserved_minor) == (6_000, 3_000)
    with pytest.raises(ExceedsLeft):
        await steps.refund(paid, "40.00")
