"""Deposits and withdrawals are taken on: at once, once, and only with cover."""

import asyncio
import json

import pytest

from cleartill.domain.errors import BooksUnavailable, IdempotencyKeyReused, InsufficientFunds
from cleartill.domain.outcome import Approved
from fakes import World
from fakes.transfers_desk import DEPOSIT, WITHDRAWAL, TransferDesk

YES = Approved("bnk_1", "bnk_1")


@pytest.fixture
def desk(world: World) -> TransferDesk:
    return TransferDesk(world.till)


async def test_a_deposit_is_pending_and_moves_nothing_yet(desk: TransferDesk, world: World) -> None:
    answer = await desk.begin(DEPOSIT)
    shown = json.loads(answer.body)
    assert (answer.status, shown["status"], shown["amount"], shown["amount_minor"]) == (202, "pending", 7.0, 700)
    assert world.memory.journals == []
    assert [fact.type for fact, _ in world.memory.facts] == ["deposit.created"]
    assert world.bank.asked == []


async def test_a_withdrawal_reserves_its_amount_at_once(desk: TransferDesk) -> None:
    await desk.fund(1_000)
    await desk.begin(WITHDRAWAL, 700)
    assert (await desk.balance(), await desk.balance("merchant_reserved")) == (300, 700)
    with pytest.raises(InsufficientFunds, match=r"3\.00 USD") as refusal:
        await desk.begin(WITHDRAWAL, 301)
    assert refusal.value.there_minor == 300
    await desk.begin(WITHDRAWAL, 300)
    assert (await desk.balance(), await desk.total()) == (0, 0)


async def test_too_little_leaves_the_key_free_and_no_row(desk: TransferDesk, world: World) -> None:
    with pytest.raises(InsufficientFunds):
        await desk.begin(WITHDRAWAL, 700, "k")
    assert world.memory.rows == 0
    await desk.fund(700)
    assert not (await desk.begin(WITHDRAWAL, 700, "k")).replayed


async def test_cover_in_another_currency_is_none(desk: TransferDesk) -> None:
    await desk.fund(1_000)
    with pytest.raises(InsufficientFunds, match="0 JPY"):
        await desk.begin(WITHDRAWAL, 1, currency="JPY")


async def test_a_repeat_gets_the_same_bytes_until_the_end_and_then_how_it_ended(desk: TransferDesk) -> None:
    first = await desk.begin(DEPOSIT, 700, "k")
    made = await desk.now(json.loads(first.body)["id"])
    again = await desk.begin(DEPOSIT, 700, "k")
    assert (again.status, again.body, again.replayed) == (202, first.body, True)
    await desk.work()
    assert (await desk.begin(DEPOSIT, 700, "k")).body == first.body
    await desk.hear(made, YES)
    final = await desk.begin(DEPOSIT, 700, "k")
    assert (final.status, final.replayed, json.loads(final.body)["status"]) == (201, True, "succeeded")
    assert (await desk.begin(DEPOSIT, 700, "k")).body == final.body


async def test_a_repeat_of_a_withdrawal_needs_no_cover(desk: TransferDesk) -> None:
    await desk.fund(700)
    first = await desk.begin(WITHDRAWAL, 700, "k")
    again = await desk.begin(WITHDRAWAL, 700, "k")
    assert (again.body, again.replayed) == (first.body, True)
    assert await desk.balance("merchant_reserved") == 700


async def test_one_key_is_good_for_one_body(desk: TransferDesk) -> None:
    await desk.begin(DEPOSIT, 700, "k")
    for changed in ({"amount_minor": 701}, {"currency": "EUR"}, {"description": "x"}, {"metadata": {"a": 1}}):
        with pytest.raises(IdempotencyKeyReused):
            await desk.begin(DEPOSIT, key="k", **changed)


async def test_a_deposits_key_is_no_withdrawals_key(desk: TransferDesk) -> None:
    await desk.fund(700)
    await desk.begin(DEPOSIT, 700, "k")
    assert not (await desk.begin(WITHDRAWAL, 700, "k")).replayed


async def test_many_at_once_under_one_key(desk: TransferDesk, world: World) -> None:
    answers = await asyncio.gather(*(desk.begin(DEPOSIT, 700, "k") for _ in range(16)))
    assert len({answer.body for answer in answers}) == len(world.memory.transfers) == 1
    assert [answer.replayed for answer in answers].count(False) == 1


async def test_books_that_are_away(desk: TransferDesk, world: World) -> None:
    world.transfers.away = True
    with pytest.raises(BooksUnavailable):
        await desk.begin(DEPOSIT)
    assert world.memory.rows == 0
