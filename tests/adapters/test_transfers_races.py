"""Transfers on a real PostgreSQL: callbacks against workers, workers against workers, repeats against each other."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from cleartill.adapters.postgres.transfers import TRIES_TOLD, PostgresTransfers
from cleartill.domain.errors import BooksUnavailable, InsufficientFunds
from cleartill.domain.outcome import Accepted, Approved, Declined, Found
from cleartill.ports import Fate, Hop, Till, Turn
from cleartill.usecases.execute_transfer import execute_transfer
from fakes import World
from fakes.transfers_desk import DEPOSIT, ORIGIN, WITHDRAWAL, TransferDesk
from real import Room, open_room, rows

AT_ONCE = 50
YES, NO = Approved("bnk_1", "bnk_1", "00"), Declined("processing_error", "12", "bnk_1")


@pytest.fixture
def desk(till: Till) -> TransferDesk:
    return TransferDesk(till)


@pytest.fixture
async def other_desk(other: Till) -> TransferDesk:
    """Another process."""
    return TransferDesk(other, "worker-2")


def due_now(url: str) -> None:
    rows(url, "UPDATE transfers SET next_at = now(), lease_until = NULL, lease_owner = NULL WHERE next_at IS NOT NULL")


def sums(url: str) -> dict[str, int]:
    found = rows(url, "SELECT account, sum(amount_minor)::bigint FROM ledger_entries GROUP BY account")
    return {account: amount for account, amount in found if amount}


class Bank:
    """Calls back about each transfer while its worker still waits for the answer; says a yes to every third, also to
    whoever asks, and a no to the others."""

    def __init__(self, world: World, desk: TransferDesk) -> None:
        self.desk = desk
        self.heard: list[asyncio.Task[None]] = []
        world.bank.transfer = self.transfer  # type: ignore[method-assign]
        self.orders: dict[str, int] = {}

    def end(self, reference: str) -> Approved | Declined:
        return YES if int(reference[4:].partition(".")[0][-2:], 36) % 3 == 0 else NO

    async def transfer(self, ask: Any) -> Any:
        number = self.orders[ask.attempt_key] = self.orders.get(ask.attempt_key, 0) + 1
        made = await self.desk.now(ask.attempt_key.partition(".")[0])
        said = self.end(ask.attempt_key)
        if number == 1:
            for event in ("evt_1", "evt_1", "evt_2"):
                self.heard.append(asyncio.create_task(self.desk.hear(made, said, f"{event}:{made.id}")))
        await asyncio.sleep(0)
        return Accepted("bnk_1") if len(self.orders) % 2 else said


async def test_a_callback_that_races_its_worker_again_and_again_has_one_effect(
    desk: TransferDesk, other_desk: TransferDesk, world: World, database_url: str, races: int
) -> None:
    await desk.fund(races * 100)
    bank = Bank(world, other_desk)
    made = []
    for _ in range(races // AT_ONCE):
        made += await asyncio.gather(*(desk.make(WITHDRAWAL, 100) for _ in range(AT_ONCE)))
        while await desk.work() + await other_desk.work():
            pass
        await asyncio.gather(*bank.heard)
        bank.heard.clear()

    paid = sum(bank.end(transfer.reference) is YES for transfer in made)
    assert 0 < paid < races
    states = dict(
        rows(database_url, "SELECT status, count(*) FROM transfers WHERE kind = 'withdrawal' GROUP BY status")
    )
    assert states == {"succeeded": paid, "failed": races - paid}
    assert sums(database_url) == {"merchant": (races - paid) * 100, "bank": paid * 100 - races * 100}
    ends = rows(database_url, "SELECT count(*) FROM outbox WHERE type IN ('withdrawal.succeeded', 'withdrawal.failed')")
    assert ends == [(races,)]
    assert rows(database_url, "SELECT count(*) FROM transfers WHERE needs_review IS NOT NULL") == [(0,)]
    assert (await desk.balance(), await desk.balance("merchant_reserved")) == ((races - paid) * 100, 0)


async def test_a_callback_against_the_word_of_the_bank_itself(
    desk: TransferDesk, other_desk: TransferDesk, world: World, database_url: str
) -> None:
    """Two opposite words at once: one wins, the other asks for a person, and money moves once."""
    await desk.fund(10_000)
    for number in range(30):
        made = await desk.make(WITHDRAWAL, 100)
        await desk.work()
        world.bank.ends[made.reference] = Found(YES)
        due_now(database_url)
        await asyncio.gather(desk.work(), other_desk.hear(made, NO, f"evt_{number}"))
    states = dict(
        rows(database_url, "SELECT status, count(*) FROM transfers WHERE kind = 'withdrawal' GROUP BY status")
    )
    assert sum(states.values()) == 30
    silent = "SELECT status, attempts FROM transfers WHERE kind = 'withdrawal' AND needs_review IS NULL"
    assert {status for status, _ in rows(database_url, silent)} <= {"failed"}, "the callback came before the worker"
    assert len(rows(database_url, silent)) < 30
    assert await desk.balance() == 10_000 - 100 * states.get("succeeded", 0)
    assert await desk.total() == 0


async def test_the_same_key_at_once_in_two_processes(
    desk: TransferDesk, other_desk: TransferDesk, database_url: str
) -> None:
    await desk.fund(700)
    answers = await asyncio.gather(*((desk, other_desk)[n % 2].begin(WITHDRAWAL, 700, "k") for n in range(32)))
    assert len({answer.body for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert rows(database_url, "SELECT count(*) FROM transfers WHERE kind = 'withdrawal'") == [(1,)]


async def test_withdrawals_at_once_in_two_processes_take_no_more_than_there_is(
    desk: TransferDesk, other_desk: TransferDesk, room: Room, database_url: str
) -> None:
    await desk.fund(1_000)

    async def roll() -> None:
        for _ in range(20):
            await room.ledger.roll_up(64)

    _, *ended = await asyncio.gather(
        roll(), *((desk, other_desk)[n % 2].begin(WITHDRAWAL, 70) for n in range(24)), return_exceptions=True
    )
    taken = [one for one in ended if not isinstance(one, BaseException)]
    assert {type(one) for one in ended if isinstance(one, BaseException)} <= {InsufficientFunds}
    assert len(taken) == 14
    assert (await desk.balance(), await desk.balance("merchant_reserved")) == (20, 980)
    assert rows(database_url, "SELECT count(*) FROM idempotency_keys WHERE scope = 'withdrawal'") == [(14,)]


async def test_who_needs_cover_waits_for_who_is_just_taking_it(desk: TransferDesk, database_url: str) -> None:
    """Another process has locked the balance and taken from it, and not committed yet."""
    await desk.fund(1_000)
    rows(database_url, "INSERT INTO balances VALUES ('merchant_123', 'merchant', 'USD') ON CONFLICT DO NOTHING")
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM balances WHERE account = 'merchant' FOR NO KEY UPDATE")
        cursor.execute("INSERT INTO ledger_pending VALUES ('merchant_123', 'merchant', 'USD', -600)")
        waiting = asyncio.create_task(desk.begin(WITHDRAWAL, 600))
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
        holder.commit()
        with pytest.raises(InsufficientFunds, match=r"4\.00 USD"):
            await waiting


# ── workers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_many_workers_ask_once_for_each(desk: TransferDesk, other: Till, world: World, database_url: str) -> None:
    for _ in range(40):
        await desk.make(DEPOSIT, 100)
    done = await asyncio.gather(*(execute_transfer((desk.till, other)[n % 2], f"w{n}") for n in range(6)))
    assert sum(done) == 40
    references = [ask.attempt_key for _, ask in world.bank.asked]
    assert len(references) == len(set(references)) == 40


async def test_a_thawed_worker_with_an_old_epoch_writes_nothing(
    desk: TransferDesk, other_desk: TransferDesk, world: World, database_url: str
) -> None:
    """Frozen in mid-call for longer than its lease, by the database's clock."""
    made = await desk.make(DEPOSIT)
    world.bank.hold = asyncio.Event()
    world.bank.transfers.append(NO)
    frozen = asyncio.create_task(desk.work())
    await world.bank.reached.wait()
    rows(database_url, "UPDATE transfers SET lease_until = now() - interval '1 second'")
    hold, world.bank.hold = world.bank.hold, None
    script = world.bank.transfers.popleft()
    assert await other_desk.work() == 1
    before = rows(database_url, "SELECT * FROM transfers")
    world.bank.transfers.append(script)
    hold.set()
    await frozen
    assert rows(database_url, "SELECT * FROM transfers") == before
    assert rows(database_url, "SELECT type FROM outbox ORDER BY seq") == [("deposit.created",)]
    assert (await desk.now(made)).status == "processing"


