"""Deposits and withdrawals between two books: right, under way, and each thing that can be wrong with them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from cleartill.domain.reconciliation import Done, Kind, Line
from cleartill.domain.transfer import TransferKind
from cleartill.usecases.execute_transfer import execute_transfer
from cleartill.usecases.transfer import TransferRequest, transfer
from real import MERCHANT, Room, origin
from real.audited import Audited, audited
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


IN_OUR_BOOKS = {
    "ledger_sum": "DELETE FROM ledger_entries WHERE transaction_id LIKE 'wdr_%%'",
    "ledger_sum twice": "UPDATE ledger_entries SET amount_minor = 2 * amount_minor WHERE transaction_id IN "
    "(SELECT id FROM transfers WHERE kind = 'deposit' AND status = 'succeeded' ORDER BY id LIMIT 1)",
    "seq_gap": "UPDATE transfers SET seq = seq + 1 WHERE kind = 'withdrawal'",
    "event_missing": "DELETE FROM outbox WHERE type = 'withdrawal.succeeded'",
}


@pytest.mark.parametrize("what", IN_OUR_BOOKS)
async def test_in_our_own_books(books: Audited, what: str) -> None:
    books.rows(IN_OUR_BOOKS[what])
    report = await books.reconcile()
    assert report.found == {Kind(what.split()[0]): 1}, report.view()
    assert books.rows("SELECT id FROM transfers WHERE needs_review IS NOT NULL") == [(report.listed[0].subject_id,)]
