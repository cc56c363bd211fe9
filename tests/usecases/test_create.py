"""Creating a payment: it is written down and nobody is asked for money yet."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, IdempotencyKeyReused, NotFound
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.ports import Unit
from cleartill.usecases.charge import CREATE
from cleartill.usecases.erase_card import erase_card
from fakes import OTHER_MERCHANT_ID, World
from fakes.steps import ORIGIN, Steps, body, card


async def test_a_payment_is_pending_and_nobody_is_asked(world: World, steps: Steps) -> None:
    made = await steps.create("k", order_id=17, customer_email="a@payer.example", metadata={"a": 1})

    told = body(made)
    assert (made.status, told["status"], told["amount_minor"], told["order_id"]) == (201, "pending", 10_000, 17)
    assert (told["customer_email"], told["metadata"], told["capture_method"]) == (
        "a@payer.example",
        {"a": 1},
        "automatic",
    )
    assert world.bank.asked == []
    assert world.memory.attempts == {}
    assert world.memory.journals == []
    assert [(fact.type, fact.seq) for fact, _ in world.memory.facts] == [("payment.created", 1)]


async def test_a_card_is_stored_without_its_cvv(world: World, steps: Steps) -> None:
    told = body(await steps.create(card=card(cvv="987")))

    (sealed,) = world.memory.cards.values()
    assert told["card"]["card_token"] == sealed.token
    assert world.vault.open(sealed).cvv is None
    assert "4242424242424242" not in str(told)


@pytest.mark.parametrize(
    ("changes", "provider"),
    [
        ({}, "bank"),
        ({"card": None}, "internal"),
        ({"card": None, "provider": "bank"}, "bank"),
        ({"provider": "mock"}, "mock"),
        ({"card": None, "provider": "mock"}, "mock"),
    ],
)
async def test_who_will_be_asked(steps: Steps, changes: dict[str, Any], provider: str) -> None:
    """Without a card and without a name the caller vouches for the money."""
    assert body(await steps.create(**changes))["provider"] == provider


async def test_the_default_provider_is_a_setting(world: World, steps: Steps) -> None:
    world.till.default_provider = "mock"
    assert body(await steps.create())["provider"] == "mock"


async def test_a_stored_card_is_named_by_its_token(world: World, steps: Steps) -> None:
    token = body(await steps.create())["card"]["card_token"]
    again = body(await steps.create(card=None, card_token=token))

    assert (again["card"]["card_token"], again["provider"], len(world.memory.cards)) == (token, "bank", 1)


@pytest.mark.parametrize("merchant_id", [DEMO_MERCHANT_ID, OTHER_MERCHANT_ID])
async def test_a_card_that_is_not_there_is_not_found(world: World, steps: Steps, merchant_id: str) -> None:
    token = body(await steps.create())["card"]["card_token"]
    rows = world.memory.rows
    with pytest.raises(NotFound):
        await steps.create(
            "k",
            card=None,
            card_token="card_none" if merchant_id == DEMO_MERCHANT_ID else token,
            merchant_id=merchant_id,
        )
    assert world.memory.rows == rows


async def test_a_repeat_gets_the_same_bytes(world: World, steps: Steps) -> None:
    first, again = await steps.create("k"), await steps.create("k", card=card(cvv="321"))

    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert (len(world.memory.payments), len(world.memory.cards)) == (1, 1)


async def test_a_repeat_gets_what_was_said_then_and_not_what_is_now(steps: Steps) -> None:
    first = await steps.create("k")
    await steps.confirm(first)
    assert (await steps.create("k")).body == first.body


async def test_a_repeat_gets_its_answer_even_when_the_card_was_erased_since(world: World, steps: Steps) -> None:
    """The rules would refuse it now; it is a repeat all the same."""
    token = body(await steps.create())["card"]["card_token"]
    first = await steps.create("k", card=None, card_token=token)
    charged = await steps.charge("c", card=None, card_token=token)
    await erase_card(world.till, DEMO_MERCHANT_ID, token, ORIGIN)

    assert (await steps.create("k", card=None, card_token=token)).body == first.body
    assert (await steps.charge("c", card=None, card_token=token)).body == charged.body
    with pytest.raises(NotFound):
        await steps.create("another", card=None, card_token=token)


async def test_many_with_one_key_are_one_payment(world: World, steps: Steps) -> None:
    answers = await asyncio.gather(*(steps.create("k") for _ in range(16)))

    assert len({answer.body for answer in answers}) == len(world.memory.payments) == 1
    assert sum(not answer.replayed for answer in answers) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 1},
        {"currency": "EUR"},
        {"capture_method": "manual"},
        {"payment_method": "debit_card"},
        {"card": card("5555555555554444")},
        {"card": None},
        {"provider": "bank"},
        {"order_id": "1"},
        {"customer_email": "a@payer.example"},
        {"description": "d"},
        {"metadata": {"a": 1}},
    ],
)
async def test_a_key_with_another_body_is_refused(world: World, steps: Steps, change: dict[str, Any]) -> None:
    await steps.create("k", order_id=1)
    rows = world.memory.rows
    with pytest.raises(IdempotencyKeyReused):
        await steps.create("k", **({"order_id": 1} | change))
    assert world.memory.rows == rows


async def test_to_confirm_at_once_is_another_body(steps: Steps) -> None:
    await steps.create("k")
    with pytest.raises(IdempotencyKeyReused):
        await steps.charge("k", scope=CREATE)


async def test_the_key_of_a_charge_is_a_stranger(steps: Steps) -> None:
    assert body(await steps.charge("k"))["id"] != body(await steps.create("k"))["id"]


async def test_the_key_is_each_merchants_own(steps: Steps) -> None:
    first, second = await steps.create("k"), await steps.create("k", merchant_id=OTHER_MERCHANT_ID)
    assert body(first)["id"] != body(second)["id"]


async def test_books_that_are_away_leave_nothing_and_the_key_free(world: World, steps: Steps) -> None:
    world.books.away = True
    with pytest.raises(BooksUnavailable):
        await steps.create("k")
    world.books.away = False

    assert world.memory.rows == 0
    assert (await steps.create("k")).replayed is False


async def test_what_comes_too_late_is_not_written(world: World, steps: Steps) -> None:
    def late(_: Unit) -> None:
        world.clock.advance(9)

    world.books.before_record = late
    with pytest.raises(BooksUnavailable):
        await steps.create("k")
    assert world.memory.rows == 0
