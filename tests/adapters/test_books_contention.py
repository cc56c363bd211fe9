"""Many at once: order, queues, bad neighbours, rows and keys that somebody else holds."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from cleartill.adapters.postgres import writer as writer_module
from cleartill.domain.errors import BooksUnavailable, CleartillError
from cleartill.domain.outcome import NotSent
from cleartill.ports import Unit, Verdict
from real import MERCHANT, Room, captured, claim, intent, later, open_room, outcome, payment, refund_intent, rows


@pytest.fixture
async def idle(database_url: str) -> AsyncIterator[Room]:
    """Its writer is not started yet: units queue up, to be taken as one batch."""
    async with open_room(database_url, start=False) as room:
        yield room


@contextmanager
def foreign(url: str) -> Iterator[Cursor]:
    """A transaction of somebody else, open until left."""
    with closing(psycopg2.connect(url)) as connection:
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()


def count(url: str, table: str) -> int:
    found: int = rows(url, f"SELECT count(*) FROM {table}")[0][0]
    return found


async def queued(room: Room, *units: Unit) -> list["asyncio.Task[Verdict]"]:
    tasks = [asyncio.create_task(room.books.record(unit)) for unit in units]
    await asyncio.sleep(0)
    return tasks


async def each(work: Coroutine[Any, Any, Verdict]) -> Verdict | str:
    try:
        return await work
    except CleartillError as error:
        return str(error)


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_waiting_units_are_one_batch(idle: Room) -> None:
    units = [intent() for _ in range(100)]
    tasks = await queued(idle, *units)
    idle.writer.start()

    assert set(await asyncio.gather(*tasks)) == {Verdict.RECORDED}
    assert len({unit.stamps["batch_id"] for unit in units}) == 1
    assert units[0].stamps["batch_rows"] == 100


async def test_no_batch_is_larger_than_it_may_be(idle: Room) -> None:
    units = [intent() for _ in range(300)]
    tasks = await queued(idle, *units)
    idle.writer.start()

    assert set(await asyncio.gather(*tasks)) == {Verdict.RECORDED}
    assert max(unit.stamps["batch_rows"] for unit in units) == writer_module.BATCH_MAX


async def test_one_unit_per_payment_in_a_batch_in_order_of_arrival(room: Room, database_url: str) -> None:
    paid = await captured(room.books)
    chain = [refund_intent(deepcopy(paid), 10)]
    for _ in range(7):  # each expects what the one before leaves behind
        chain.append(refund_intent(deepcopy(chain[-1].payment), 10))
    others = [intent() for _ in range(8)]
    async with open_room(database_url, start=False) as idle:
        tasks = await queued(idle, *[unit for pair in zip(chain, others, strict=True) for unit in pair])
        idle.writer.start()
        verdicts = await asyncio.gather(*tasks)

    # All pass their compare-and-set, so they came in order; every one in a batch of its own.
    assert set(verdicts) == {Verdict.RECORDED}
    assert len({unit.stamps["batch_id"] for unit in chain}) == 8
    assert len({unit.stamps["batch_id"] for unit in others}) == 1
    assert rows(database_url, "SELECT refund_reserved_minor FROM transactions WHERE id = %s", paid.id) == [(80,)]


async def test_outcomes_are_written_before_intents(room: Room, database_url: str) -> None:
    asked = [intent() for _ in range(3)]
    await asyncio.gather(*(room.books.record(unit) for unit in asked))
    outcomes, intents = [outcome(unit) for unit in asked], [intent() for _ in range(writer_module.BATCH_MAX)]
    async with open_room(database_url, start=False) as idle:
        tasks = await queued(idle, *intents, *outcomes)
        idle.writer.start()
        await asyncio.gather(*tasks)

    first = min(intents, key=lambda unit: unit.stamps["committed_ns"]).stamps["batch_id"]
    assert {unit.stamps["batch_id"] for unit in outcomes} == {first}


# ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_queue_is_bounded_for_intents_and_not_for_outcomes(
    idle: Room, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = intent()
    await room.books.record(asked)
    monkeypatch.setattr(writer_module, "WAITING_MAX", 3)
    tasks = await queued(idle, intent(), intent(), intent())

    with pytest.raises(BooksUnavailable):
        await idle.books.record(intent())
    said = await queued(idle, outcome(asked))
    idle.writer.start()

    assert set(await asyncio.gather(*tasks, *said)) == {Verdict.RECORDED}


async def test_a_late_intent_is_dropped_unwritten(idle: Room, database_url: str) -> None:
    late, timely = intent(within_s=-0.001), intent()
    tasks = await queued(idle, late, timely)
    idle.writer.start()

    with pytest.raises(BooksUnavailable):
        await tasks[0]
    assert await tasks[1] is Verdict.RECORDED
    assert rows(database_url, "SELECT id FROM transactions") == [(timely.payment.id,)]


async def test_an_outcome_is_never_too_late(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "PATIENCE_S", -1.0)
    asked = intent()
    await room.books.record(asked)

    assert await room.books.record(outcome(asked)) is Verdict.RECORDED


async def test_an_intent_nobody_waits_for_is_not_written(idle: Room, database_url: str) -> None:
    """Its caller was cancelled: nothing would be sent."""
    gone, stays = await queued(idle, intent(), intent())
    gone.cancel()
    await asyncio.sleep(0)
    idle.writer.start()

    assert await stays is Verdict.RECORDED
    assert count(database_url, "transactions") == 1


async def test_an_outcome_nobody_waits_for_is_written(idle: Room, room: Room, database_url: str) -> None:
    asked = intent()
    await room.books.record(asked)
    (gone,) = await queued(idle, outcome(asked))
    gone.cancel()
    await asyncio.sleep(0)
    idle.writer.start()
    await asyncio.to_thread(idle.writer.close)

    assert rows(database_url, "SELECT status FROM transactions") == [("captured",)]


async def test_closing_writes_what_waits_and_takes_no_more(idle: Room, database_url: str) -> None:
    tasks = await queued(idle, *(intent() for _ in range(200)))
    idle.writer.start()
    await asyncio.to_thread(idle.writer.close)

    assert set(await asyncio.gather(*tasks)) == {Verdict.RECORDED}
    assert count(database_url, "transactions") == 200
    with pytest.raises(BooksUnavailable):
        await idle.books.record(intent())


async def test_a_loop_that_ended_does_not_end_the_writer(room: Room, idle: Room) -> None:
    """Two loops in one batch; one of them is closed before its answer comes."""
    loop = asyncio.new_event_loop()
    orphan = intent()
    lost = loop.create_task(idle.books.record(orphan))
    await asyncio.to_thread(_one_step, loop)
    (here,) = await queued(idle, intent())
    lost.cancel()
    await asyncio.to_thread(_one_step, loop)
    loop.close()
    idle.writer.start()

    assert await here is Verdict.RECORDED
    assert await idle.books.record(intent()) is Verdict.RECORDED


def _one_step(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


# ── bad neighbours ───────────────────────────────────────────────────────────────────────────────────────────────────


def _nul() -> Unit:
    return intent(payment(metadata={"note": "a\0b"}))


def _huge_number() -> Unit:
    return intent(payment(metadata={"number": 2**70}))


def _lone_surrogate() -> Unit:
    return intent(payment(metadata={"note": "\ud800"}))


def _refused_amount() -> Unit:
    return intent(payment(amount_minor=0))


def _nobody_knows() -> Unit:
    unit = intent()
    unit.payment.status = "lost"  # type: ignore[assignment]
    return unit


@pytest.mark.parametrize("bad", [_nul, _huge_number, _lone_surrogate, _refused_amount, _nobody_knows])
async def test_a_bad_unit_leaves_its_neighbours_alone(idle: Room, database_url: str, bad: Any) -> None:
    units = [intent(under=claim(f"k{index}")) for index in range(49)]
    poison = bad()
    poison.claim = claim("poison")
    tasks = await queued(idle, *units[:20], poison, *units[20:])
    idle.writer.start()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    refused = results.pop(20)
    assert isinstance(refused, CleartillError)
    assert not isinstance(refused, BooksUnavailable)
    assert set(results) == {Verdict.RECORDED}
    assert count(database_url, "transactions") == count(database_url, "idempotency_keys") == 49
    assert [tags for name, _, tags in idle.watch.seen if name == "invariant.breach"] == [{"name": "unit_rejected"}]


async def test_an_outcome_without_its_attempt_is_refused(room: Room, database_url: str) -> None:
    """Every row of the batch must find its place."""
    asked = intent()
    await room.books.record(asked)
    rows(database_url, "UPDATE attempts SET status = 'approved', settled_by = 'x', settled_at = now()")

    assert "attempts: 0 of 1" in str(await each(room.books.record(outcome(asked))))
    assert rows(database_url, "SELECT status FROM transactions") == [("processing",)]


# ── what somebody else holds ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE"])
async def test_a_held_payment_waits_alone(room: Room, database_url: str, lock: str) -> None:
    held, free = await captured(room.books), [await captured(room.books) for _ in range(5)]
    with foreign(database_url) as theirs:
        theirs.execute(f"SELECT FROM transactions WHERE id = %s {lock}", (held.id,))
        stuck = asyncio.create_task(room.books.record(refund_intent(held, 1)))
        others = [room.books.record(refund_intent(one, 1)) for one in free]

        assert set(await asyncio.gather(*others)) == {Verdict.RECORDED}
        assert not stuck.done()

    assert await stuck is Verdict.RECORDED


async def test_a_payment_held_for_too_long_is_given_up(room: Room, database_url: str) -> None:
    held = await captured(room.books)
    with foreign(database_url) as theirs:
        theirs.execute("SELECT FROM transactions WHERE id = %s FOR UPDATE", (held.id,))
        with pytest.raises(BooksUnavailable):
            await room.books.record(refund_intent(held, 1, within_s=0.1))

    assert count(database_url, "refunds") == 0


async def test_a_key_held_by_an_open_insert_stops_nobody_else(idle: Room, database_url: str) -> None:
    with foreign(database_url) as theirs:
        theirs.execute(
            "INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id) "
            "VALUES (%s, 'process', 'held', 'f', 'u', 't')",
            (MERCHANT,),
        )
        tasks = await queued(idle, *(intent(under=claim(f"k{index}")) for index in range(20)))
        (stuck,) = await queued(idle, intent(under=claim("held")))
        idle.writer.start()

        assert set(await asyncio.gather(*tasks)) == {Verdict.RECORDED}
        assert not stuck.done()

    assert await stuck is Verdict.RECORDED  # theirs was rolled back


async def test_a_key_held_for_too_long_is_given_up(room: Room, database_url: str) -> None:
    with foreign(database_url) as theirs:
        theirs.execute(
            "INSERT INTO idempotency_keys (merchant_id, scope, key, fingerprint, unit_id, transaction_id) "
            "VALUES (%s, 'process', 'held', 'f', 'u', 't')",
            (MERCHANT,),
        )
        with pytest.raises(BooksUnavailable):
            await room.books.record(intent(under=claim("held"), within_s=0.4))

    assert count(database_url, "transactions") == 0


# ── two processes' writers ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("turn", [0, 1])
async def test_one_key_in_two_writers_at_once(room: Room, database_url: str, turn: int) -> None:
    async with open_room(database_url) as other:
        for number in range(10):
            units = [intent(under=claim(f"k{number}")) for _ in range(2)]
            order = [room.books, other.books][:: 1 if turn else -1]
            verdicts = await asyncio.gather(*(books.record(unit) for books, unit in zip(order, units, strict=True)))

            assert sorted(verdict.value for verdict in verdicts) == ["key_taken", "recorded"]

    assert count(database_url, "transactions") == count(database_url, "idempotency_keys") == 10


async def test_one_payment_in_two_writers_at_once(room: Room, database_url: str) -> None:
    async with open_room(database_url) as other:
        for _ in range(10):
            paid = await captured(room.books)
            units = [refund_intent((await books.load(MERCHANT, paid.id)).payment, 1) for books in (room.books, other.books)]
            verdicts = await asyncio.gather(room.books.record(units[0]), other.books.record(units[1]))

            assert sorted(verdict.value for verdict in verdicts) == ["conflict", "recorded"]

    assert count(database_url, "refunds") == 10


async def test_a_losing_step_leaves_no_claim_behind_in_a_crowd(room: Room, database_url: str) -> None:
    """Sixteen refunds of one payment, each with its key, from two writers: one wins, and one key is taken."""
    paid = await captured(room.books)
    async with open_room(database_url) as other:
        units = [
            refund_intent((await room.books.load(MERCHANT, paid.id)).payment, 1, under=claim(f"r{index}"))
            for index in range(16)
        ]
        verdicts = await asyncio.gather(
            *((room, other)[index % 2].books.record(unit) for index, unit in enumerate(units))
        )

    assert sorted(verdict.value for verdict in verdicts) == ["conflict"] * 15 + ["recorded"]
    assert count(database_url, "idempotency_keys") == count(database_url, "refunds") == 1


async def test_a_freed_key_can_be_taken_again(room: Room) -> None:
    first = intent(under=claim("k"))
    await room.books.record(first)
    assert await room.books.record(intent(under=claim("k"))) is Verdict.KEY_TAKEN
    await room.books.record(outcome(first, NotSent("connect")))

    assert await room.books.record(intent(under=claim("k"))) is Verdict.RECORDED


async def test_a_claim_is_of_one_merchant_and_scope(room: Room) -> None:
    assert await room.books.record(intent(under=claim("k"))) is Verdict.RECORDED
    assert await room.books.record(intent(under=claim("k", "refund:pay_1"))) is Verdict.RECORDED


async def test_nothing_is_held_while_nothing_is_written(room: Room, database_url: str) -> None:
    """Between batches the writer's session is outside any transaction, so that vacuum and migrations get through."""
    await room.books.record(intent())
    end = later(5)
    ask = "SELECT state FROM pg_stat_activity WHERE application_name = 'cleartill test writer'"
    while (found := rows(database_url, ask)) != [("idle",)]:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)