async def test_a_bound_on_how_long_a_row_is_waited_for(desk: TransferDesk, database_url: str) -> None:
    made = await desk.make(DEPOSIT)
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM transfers FOR UPDATE")
        with pytest.raises(BooksUnavailable):
            await desk.till.transfers.record(Turn(made, made.version, ORIGIN, goes_on=True))
        assert await desk.work() == 0, "what another one holds is passed over"
        holder.rollback()
    assert await desk.work() == 1


async def test_a_transfers_timeline(desk: TransferDesk) -> None:
    made = await desk.make(DEPOSIT)
    await desk.work()
    await desk.hear(made, YES)
    steps = await desk.till.reads.timeline(made.merchant_id, made.id)
    assert [step.name for step in steps] == ["deposit.created", "deposit.succeeded"]


async def tried(desk: TransferDesk, hops: list[Hop]) -> None:
    """By a worker, to no effect."""
    (leased,) = await desk.till.transfers.due(desk.owner, 1, 30.0)
    leased.transfer.fault("timeout", desk.till.clock.now())
    turn = Turn(leased.transfer, leased.transfer.version, ORIGIN, lease=leased.lease, again_in_s=0.0, hops=hops)
    assert await desk.till.transfers.record(turn) is Fate.RECORDED


async def test_a_try_that_led_to_nothing_is_in_the_timeline(desk: TransferDesk) -> None:
    made = await desk.make(DEPOSIT)
    began = time.time_ns()
    asked = Hop("provider.call", began, began + 2_000_000, "timeout", {"provider": "bank", "code": None})
    await tried(desk, [asked])
    await tried(desk, [])
    steps = await desk.till.reads.timeline(made.merchant_id, made.id)
    told = next(step for step in steps if step.name == "provider.call")
    assert (told.outcome, told.duration_ms, told.details) == ("timeout", 2.0, {"provider": "bank", "code": None})
    assert abs(told.at.timestamp() * 1e9 - began) < 1e6
    assert [step.name for step in steps if step is not told] == ["deposit.created"]


