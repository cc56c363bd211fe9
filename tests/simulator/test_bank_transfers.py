"""Transfers: accepted at once, settled once, reported with a signature, resumed after a restart."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.conduct import Conduct
from cleartill.simulator.orders import Kind, Order
from cleartill.simulator.transfers import Callback, Transfers

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
    transfers = Transfers(acquirer, quick(fail_rate), Callback(caller.post, URL, SECRET))
    accepted = await ask(acquirer, "t1")
    transfers.settle_later("t1")
    transfers.settle_later("t1")
    url, report = await caller.report()
    assert url == URL
    signature = report.pop("signature")
    canonical = json.dumps(report, sort_keys=True, separators=(",", ":")).encode()
    assert hmac.compare_digest(signature, hmac.new(SECRET, canonical, hashlib.sha256).hexdigest())
    assert (report["status"], report["transaction_id"]) == (status, "t1")
    assert report["bank_reference"] == accepted["operation_id"]
    assert (report["amount_minor"], report["currency"]) == (700, "USD")
    entry = await acquirer.operation("t1")
    assert entry is not None
    assert orjson.loads(entry.answer)["status"] == {"success": "succeeded", "failed": "failed"}[status]
    assert await ask(acquirer, "t1") == accepted
    await transfers.stop()
    assert caller.got.empty()
    assert len((await acquirer.statement(0, 10))[0]) == 2


async def test_a_callback_that_does_not_arrive_leaves_the_book_as_it_is() -> None:
    acquirer, tried = Acquirer(Book(None)), asyncio.Event()

    async def nobody(url: str, body: bytes) -> None:
        tried.set()
        raise ConnectionRefusedError

    transfers = Transfers(acquirer, quick(0.0), Callback(nobody, URL, SECRET))
    await ask(acquirer, "t1")
    transfers.settle_later("t1")
    await asyncio.wait_for(tried.wait(), 10)
    await transfers.stop()
    assert acquirer.pending_transfers == {}


async def test_a_transfer_that_was_pending_is_taken_up_at_the_next_start(tmp_path: Path) -> None:
    path, caller = tmp_path / "book", Caller()
    first = Acquirer(Book(path))
    first.book.start()
    await ask(first, "t1")
    await first.book.stop()
    second = Acquirer(Book(path))
    second.book.start()
    transfers = Transfers(second, quick(0.0), Callback(caller.post, URL, SECRET))
    transfers.start()
    assert (await caller.report())[1]["transaction_id"] == "t1"
    await transfers.stop()
    await second.book.stop()


def test_the_secret_is_not_shown() -> None:
    assert "callback secret" not in repr(Callback(Caller().post, URL, SECRET))
