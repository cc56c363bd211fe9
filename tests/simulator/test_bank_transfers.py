"""Transfers: accepted at once, settled once, reported, resumed after a restart."""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.callbacks import Callback, Callbacks
from cleartill.simulator.conduct import Conduct
from cleartill.simulator.orders import Kind, Order
from cleartill.simulator.transfers import Transfers

SECRET = b"callback secret"
URL = "http://127.0.0.1:8000/webhooks/bank-callback"


def quick(fail_rate: float) -> Conduct:
    conduct = Conduct()
    conduct.change({"transfer_delay_s": [0, 0], "transfer_fail_rate": fail_rate})
    return conduct


class Caller:
    """The other end of the callback."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def post(self, url: str, body: bytes) -> None:
        await self.got.put((url, json.loads(body)))

    async def report(self) -> tuple[str, dict[str, Any]]:
        return await asyncio.wait_for(self.got.get(), 10)


async def ask(acquirer: Acquirer, reference: str) -> dict[str, Any]:
    entry = await acquirer.perform(Order(Kind.TRANSFER, reference, 700, "USD", direction="deposit"))
    assert entry.status == 202
    document = orjson.loads(entry.answer)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(("fail_rate", "status"), [(0.0, "success"), (1.0, "failed")])
async def test_the_end_of_a_transfer_is_booked_and_reported_signed(fail_rate: float, status: str) -> None:
    acquirer, caller = Acquirer(Book(None)), Caller()
    callbacks = Callbacks(acquirer, Callback(caller.post, URL, SECRET))
    transfers = Transfers(acquirer, quick(fail_rate), callbacks)
    accepted = await ask(acquirer, "t1")
    transfers.settle_later("t1")
    transfers.settle_later("t1")
    url, report = await caller.report()
    assert url == URL
    assert (report["status"], report["transaction_id"]) == (status, "t1")
    assert report["bank_reference"] == accepted["operation_id"]
    assert (report["amount_minor"], report["currency"]) == (700, "USD")
    entry = await acquirer.operation("t1")
    assert entry is not None
    assert orjson.loads(entry.answer)["status"] == {"success": "succeeded", "failed": "failed"}[status]
    assert await ask(acquirer, "t1") == accepted
    await transfers.stop()
    await callbacks.stop()
    assert caller.got.empty()
    assert len((await acquirer.statement(0, 10))[0]) == 2


async def test_a_transfer_that_was_pending_is_taken_up_at_the_next_start(tmp_path: Path) -> None:
    path, caller = tmp_path / "book", Caller()
    first = Acquirer(Book(path))
    first.book.start()
    await ask(first, "t1")
    await first.book.stop()
    second = Acquirer(Book(path))
    second.book.start()
    callbacks = Callbacks(second, Callback(caller.post, URL, SECRET))
    transfers = Transfers(second, quick(0.0), callbacks)
    transfers.start()
    assert (await caller.report())[1]["transaction_id"] == "t1"
    await transfers.stop()
    await callbacks.stop()
    await second.book.stop()
