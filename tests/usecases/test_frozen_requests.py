"""A request that was frozen, or lost its books, before it could send: it must not say "nothing was sent" of a refund
that the resolver sends."""

import json
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import NotSent
from cleartill.domain.payment import Payment
from cleartill.ports import Unit
from cleartill.usecases.resolve import resolve
from fakes import World


@pytest.fixture
async def paid(world: World, pay: Any) -> Answer:
    paid: Answer = await pay()
    world.bank.answers(NotSent("deadline"))
    return paid


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


def refunds_asked(world: World) -> int:
    return sum(verb == "refund" for verb, _ in world.bank.asked)


async def test_a_refund_that_the_resolver_has_taken_over_is_not_undone(world: World, paid: Any, give_back: Any) -> None:
    def taken_over(unit: Unit) -> None:
        """The request thaws while the resolver is asking."""
        if unit.attempt and unit.attempt.status is AttemptStatus.NOT_SENT:
            list(world.memory.attempts.values())[-1].tries += 1

    world.books.before_record = taken_over
    first = await give_back(paid, "60.00", key="k")

    assert (first.status, json.loads(first.body)["status"]) == (202, "in_doubt")
    assert the_payment(world).refund_reserved_minor == 6_000

    world.clock.advance(60)
    await resolve(world.till)
    again = await give_back(paid, "60.00", key="k")

    assert (again.status, json.loads(again.body)["status"]) == (201, "succeeded")
    assert json.loads(again.body)["id"] == json.loads(first.body)["id"]
    assert world.memory.balance("merchant", "USD") == 4_000
    assert the_payment(world).needs_review is None


async def test_not_sent_that_cannot_be_written_down_is_in_doubt(world: World, paid: Any, give_back: Any) -> None:
    """The resolver will find the attempt open and send it: a 503 would invite a second refund."""

    def lost(unit: Unit) -> None:
        if not unit.is_intent:
            raise BooksUnavailable("away")

    world.books.before_record = lost
    assert (await give_back(paid, "60.00")).status == 202
    world.books.before_record = None
    world.clock.advance(10)
    await resolve(world.till)

    assert world.memory.balance("merchant", "USD") == 4_000


async def test_a_refund_that_the_resolver_has_settled_is_answered_as_it_is(
    world: World, paid: Any, give_back: Any
) -> None:
    units: list[Unit] = []

    async def resolver_first(unit: Unit) -> Any:
        if not unit.is_intent and not units:
            units.append(unit)
            world.clock.advance(10)
            await resolve(world.till)
        return await record(unit)

    record, world.books.record = world.books.record, resolver_first  # type: ignore[method-assign]
    answer = await give_back(paid, "60.00")

    assert (answer.status, json.loads(answer.body)["status"]) == (201, "succeeded")
    assert refunds_asked(world) == 2
    assert world.memory.balance("merchant", "USD") == 4_000
