"""Refunds: whole, in parts, never more than was captured, whatever becomes of each."""

import asyncio
import json
from typing import Any

import pytest

from cleartill.domain.errors import (
    ExceedsLeft,
    ForbiddenStep,
    IdempotencyKeyReused,
    InDoubtNow,
    InvalidAmount,
    NotFound,
    ProviderUnavailable,
)
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import Declined, NotSent, Unknown
from cleartill.ports import Reversal, Unit
from fakes import World


async def test_the_whole_by_default(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    answer = await give_back(paid)

    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["amount"]) == (201, "succeeded", 100.0)
    (payment,) = world.memory.payments.values()
    assert (payment.status, payment.left_to_refund_minor) == ("refunded", 0)
    assert world.memory.balance("merchant", "USD") == 0


async def test_the_provider_is_asked_under_the_refunds_key(world: World, pay: Any, give_back: Any) -> None:
    told = json.loads((await give_back(await pay(), "1.00")).body)

    verb, ask = world.bank.asked[-1]
    (payment,) = world.memory.payments.values()
    assert isinstance(ask, Reversal)
    assert (verb, ask.attempt_key, ask.amount_minor) == ("refund", f"{told['id']}.refund.1", 100)
    assert ask.provider_payment_id == payment.provider_payment_id


async def test_parts_add_up_to_the_whole_and_no_further(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    for amount in ("60.00", "39.99"):
        await give_back(paid, amount)
    with pytest.raises(ExceedsLeft) as refused:
        await give_back(paid, "0.02")

    assert refused.value.left_minor == 1
    await give_back(paid)
    with pytest.raises(ForbiddenStep):
        await give_back(paid)


async def test_of_many_at_once_only_what_fits_succeeds(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    results = await asyncio.gather(*(give_back(paid, "60.00") for _ in range(16)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Answer"] + ["ExceedsLeft"] * 15
    assert world.memory.balance("merchant", "USD") == 4_000


async def test_refunds_that_fit_are_never_refused_for_losing_a_race(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    results = await asyncio.gather(*(give_back(paid, "6.25") for _ in range(16)))

    assert {answer.status for answer in results} == {201}
    assert world.memory.balance("merchant", "USD") == 0


@pytest.mark.parametrize(
    ("said", "status", "reserved"),
    [(Declined("processing_error"), "failed", 0), (Unknown("timeout"), "in_doubt", 6_000)],
)
async def test_a_reservation_is_kept_while_nobody_knows(
    world: World, pay: Any, give_back: Any, said: Any, status: str, reserved: int
) -> None:
    paid = await pay()
    world.bank.answers(said)
    answer = await give_back(paid, "60.00")

    (payment,) = world.memory.payments.values()
    assert json.loads(answer.body)["status"] == status
    assert (payment.status, payment.refund_reserved_minor, payment.amount_refunded_minor) == ("captured", reserved, 0)


async def test_what_was_not_sent_is_given_back_and_frees_the_key(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await give_back(paid, "60.00", "k")

    assert (await give_back(paid, "60.00", "k")).status == 201


async def test_only_what_was_captured_can_be_refunded(world: World, pay: Any, give_back: Any) -> None:
    world.bank.answers(Declined("card_declined"))
    with pytest.raises(ForbiddenStep):
        await give_back(await pay())
    world.bank.answers(Unknown("timeout"))
    with pytest.raises(InDoubtNow):
        await give_back(await pay())
    with pytest.raises(NotFound):
        await give_back("pay_nothing")


@pytest.mark.parametrize("amount", ["0", "-1", "1e2", "1.001", "", "٣"])
async def test_an_amount_that_is_none_is_refused(world: World, pay: Any, give_back: Any, amount: str) -> None:
    paid = await pay()
    before = world.memory.rows
    with pytest.raises(InvalidAmount):
        await give_back(paid, amount)
    assert world.memory.rows == before


async def test_a_repeat_gets_the_same_bytes_even_when_nothing_is_left(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    first, again = await give_back(paid, None, "k"), await give_back(paid, None, "k")

    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)


async def test_equal_amounts_are_one_body_and_others_are_not(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    first: Answer = await give_back(paid, "10", "k")

    assert (await give_back(paid, "10.00", "k")).body == first.body
    with pytest.raises(IdempotencyKeyReused):
        await give_back(paid, "1", "k")


async def test_a_key_is_of_one_payment(world: World, pay: Any, give_back: Any) -> None:
    first, second = await pay(), await pay()

    assert (await give_back(first, "1", "k")).body != (await give_back(second, "1", "k")).body


async def test_a_payment_that_never_stands_still_is_given_up(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()

    def meddle(unit: Unit) -> None:
        if unit.is_intent:
            next(iter(world.memory.payments.values())).version += 1

    world.books.before_record = meddle
    with pytest.raises(Exception, match="Too many changes"):
        await give_back(paid, "1")
    assert len(world.bank.asked) == 1
