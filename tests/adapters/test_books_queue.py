"""The writer's queue: what is taken together and in which order, who is turned away, and what a bad neighbour does."""

import asyncio
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest

from cleartill.adapters.postgres import writer as writer_module
from cleartill.domain.errors import BooksUnavailable, CleartillError
from cleartill.ports import Unit, Verdict
from real import Room, captured, claim, intent, open_room, outcome, payment, refund_intent, rows
from real.asking import count, each, queued


@pytest.fixture
async def idle(database_url: str) -> AsyncIterator[Room]:
    """Its writer is not started yet: units queue up, to be taken as one batch."""
    async with open_room(database_url, start=False) as room:
        yield room


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
    await idle.writer.close()

    assert rows(database_url, "SELECT status FROM transactions") == [("captured",)]


async def test_a_batch_does_not_go_on_all_in_one_turn_of_the_loop(idle: Room) -> None:
    """Or a health check would wait for a hundred callers."""
    tasks = await queued(idle, *(intent() for _ in range(100)))
    idle.writer.start()
    done, told = 0, list[int]()
    while done < len(tasks):
        await asyncio.sleep(0)
        told.append(sum(task.done() for task in tasks) - done)
        done += told[-1]
    assert max(told) <= writer_module.TOLD_A_TURN


async def test_closing_writes_what_waits_and_takes_no_more(idle: Room, database_url: str) -> None:
    tasks = await queued(idle, *(intent() for _ in range(200)))
    idle.writer.start()
    await idle.writer.close()

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

    assert "RowWentAstray in attempts" in str(await each(room.books.record(outcome(asked))))
    assert rows(database_url, "SELECT status FROM transactions") == [("processing",)]
