"""PostgreSQL goes away around a COMMIT: every unit is on disk exactly once, and its caller hears the truth."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from cleartill.adapters.postgres import patience
from cleartill.adapters.postgres import writer as writer_module
from cleartill.adapters.postgres.migrate import upgrade
from cleartill.adapters.postgres.waiting import Waiting
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.outcome import Unknown
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port, scratch_dir
from cleartill.ports import Unit, Verdict
from real import Proxy, Room, captured, claim, intent, later, open_room, outcome, payment, refund_intent, rows
from real.proxy import Prank

WRITER = "application_name = 'cleartill test writer'"


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def room(database_url: str, proxy: Proxy) -> AsyncIterator[Room]:
    """Its writer connects through the proxy, and is connected."""
    async with open_room(database_url, writer_url=proxy.url) as room:
        await room.books.record(intent())
        yield room


async def _charge(room: Room) -> Unit:
    return intent(payment(77), under=claim("k"))


async def _decline_at_the_door(room: Room) -> Unit:
    unit = intent(payment(77), under=claim("k"))
    unit.attempt, unit.resolve_after_s = None, None
    return unit


async def _approval(room: Room) -> Unit:
    asked = intent(payment(77), under=claim("k"))
    await room.books.record(asked)
    return outcome(asked)


async def _doubt(room: Room) -> Unit:
    asked = intent(payment(77), under=claim("k"))
    await room.books.record(asked)
    return outcome(asked, Unknown("timeout"))


async def _refund(room: Room) -> Unit:
    return refund_intent(await captured(room.books, 77), 7, under=claim("k"))


UNITS = (_charge, _decline_at_the_door, _approval, _doubt, _refund)
Make = Callable[[Room], Awaitable[Unit]]


def once(url: str, unit: Unit) -> None:
    """It is on disk, whole, and nothing of it twice."""
    found = rows(url, "SELECT version, seq FROM transactions WHERE id = %s", unit.payment.id)
    assert found == [(unit.payment.version, unit.payment.seq)]
    facts = rows(url, "SELECT seq FROM audit_logs WHERE subject_id = %s ORDER BY seq", unit.payment.id)
    assert facts == [(seq,) for seq in range(1, unit.payment.seq + 1)]
    assert rows(url, "SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries") == [(0,)]
    merchant = "SELECT coalesce(sum(amount_minor), 0) FROM {} WHERE account = 'merchant'"
    moved = unit.payment.amount_captured_minor
    assert rows(url, merchant.format("ledger_entries")) == rows(url, merchant.format("ledger_pending")) == [(moved,)]
    assert len(rows(url, "SELECT 1 FROM idempotency_keys")) == 1


@pytest.mark.parametrize("make", UNITS)
@pytest.mark.parametrize("prank", [Prank.LOSE, Prank.SWALLOW, Prank.HOLD])
async def test_a_unit_in_a_lost_commit_is_recorded_once(
    room: Room, proxy: Proxy, database_url: str, make: Make, prank: Prank
) -> None:
    unit = await make(room)
    proxy.play(prank)

    assert await room.books.record(unit) is Verdict.RECORDED

    assert proxy.happened.is_set()
    once(database_url, unit)


async def test_an_old_session_is_dead_before_its_absence_is_believed(
    room: Room, proxy: Proxy, database_url: str
) -> None:
    """The COMMIT was still under way when the unit was written again: it must come too late."""
    unit = await _charge(room)
    proxy.play(Prank.HOLD)
    assert await room.books.record(unit) is Verdict.RECORDED

    said = await asyncio.to_thread(proxy.deliver)

    assert b"COMMIT" not in said
    once(database_url, unit)


@pytest.mark.parametrize("prank", [Prank.LOSE, Prank.SWALLOW])
async def test_a_whole_batch_in_a_lost_commit(database_url: str, proxy: Proxy, prank: Prank) -> None:
    async with open_room(database_url, writer_url=proxy.url) as room:
        asked = [intent(under=claim(f"a{index}")) for index in range(20)]
        await asyncio.gather(*(room.books.record(unit) for unit in asked))
        proxy.play(prank)
        units = [outcome(unit) for unit in asked] + [intent(under=claim(f"b{index}")) for index in range(20)]
        verdicts = await asyncio.gather(*(room.books.record(unit) for unit in units))

    assert proxy.happened.is_set()
    assert set(verdicts) == {Verdict.RECORDED}
    assert rows(database_url, "SELECT status, count(*) FROM transactions GROUP BY 1 ORDER BY 1") == [
        ("captured", 20),
        ("processing", 20),
    ]
    assert rows(database_url, "SELECT count(*), sum(amount_minor) FROM ledger_entries") == [(40, 0)]


async def test_recorded_stays_recorded_when_the_next_try_fails_too(room: Room, proxy: Proxy, database_url: str) -> None:
    """One batch: a unit that is on disk already, and a bad one that has the batch taken apart."""
    good, bad = intent(), intent(payment(metadata={"note": "a\0b"}))
    waiting = [Waiting(unit, asyncio.get_running_loop().create_future(), later(20)) for unit in (good, bad)]
    await room.books.record(good)
    for one in waiting:
        one.unsure = True
    room.writer._intents.extend(waiting)
    room.writer._ready.set()

    assert await waiting[0].future is Verdict.RECORDED
    with pytest.raises(Exception, match="UntranslatableCharacter"):
        await waiting[1].future


async def test_an_intent_whose_time_passed_meanwhile_is_not_written_after_all(
    room: Room, proxy: Proxy, database_url: str
) -> None:
    proxy.play(Prank.LOSE)
    with pytest.raises(BooksUnavailable):
        await room.books.record(intent(payment(77), within_s=0.02))

    assert await room.books.record(intent()) is Verdict.RECORDED
    assert rows(database_url, "SELECT 1 FROM transactions WHERE amount_minor = 77") == []


async def test_an_intent_that_was_given_up_is_not_written_by_its_old_session(
    room: Room, proxy: Proxy, database_url: str
) -> None:
    """Its caller heard that nothing was sent; the resolver would find the attempt, and send it."""
    proxy.play(Prank.HOLD)
    with pytest.raises(BooksUnavailable):
        await room.books.record(intent(payment(78), within_s=0.02))

    await asyncio.to_thread(proxy.deliver)

    assert rows(database_url, "SELECT 1 FROM transactions WHERE amount_minor = 78") == []


async def test_a_session_killed_while_idle_costs_nothing(room: Room, database_url: str) -> None:
    for _ in range(5):
        unit = intent()
        assert rows(database_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WRITER}") == [(True,)]
        assert await room.books.record(unit) is Verdict.RECORDED
        assert rows(database_url, "SELECT unit_id FROM transactions WHERE id = %s", unit.payment.id) == [(unit.id,)]


async def test_sessions_killed_at_random_while_units_are_written(database_url: str) -> None:
    """Before, during and after COMMIT, as it comes: 300 charges and their approvals, a dozen kills."""
    done, dice = asyncio.Event(), random.Random(7)

    async def killer() -> int:
        kills = 0
        while not done.is_set():
            killed = await asyncio.to_thread(
                rows, database_url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WRITER}"
            )
            kills += len(killed)
            await asyncio.sleep(dice.uniform(0.08, 0.3))
        return kills

    async with open_room(database_url) as room:

        async def charge(number: int) -> None:
            await asyncio.sleep(number * 0.008)
            unit = intent(payment(100), under=claim(f"k{number}"))
            assert await room.books.record(unit) is Verdict.RECORDED
            assert await room.books.record(outcome(unit)) is Verdict.RECORDED

        killing = asyncio.create_task(killer())
        try:
            await asyncio.gather(*(charge(number) for number in range(300)))
        finally:
            done.set()
            kills = await killing

    assert kills > 5
    assert rows(database_url, "SELECT status, count(*) FROM transactions GROUP BY 1") == [("captured", 300)]
    assert rows(database_url, "SELECT count(*), count(answer_body) FROM idempotency_keys") == [(300, 300)]
    assert rows(database_url, "SELECT account, sum(amount_minor) FROM ledger_pending GROUP BY 1 ORDER BY 1") == [
        ("acquirer", -30_000),
        ("merchant", 30_000),
    ]
    assert rows(database_url, "SELECT count(*) FROM outbox") == [(600,)]


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    with scratch_dir() as folder, EmbeddedPostgres(folder / "postgres", free_port(), durable=False) as server:
        upgrade(server.url)
        yield server


async def test_a_server_restarted_with_units_in_flight(own_server: EmbeddedPostgres) -> None:
    """Nothing is lost and nothing twice; who was told "not written" finds nothing, once the server is back."""
    told: dict[str, str] = {}
    async with open_room(own_server.url) as room:
        asked = [intent(payment(100)) for _ in range(100)]
        await asyncio.gather(*(room.books.record(unit) for unit in asked))

        async def tell(unit: Unit) -> None:
            try:
                told[unit.payment.id] = (await room.books.record(unit)).value
            except BooksUnavailable:
                told[unit.payment.id] = "away"

        hurried = [intent(payment(200), within_s=0.3) for _ in range(50)]
        patient = [intent(payment(300), within_s=60) for _ in range(50)]
        stopping = asyncio.create_task(asyncio.to_thread(own_server.stop))
        telling = [asyncio.create_task(tell(outcome(unit))) for unit in asked]
        await stopping
        telling += [asyncio.create_task(tell(unit)) for unit in (*hurried, *patient)]
        await asyncio.wait(telling[100:150])
        assert {told[unit.payment.id] for unit in hurried} == {"away"}
        await asyncio.to_thread(own_server.start)
        await asyncio.gather(*telling)

    assert {told[unit.payment.id] for unit in patient} == {"recorded"}
    for unit in asked:  # an outcome is recorded, or its patience ended and the attempt is left open for the resolver
        found = rows(own_server.url, "SELECT status FROM attempts WHERE transaction_id = %s", unit.payment.id)
        assert found == [("approved",)] or (found, told[unit.payment.id]) == ([("open",)], "away")
    assert rows(own_server.url, "SELECT count(*) FROM transactions WHERE amount_minor = 200") == [(0,)]
    assert rows(own_server.url, "SELECT count(*) FROM transactions WHERE amount_minor = 300") == [(50,)]
    assert rows(own_server.url, "SELECT sum(amount_minor) FROM ledger_entries") == [(0,)]


async def test_an_outcome_waits_no_longer_than_its_patience(
    room: Room, proxy: Proxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its caller hears "in doubt", and the resolver finishes."""
    monkeypatch.setattr(writer_module, "PATIENCE_S", 0.3)
    said = await _approval(room)
    proxy.refuse()

    with pytest.raises(BooksUnavailable):
        await room.books.record(said)

    assert rows(database_url, "SELECT status FROM attempts WHERE amount_minor = 77") == [("open",)]


async def test_a_frozen_server_is_taken_for_lost(
    room: Room, proxy: Proxy, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its connections open and says nothing: TCP cannot tell, and libpq would wait for ever."""
    monkeypatch.setattr(patience, "ANSWER_TIMEOUT_S", 0.3)
    patient = await _charge(room)
    proxy.play(Prank.STALL)
    waiting = asyncio.create_task(room.books.record(patient))
    await asyncio.to_thread(proxy.happened.wait, 5)

    with pytest.raises(BooksUnavailable):
        await room.books.record(intent(within_s=0.5))
    assert not waiting.done()
    proxy.gate.set()

    assert await waiting is Verdict.RECORDED
    once(database_url, patient)
