"""Runs on real books and a real bank: hundreds of payments that are right, one process at a time, and nothing twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import fakes.steps
from cleartill.adapters.postgres.reconciliation import PostgresAudits
from cleartill.domain.errors import Unavailable
from cleartill.domain.reconciliation import Discrepancy, Done, Kind, Line
from cleartill.ports import StatementPage
from cleartill.providers import bank_statement
from cleartill.usecases.reconcile import reconcile
from real import MERCHANT, Room, captured, open_room, origin
from real.audited import Audited, audited, card, lives
from real.providers import simulator

GONE = [Discrepancy(Kind.STATE, MERCHANT, None, f"pay_{number}.authorize.1", "planted") for number in range(3)]


@pytest.fixture
def bank_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
async def books(room: Room, bank_url: str, database_url: str) -> AsyncIterator[Audited]:
    """Small pages, so that each walk has many."""
    async with audited(room, bank_url, database_url) as made:
        made.till = replace(made.till, audits=PostgresAudits(room.pool, page=7))
        yield made


async def test_hundreds_of_payments_of_every_fate_are_right(books: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fakes.steps, "BUDGET_S", 1.0)
    monkeypatch.setattr(bank_statement, "LINES", 50)
    silent = [card(name) for name in ("timeout_before", "timeout_after")]
    await asyncio.gather(
        *(books.steps.charge(f"silent-{number}", card=silent[number % 2]) for number in range(6)),
        lives(books.steps, 25),
    )
    before = await books.reconcile()
    assert before.clean, before.view()

    await books.resolve_all()
    report = await books.reconcile()

    assert report.clean, report.view()
    assert (before.waiting >= 25 + 6, report.waiting) == (True, 0)  # challenges and silence, all of them ended now
    payments, operations = (books.rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("transactions", "attempts"))
    assert (payments > 280, report.looked_at["payments"], report.looked_at["operations"]) == (
        True,
        payments,
        operations,
    )
    assert report.statements["bank"] is not None
    assert report.statements["bank"] > 350
    assert (
        report.matched
        >= books.rows("SELECT count(*) FROM attempts WHERE status = 'approved' AND provider = 'bank'")[0][0]
    )
    for walk, table in (("answers", "idempotency_keys"), ("journals", "ledger_entries")):
        assert report.looked_at[walk] == books.rows(f"SELECT count(*) FROM {table}")[0][0]
    assert books.rows("SELECT count(*) FROM transactions WHERE needs_review IS NOT NULL") == [(0,)]
    assert books.rows("SELECT count(*) FROM statement_lines") == [(0,)]


async def test_while_payments_are_made_nothing_looks_wrong(books: Audited) -> None:
    traffic = asyncio.create_task(lives(books.steps, 8))
    runs = []
    while not traffic.done():
        runs.append(await books.reconcile(grace_s=60.0))
    await traffic
    assert [run.view()["found"] for run in runs] == [{}] * len(runs)
    assert sum(run.waiting for run in runs) > 0
    await books.resolve_all()
    assert await books.kinds() == {}


async def test_a_challenge_that_ends_is_two_lines_and_one_operation(books: Audited) -> None:
    paid = json.loads((await books.steps.charge("k", card=card("three_d_secure"))).body)
    asked = Line(
        f"{paid['id']}.authorize.1", "authorization", Done.OPEN, 10_000, "USD", (await books.reconcile()).began_at
    )
    books.bank.tamper = lambda lines: [asked, replace(asked, done=Done.YES)]
    assert (await books.reconcile()).waiting == 1
    books.rows("UPDATE attempts SET status = 'approved', settled_at = now(), settled_by = 'u', provider = 'bank'")
    report = await books.reconcile(grace_s=0.0)
    assert Kind.DUPLICATE not in report.found
    assert (report.waiting, report.matched) == (0, 1)


async def test_the_same_thing_is_told_of_once_until_it_is_gone_and_comes_back(books: Audited) -> None:
    await captured(books.till.books)
    for turn in range(3):
        report = await books.reconcile()
        assert (report.total, report.new) == (1, 1 if turn == 0 else 0)
    told = "SELECT count(*), count(DISTINCT subject_id) FROM {} WHERE {} = 'reconciliation.mismatch'"
    assert books.rows(told.format("audit_logs", "event")) == [(1, 1)]
    assert books.rows(told.format("outbox", "type")) == [(1, 1)]
    assert books.rows("SELECT count(*) FROM audit_logs WHERE event = 'payment.needs_review'") == [(1,)]
    ((event,),) = books.rows("SELECT event FROM outbox WHERE type = 'reconciliation.mismatch'")
    assert (event["merchantid"], event["data"]["kind"], event["data"]["merchant_id"]) == (
        "cleartill", "missing_at_bank", MERCHANT,
    )  # fmt: skip

    ((key, amount, currency, at),) = books.rows("SELECT key, amount_minor, currency, created_at FROM attempts")
    books.bank.tamper = lambda lines: [Line(key, "authorization", Done.YES, amount, currency, at)]
    assert (await books.reconcile()).clean
    assert books.rows("SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL") == [(0,)]

    books.bank.tamper = lambda lines: lines
    again = await books.reconcile()
    assert (again.total, again.new) == (1, 1)
    assert books.rows(told.format("outbox", "type")) == [(2, 2)]
    assert books.rows("SELECT count(*) FROM audit_logs WHERE event = 'payment.needs_review'") == [(1,)]


async def test_what_was_before_is_left_out(books: Audited) -> None:
    await captured(books.till.books)
    began = (await books.reconcile()).began_at
    assert await books.kinds(since=began + timedelta(seconds=1)) == {}
    assert books.rows("SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL") == [(1,)]
    assert await books.kinds(since=began - timedelta(hours=1)) == {"missing_at_bank": 1}


async def test_the_last_report_is_remembered(books: Audited) -> None:
    assert await books.till.audits.last_report() is None
    await books.reconcile()
    report = await books.reconcile()
    assert await books.till.audits.last_report() == report.view()
    assert books.rows("SELECT run, clean FROM reconciliations ORDER BY run") == [(1, True), (2, True)]


# ── one process at a time ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_of_many_that_begin_one_does(room: Room, database_url: str) -> None:
    async with open_room(database_url) as other:
        begun = await asyncio.gather(
            *(audits.begin(f"{number}", 0) for number in range(8) for audits in (room.audits, other.audits)),
            return_exceptions=True,
        )
    runs = [run for run in begun if run is not None and not isinstance(run, BaseException)]
    assert len(runs) == 1
    await room.audits.end(runs[0], None)
    again = await room.audits.begin("again", 0)
    assert again is not None
    assert again.number == runs[0].number + 1


async def test_a_night_begins_a_day_after_the_last_end(room: Room, books: Audited) -> None:
    assert await reconcile(books.till, "worker", nightly=True) is None  # migrated just now
    books.rows("UPDATE reconcile_lease SET ended_at = now() - interval '25 hours'")
    assert await reconcile(books.till, "worker", nightly=True) is not None
    assert await reconcile(books.till, "worker", nightly=True) is None
    assert await reconcile(books.till, "by hand") is not None


async def test_a_run_that_failed_is_no_run(books: Audited) -> None:
    books.rows("UPDATE reconcile_lease SET ended_at = now() - interval '25 hours'")
    statement = books.bank.statement

    async def broken(since: Any) -> Any:
        raise ValueError("not to be read")

    books.bank.statement = broken  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await reconcile(books.till, "worker", nightly=True)
    assert books.rows("SELECT count(*) FROM reconciliations") == [(0,)]
    books.bank.statement = statement  # type: ignore[method-assign]
    assert await reconcile(books.till, "worker", nightly=True) is not None


async def test_who_was_frozen_can_do_nothing_more(room: Room, database_url: str) -> None:
    """Its lease ran out, and another process has begun."""
    frozen = await room.audits.begin("frozen", 0)
    assert frozen is not None
    async with open_room(database_url) as other:
        assert await other.audits.begin("other", 0) is None
        await asyncio.to_thread(_run_out, database_url)
        await room.audits.renew(frozen)  # nobody else has come yet
        await asyncio.to_thread(_run_out, database_url)
        run = await other.audits.begin("other", 0)
        assert run is not None
        line = Line("pay_1.authorize.1", "authorization", Done.YES, 1, "USD", run.began_at, 1)
        for late in (
            room.audits.renew(frozen),
            room.audits.keep(frozen, "bank", 0, [line]),
            room.audits.note(frozen, GONE, origin()),
        ):
            with pytest.raises(Unavailable):
                await late
        await room.audits.end(frozen, None)
        await other.audits.keep(run, "bank", 0, [line])
        assert len((await other.audits.lines(run, ())).found) == 1
        await room.audits.end(frozen, None)
        await other.audits.renew(run)


def _run_out(url: str) -> None:
    from real import rows

    rows(url, "UPDATE reconcile_lease SET until = now()")


async def test_a_run_that_is_cancelled_gives_its_turn_back(books: Audited) -> None:
    reading = asyncio.Event()

    async def slow(since: Any) -> StatementPage:
        reading.set()
        await asyncio.sleep(60)
        return StatementPage([], None)

    books.bank.statement = slow  # type: ignore[method-assign]
    running = asyncio.create_task(books.reconcile())
    await reading.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await books.till.audits.begin("next", 0) is not None


async def test_the_same_page_again_has_no_effect(room: Room) -> None:
    run = await room.audits.begin("me", 0)
    assert run is not None
    line = Line("pay_1.authorize.1", "authorization", Done.YES, 1, "USD", run.began_at, 1)
    for place, said in ((0, [line]), (0, [line]), (500, [replace(line, done=Done.NO, times=0)]), (0, [line])):
        await room.audits.keep(run, "bank", place, said)
    (found,) = (await room.audits.lines(run, ())).found
    assert (found.line, found.ours) == (replace(line, done=Done.NO, times=1), None)


async def test_noting_by_many_at_once_tells_of_each_once(room: Room, database_url: str) -> None:
    run = await room.audits.begin("me", 0)
    assert run is not None
    noted = await asyncio.gather(*(room.audits.note(run, GONE, origin()) for _ in range(4)))
    assert sum(one.new for some in noted for one in some) == len(GONE)
    assert {one.id for some in noted for one in some} == {one.id for one in noted[0]}