async def test_of_thousands_of_tries_some_are_kept(desk: TransferDesk, database_url: str) -> None:
    await desk.make(DEPOSIT)
    now = time.time_ns()
    rows(database_url, "UPDATE transfers SET version = %s", TRIES_TOLD - 1)
    for _ in range(3):
        rows(database_url, "UPDATE transfers SET faults = 0")
        await tried(desk, [Hop("provider.call", now, now, "timeout", {})])
    assert rows(database_url, "SELECT version FROM transfer_tries") == [(TRIES_TOLD,)]


# ── commits whose acknowledgement was lost ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def forgetful(database_url: str) -> AsyncIterator[PostgresTransfers]:
    """Every transaction is committed and, as if no answer had come, run once more."""
    async with open_room(database_url) as room:
        transact = room.pool._transact

        def twice(work: Any, comment: str) -> Any:
            transact(work, comment)
            return transact(work, comment)

        room.pool._transact = twice  # type: ignore[method-assign]
        yield PostgresTransfers(room.pool)


async def test_a_lost_acknowledgement_is_no_second_effect(
    forgetful: PostgresTransfers, desk: TransferDesk, database_url: str
) -> None:
    await desk.fund(700)
    lossy = TransferDesk(replace(desk.till, transfers=forgetful))
    answer = await lossy.begin(WITHDRAWAL, 700, "k")
    assert not answer.replayed
    made = await desk.now(json.loads(answer.body)["id"])
    await desk.work()
    await lossy.hear(made, YES)
    assert (await desk.now(made)).status == "succeeded"
    assert sums(database_url) == {}
    assert rows(database_url, "SELECT count(*) FROM outbox WHERE type LIKE 'withdrawal%%'") == [(2,)]
