"""A thousand of each race for a payment, between two processes over one PostgreSQL: one effect each, and both books
agree to the cent."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import Approved, Outcome
from cleartill.ports import Authorization, Callback, Till
from cleartill.usecases.charge import CREATE
from cleartill.usecases.receive_callback import receive_callback
from fakes import World
from fakes.steps import ORIGIN, Steps, body, card
from real import rows
from real.agreement import assert_they_agree

REPEATS, AT_ONCE = 200, 50
PATIENCE_S = (0, 0.02, 0.05, 0.1, 0.2, None)
"""How long the provider's answer waits for its callback to be heard; None: until it was."""

Ends = list[Answer | BaseException]
Race = Callable[[Steps, Steps], Awaitable[Ends]]


async def run(race: Race, till: Till, other: Till, races: int) -> Counter[tuple[str, ...]]:
    """The race again and again, the processes changing places; how often each set of ends came about."""
    ends: Counter[tuple[str, ...]] = Counter()
    for first in range(0, races, AT_ONCE):
        pairs = [(till, other) if number % 2 else (other, till) for number in range(first, first + AT_ONCE)]
        for both in await asyncio.gather(*(race(Steps(one), Steps(two)) for one, two in pairs)):
            ends[tuple(_end(end) for end in both)] += 1
    assert ends.total() == races
    return ends


def _end(end: Answer | BaseException) -> str:
    return str(body(end)["status"]) if isinstance(end, Answer) else type(end).__name__


async def at_once(*work: Coroutine[Any, Any, Answer]) -> Ends:
    """All of it, begun in any order; the ends in the order of the arguments."""
    tasks: dict[int, asyncio.Task[Answer]] = {}
    for place in random.sample(range(len(work)), len(work)):
        tasks[place] = asyncio.create_task(work[place])
    return await asyncio.gather(*(tasks[place] for place in range(len(work))), return_exceptions=True)


def statuses(url: str) -> dict[str, int]:
    return dict(rows(url, "SELECT status, count(*) FROM transactions GROUP BY status"))


async def test_capture_against_void(till: Till, other: Till, world: World, database_url: str, races: int) -> None:
    async def race(one: Steps, two: Steps) -> Ends:
        held = await one.charge(scope=CREATE, capture_method="manual")
        return await at_once(one.capture(held), two.void(held))

    ends = await run(race, till, other, races)

    assert set(ends) == {("captured", "ForbiddenStep"), ("ForbiddenStep", "voided")}
    assert statuses(database_url) == {
        "captured": ends["captured", "ForbiddenStep"],
        "voided": ends["ForbiddenStep", "voided"],
    }
    assert_they_agree(database_url, world.bank)


async def test_refund_against_refund(till: Till, other: Till, world: World, database_url: str, races: int) -> None:
    """Of two refunds that do not fit together one succeeds; then the rest is given back by two that do."""

    async def race(one: Steps, two: Steps) -> Ends:
        paid = await one.charge()
        ends = await at_once(one.refund(paid, "60.00"), two.refund(paid, "60.00"))
        return ends + await at_once(one.refund(paid, "20.00"), two.refund(paid, "20.00"))

    ends = await run(race, till, other, races)

    rest = ("succeeded", "succeeded")
    assert set(ends) <= {("succeeded", "ExceedsLeft", *rest), ("ExceedsLeft", "succeeded", *rest)}
    assert statuses(database_url) == {"refunded": races}
    assert_they_agree(database_url, world.bank)


async def test_confirm_against_fail(till: Till, other: Till, world: World, database_url: str, races: int) -> None:
    async def race(one: Steps, two: Steps) -> Ends:
        made = await one.create()
        return await at_once(one.confirm(made, card()), two.fail(made))

    ends = await run(race, till, other, races)

    assert set(ends) == {("captured", "ForbiddenStep"), ("ForbiddenStep", "failed")}
    captured, failed = ends["captured", "ForbiddenStep"], ends["ForbiddenStep", "failed"]
    assert statuses(database_url) == {"captured": captured, "failed": failed}
    assert len(world.bank.asked) == captured
    assert_they_agree(database_url, world.bank)


async def test_callback_against_request(till: Till, other: Till, world: World, database_url: str, races: int) -> None:
    """The provider calls the other process, twice, and answers this one before, meanwhile or after."""
    mock = world.providers["mock"]
    answer: Callable[[Authorization], Awaitable[Outcome]] = mock.authorize
    heard: list[asyncio.Task[None]] = []

    async def authorize(ask: Authorization) -> Outcome:
        said = await answer(ask)
        assert isinstance(said, Approved)
        news = [Callback(f"{ask.attempt_key}:{number}", ask.payment_id, ask.attempt_key, said) for number in (1, 2)]
        calls = [asyncio.create_task(receive_callback(other, "mock", one, ORIGIN)) for one in news]
        heard.extend(calls)
        await asyncio.wait(calls, timeout=PATIENCE_S[len(heard) // 2 % len(PATIENCE_S)])
        return said

    mock.authorize = authorize  # type: ignore[method-assign]

    async def race(one: Steps, _two: Steps) -> Ends:
        return await at_once(one.charge(provider="mock"))

    ends = await run(race, till, till, races)
    await asyncio.gather(*heard)

    assert dict(ends) == {("captured",): races}
    assert statuses(database_url) == {"captured": races}
    by_callback = rows(database_url, "SELECT transaction_id FROM idempotency_keys WHERE scope = 'callback:mock'")
    assert len(by_callback) == len(set(by_callback)), "both of its words counted"
    assert 0 < len(by_callback) < races, "one of them was always faster: that is no race"
    assert_they_agree(database_url, mock)


@pytest.mark.parametrize("verb", ["capture", "void", "refund"])
async def test_a_step_against_itself_under_one_key(
    till: Till, other: Till, world: World, database_url: str, verb: str
) -> None:
    """A caller who does not wait for the answer, at two processes: one effect, one answer."""

    async def race(one: Steps, two: Steps) -> Ends:
        manual = "manual" if verb != "refund" else "automatic"
        made = await one.charge(scope=CREATE, capture_method=manual)
        return await at_once(getattr(one, verb)(made, key="k"), getattr(two, verb)(made, key="k"))

    ends = await run(race, till, other, REPEATS)

    done = {"capture": "captured", "void": "voided", "refund": "succeeded"}[verb]
    assert set(ends) <= {(done, done), (done, "IdempotencyInProgress"), ("IdempotencyInProgress", done)}
    assert len(world.bank.asked) == 2 * REPEATS
    assert_they_agree(database_url, world.bank)
