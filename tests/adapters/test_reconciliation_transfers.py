"""Deposits and withdrawals between two books: right, under way, and each thing that can be wrong with them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from cleartill.domain.outcome import NotSent
from cleartill.domain.reconciliation import Done, Kind, Line
from cleartill.domain.transfer import TransferKind
from cleartill.usecases.execute_transfer import execute_transfer
from cleartill.usecases.retry_transfer import retry_transfer
from cleartill.usecases.transfer import TransferRequest, transfer
from real import MERCHANT, Room, origin
from real.audited import IN_STEP, Audited, audited
from real.providers import simulator


@pytest.fixture
def bank_url() -> Iterator[str]:
    with simulator() as url:
        yield url


def conduct(url: str, fails: float = 0.0, delay_s: float = 0.0) -> None:
    settings = {"transfer_delay_s": [delay_s, delay_s], "transfer_fail_rate": fails}
    httpx.put(f"{url}/_control", json=settings).raise_for_status()


async def move(books: Audited, kind: str, amount_minor: int, key: str) -> str:
    """A transfer that was taken on, by its id."""
    asked = TransferRequest(MERCHANT, TransferKind(kind), amount_minor, "USD", None, {}, key)
    found: str = json.loads((await transfer(books.till, asked, origin())).body)["id"]
    return found


async def ended(books: Audited) -> None:
    """Every transfer has ended, or is a dead letter."""
    for _ in range(100):
        books.rows(
            "UPDATE transfers SET next_at = now(), lease_owner = NULL, lease_until = NULL WHERE next_at IS NOT NULL"
        )
        if not await execute_transfer(books.till, "worker"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a transfer does not end")


@pytest.fixture
async def books(room: Room, bank_url: str, database_url: str) -> AsyncIterator[Audited]:
    """Two deposits and a withdrawal that succeeded, a deposit that the bank refused; all found right."""
    conduct(bank_url)
    async with audited(room, bank_url, database_url) as made:
        for number in range(2):
            await move(made, "deposit", 5_000, f"d{number}")
        await ended(made)
        await move(made, "withdrawal", 3_000, "w")
        await ended(made)
        conduct(bank_url, fails=1.0)
        await move(made, "deposit", 700, "refused")
        await ended(made)
        conduct(bank_url)
        report = await made.reconcile()
        assert made.rows("SELECT status, count(*) FROM transfers GROUP BY 1 ORDER BY 1") == [
            ("failed", 1),
            ("succeeded", 3),
        ]
        assert (report.clean, report.waiting, report.matched) == (True, 0, 4), report.view()
        assert (report.looked_at["transfers"], report.looked_at["transfers' sums"]) == (4, 4)
        yield made


async def test_what_is_on_its_way_waits(books: Audited, bank_url: str) -> None:
    conduct(bank_url, delay_s=30.0)
    await move(books, "deposit", 100, "never asked")
    report = await books.reconcile()
    assert (report.clean, report.waiting) == (True, 1), report.view()
    await execute_transfer(books.till, "worker")
    await move(books, "withdrawal", 100, "reserved")
    report = await books.reconcile()
    assert (report.clean, report.waiting) == (True, 2), report.view()


AT_THE_BANK: dict[str, Callable[[Line], list[Line]]] = {
    "missing_at_bank": lambda line: [],
    "amount": lambda line: [replace(line, amount_minor=1)],
    "state": lambda line: [replace(line, done=Done.NO)],
    "operation": lambda line: [replace(line, kind="deposit" if line.kind == "withdrawal" else "withdrawal")],
    "duplicate": lambda line: [line, line],
    "missing_here": lambda line: [line, replace(line, reference=line.reference.replace(".1", ".2"))],
}


@pytest.mark.parametrize("what", AT_THE_BANK)
@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
async def test_in_the_banks_book(books: Audited, kind: str, what: str) -> None:
    ((id,),) = books.rows("SELECT min(id) FROM transfers WHERE kind = %s AND status = 'succeeded'", kind)
    plant = AT_THE_BANK[what]

    def tamper(lines: list[Line]) -> list[Line]:
        found = [line for line in lines if line.done is not Done.OPEN]
        return [made for line in found for made in (plant(line) if line.reference.startswith(id) else [line])]

    books.bank.tamper = tamper
    report = await books.reconcile()

    assert report.found == {Kind(what): 1}, report.view()
    marked = books.rows("SELECT id FROM transfers WHERE needs_review IS NOT NULL")
    assert marked == ([] if what == "missing_here" else [(id,)])
    assert books.rows("SELECT count(*) FROM audit_logs WHERE event LIKE '%%.needs_review'") == [(len(marked),)]
    await books.reconcile()
    assert books.rows("SELECT count(*) FROM audit_logs WHERE event LIKE '%%.needs_review'") == [(len(marked),)]


async def test_a_round_that_was_given_up_must_not_be_done_by_the_bank(books: Audited) -> None:
    """Tried again under another reference, and both were done."""
    ((id,),) = books.rows("SELECT id FROM transfers WHERE kind = 'withdrawal'")
    books.rows("UPDATE transfers SET round = 2")

    def tamper(lines: list[Line]) -> list[Line]:
        done = [line for line in lines if line.reference.startswith(id) and line.done is Done.YES]
        return [*done, replace(done[0], reference=f"{id}.transfer.2")]

    books.bank.tamper = tamper
    found: dict[str, Any] = await books.kinds()
    assert found == {"state": 1, "missing_at_bank": 2}


ONE_DEPOSIT = "(SELECT id FROM transfers WHERE kind = 'deposit' AND status = 'succeeded' ORDER BY id LIMIT 1)"
ITS_KEY = f"scope = 'deposit' AND transaction_id = {ONE_DEPOSIT}"

IN_OUR_BOOKS = {
    "ledger_sum": f"DELETE FROM ledger_entries WHERE transaction_id LIKE 'wdr_%%'{IN_STEP}",
    "ledger_sum twice": "UPDATE ledger_entries SET amount_minor = 2 * amount_minor "
    f"WHERE transaction_id = {ONE_DEPOSIT}{IN_STEP}",
    "seq_gap": "UPDATE transfers SET seq = seq + 1 WHERE kind = 'withdrawal'",
    "event_missing": "DELETE FROM outbox WHERE type = 'withdrawal.succeeded'",
    "claim_lost": "DELETE FROM idempotency_keys WHERE scope = 'withdrawal'",
    "claim_lost refused": "DELETE FROM idempotency_keys WHERE key = 'refused'",
    "charged_twice": "UPDATE transfers SET claim = (SELECT claim FROM transfers WHERE kind = 'withdrawal') "
    "WHERE id IN (SELECT transaction_id FROM idempotency_keys WHERE key = 'refused'); "
    "DELETE FROM idempotency_keys WHERE key = 'refused'",
    "answer_lost": f"UPDATE idempotency_keys SET transaction_id = 'dep_0' WHERE {ITS_KEY}; "
    "UPDATE transfers SET claim = NULL",
    "answer_lost kind": f"UPDATE idempotency_keys SET transaction_id = {ONE_DEPOSIT} WHERE scope = 'withdrawal'; "
    "UPDATE transfers SET claim = NULL",
    "answer_state": "UPDATE idempotency_keys SET answer_body = replace(answer_body, '\"succeeded\"', '\"failed\"') "
    f"WHERE {ITS_KEY}",
    "answer_state still": "UPDATE idempotency_keys SET answer_status = 202, "
    f"answer_body = replace(answer_body, '\"succeeded\"', '\"pending\"') WHERE {ITS_KEY}",
    "answer_identity": "UPDATE idempotency_keys SET answer_body = replace(answer_body, '5000', '5001') "
    f"WHERE {ITS_KEY}",
    "answer_identity another": "UPDATE idempotency_keys SET answer_body = (SELECT answer_body FROM idempotency_keys "
    f"WHERE scope = 'withdrawal') WHERE {ITS_KEY}",
}


@pytest.mark.parametrize("what", IN_OUR_BOOKS)
async def test_in_our_own_books(books: Audited, what: str) -> None:
    books.rows(IN_OUR_BOOKS[what])
    report = await books.reconcile()
    assert report.found == {Kind(what.split()[0]): 1}, report.view()
    there = books.rows("SELECT id FROM transfers WHERE id = %s", report.listed[0].subject_id)
    assert len(there) == (what != "answer_lost")
    assert books.rows("SELECT id FROM transfers WHERE needs_review IS NOT NULL") == there


@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
async def test_a_transfer_that_was_acknowledged_and_is_lost(books: Audited, bank_url: str, kind: str) -> None:
    conduct(bank_url, delay_s=30.0)
    id = await move(books, kind, 100, "lost")
    await execute_transfer(books.till, "worker")
    for table, column in (("transfers", "id"), ("ledger_entries", "transaction_id"), ("outbox", "subject_id")):
        books.rows(f"DELETE FROM {table} WHERE {column} = '{id}'")
    books.rows(IN_STEP.removeprefix("; "))
    report = await books.reconcile()
    assert [(one.kind, one.subject_id) for one in report.listed if one.reference.startswith(kind)] == [
        (Kind.ANSWER_LOST, id)
    ]


async def test_keys_that_were_purged_and_used_again(books: Audited, bank_url: str) -> None:
    """A day after the first end; also if the transfer was marked, or taken up again and ended anew, since."""
    books.rows("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only")
    try:
        books.rows("UPDATE audit_logs SET recorded_at = recorded_at - interval '2 days'")
    finally:
        books.rows("ALTER TABLE audit_logs ENABLE TRIGGER audit_logs_append_only")
    books.rows("DELETE FROM idempotency_keys; UPDATE transfers SET updated_at = now()")
    assert await books.kinds() == {}
    await move(books, "withdrawal", 100, "w")
    await ended(books)
    assert await books.kinds() == {}


async def test_a_dead_letter_that_was_taken_up_again_was_told_of_as_failed(
    books: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(ask: Any) -> NotSent:
        return NotSent("connect")

    with monkeypatch.context() as away:
        away.setattr(books.bank, "transfer", unreachable)
        id = await move(books, "withdrawal", 100, "dead")
        await ended(books)
    assert books.rows("SELECT status, dead IS NULL FROM transfers WHERE id = %s", id) == [("failed", False)]
    assert await books.kinds() == {}
    await retry_transfer(books.till, id, origin())
    assert await books.kinds() == {}
    await ended(books)
    assert books.rows("SELECT status FROM transfers WHERE id = %s", id) == [("succeeded",)]
    assert books.rows("SELECT answer_body LIKE '%%\"failed\"%%' FROM idempotency_keys WHERE key = 'dead'") == [(True,)]
    assert await books.kinds() == {}
    books.rows("UPDATE transfers SET round = 1 WHERE id = %s", id)
    assert (await books.kinds())["answer_state"] == 1
