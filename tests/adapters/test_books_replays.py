"""One key, one charge, one answer byte for byte: the use cases on real books, in one process and in two."""

import asyncio
import json

import pytest

from cleartill.domain.errors import IdempotencyInProgress, IdempotencyKeyReused, ProviderUnavailable
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import Approved, NotSent, Unknown
from cleartill.ports import Till
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World
from real import rows
from real.orders import back, id_of, make_due, pay, status_of

YES = Approved("bnk_9", "REF9", "00")


async def test_thirty_two_at_once_in_two_processes_are_one_charge(
    till: Till, other: Till, world: World, database_url: str
) -> None:
    results = await asyncio.gather(*(pay((till, other)[index % 2]) for index in range(32)), return_exceptions=True)

    made = [result for result in results if isinstance(result, Answer)]
    assert [answer.replayed for answer in made].count(False) == 1
    assert len({answer.body for answer in made}) == 1
    assert {type(result) for result in results} <= {Answer, IdempotencyInProgress}
    assert len(world.bank.asked) == 1
    assert rows(database_url, "SELECT count(*) FROM transactions") == [(1,)]


async def test_a_repeat_gets_the_same_bytes_even_after_the_payment_moved_on(till: Till, world: World) -> None:
    first = await pay(till, metadata={"z": 1.50, "a": "ü"})
    await back(till, id_of(first), "1.00")
    again = await pay(till, metadata={"z": 1.50, "a": "ü"})

    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert len(world.bank.asked) == 2


async def test_a_key_with_another_body_is_refused(till: Till, world: World) -> None:
    await pay(till)
    with pytest.raises(IdempotencyKeyReused):
        await pay(till, amount_minor=10_001)
    assert len(world.bank.asked) == 1


async def test_a_repeat_while_the_first_runs_is_told_so(till: Till, world: World) -> None:
    world.bank.hold = asyncio.Event()
    first = asyncio.create_task(pay(till))
    while not world.bank.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    with pytest.raises(IdempotencyInProgress):
        await pay(till)
    world.bank.hold.set()

    assert (await first).status == 201


async def test_in_doubt_then_final(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    first = await pay(till)
    repeated = await pay(till)
    make_due(database_url)
    await resolve(till)
    final = await pay(till)

    assert (first.status, repeated.status, repeated.replayed) == (202, 202, True)
    assert (final.status, json.loads(final.body)["status"], id_of(final)) == (201, "captured", id_of(first))
    assert (await pay(till)).body == final.body


async def test_what_was_not_sent_frees_the_key(till: Till, world: World, database_url: str) -> None:
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await pay(till)

    assert (await pay(till)).status == 201
    assert sorted(status_of(database_url)) == [("captured", "approved"), ("failed", "not_sent")]


async def test_a_crashed_request_is_overdue_and_stays_so_while_the_resolver_tries(
    till: Till, world: World, database_url: str
) -> None:
    """Its claim answers 202, not 409, from the moment the resolver owns it."""
    world.bank.answers(MemoryError())  # the process dies in mid-call
    with pytest.raises(MemoryError):
        await pay(till)
    with pytest.raises(IdempotencyInProgress):
        await pay(till)
    make_due(database_url)

    assert (await pay(till)).status == 202
    await till.backlog.due_attempts(10)  # a resolver took it, and died too
    assert (await pay(till)).status == 202
