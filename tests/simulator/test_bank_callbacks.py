"""Callbacks: signed, tried until they arrive or patience ends, and again by the bank's next life."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from cleartill.domain.signature import verify
from cleartill.simulator.acquirer import Acquirer, event_id
from cleartill.simulator.book import Book
from cleartill.simulator.callbacks import AGAIN_WITHIN, Callback, Callbacks
from cleartill.simulator.orders import Card, Kind, Order
from cleartill.simulator.post import post

SECRET = b"callback secret"
URL = "http://127.0.0.1:8000/webhooks/bank-callback"
KEY = "pay_1.authorize.1"


class Shop:
    """The other end: refuses the first `deaf` tries."""

    def __init__(self, deaf: int = 0) -> None:
        self.deaf = deaf
        self.tried = 0
        self.got: list[dict[str, Any]] = []

    async def post(self, url: str, body: bytes) -> None:
        assert url == URL
        self.tried += 1
        if self.tried <= self.deaf:
            raise ConnectionRefusedError
        self.got.append(json.loads(body))


async def settled(acquirer: Acquirer, approved: bool = True, key: str = KEY) -> str:
    """A challenge that has ended; its event."""
    order = Order(Kind.AUTHORIZATION, key, 700, "USD", card=Card("4000000000003220", 12, 2090))
    await acquirer.perform(order)
    status, code = ("approved", "00") if approved else ("declined", "1A")
    return event_id(orjson.loads((await acquirer.settle(key, status, code)).answer))


async def patiently(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


@pytest.mark.parametrize(("approved", "status"), [(True, "success"), (False, "failed")])
async def test_an_end_is_told_once_signed(approved: bool, status: str) -> None:
    acquirer, shop = Acquirer(Book(None)), Shop()
    callbacks = Callbacks(acquirer, Callback(shop.post, URL, SECRET))
    event = await settled(acquirer, approved)
    callbacks.report(event)
    callbacks.report(event)
    await callbacks.arrived(event, 10)
    callbacks.report(event)
    await callbacks.stop()
    (told,) = shop.got
    assert verify(told, SECRET)
    assert not verify(told, b"another secret")
    assert (told["transaction_id"], told["status"], told["event_id"]) == (KEY, status, event)
    assert event.startswith(told["bank_reference"])
    assert (told["amount_minor"], told["currency"]) == (700, "USD")
    assert (told["error_message"] is None) is approved
    assert datetime.fromisoformat(told["occurred_at"]).tzinfo is not None


async def test_it_is_tried_until_it_arrives_and_signed_anew_each_time() -> None:
    acquirer, shop = Acquirer(Book(None)), Shop(deaf=3)
    callbacks = Callbacks(acquirer, Callback(shop.post, URL, SECRET), gaps_s=(0, 0, 0, 0))
    event = await settled(acquirer)
    before = datetime.now(UTC)
    callbacks.report(event)
    await callbacks.arrived(event, 10)
    assert shop.tried == 4
    assert verify(shop.got[0], SECRET)
    assert datetime.fromisoformat(shop.got[0]["occurred_at"]) >= before
    assert acquirer.unreported == {}
    await callbacks.stop()


async def test_patience_ends(caplog: pytest.LogCaptureFixture) -> None:
    acquirer, shop = Acquirer(Book(None)), Shop(deaf=99)
    callbacks = Callbacks(acquirer, Callback(shop.post, URL, SECRET), gaps_s=(0, 0))
    event = await settled(acquirer)
    callbacks.report(event)
    await callbacks.arrived(event, 10)
    callbacks.report(event)
    await callbacks.stop()
    assert shop.tried == 3
    assert list(acquirer.unreported) == [event]
    assert "given up" in caplog.text


async def test_what_did_not_arrive_is_sent_again_by_the_next_life_and_then_no_more(tmp_path: Path) -> None:
    path = tmp_path / "book"

    async def life(shop: Shop, new: str | None, expected: int) -> None:
        acquirer = Acquirer(Book(path))
        acquirer.book.start()
        callbacks = Callbacks(acquirer, Callback(shop.post, URL, SECRET), gaps_s=(60,))
        callbacks.start()
        if new:
            callbacks.report(await settled(acquirer, key=new))
        await patiently(lambda: shop.tried == expected)
        await asyncio.sleep(0)
        await callbacks.stop()
        await acquirer.book.stop()

    await life(Shop(deaf=99), KEY, 1)
    shop = Shop()
    await life(shop, "pay_2.authorize.1", 2)
    assert sorted(told["transaction_id"] for told in shop.got) == [KEY, "pay_2.authorize.1"]
    silent = Shop()
    await life(silent, None, 0)
    assert silent.tried == 0
    again = Acquirer(Book(path))
    statement, end, more = await again.statement(0, 100)
    assert (len(statement), end, more) == (4, 4, False)
    assert again.unreported == {}
    await again.book.stop()


async def test_what_ended_long_ago_is_not_told_any_more() -> None:
    then = datetime.now(UTC) - AGAIN_WITHIN - timedelta(minutes=1)
    acquirer, shop = Acquirer(Book(None), clock=lambda: then), Shop()
    callbacks = Callbacks(acquirer, Callback(shop.post, URL, SECRET))
    event = await settled(acquirer)
    callbacks.start()
    await callbacks.arrived(event, 10)
    await callbacks.stop()
    assert shop.tried == 0


async def test_a_bank_that_knows_nobody_tells_nobody() -> None:
    acquirer = Acquirer(Book(None))
    callbacks = Callbacks(acquirer, None)
    event = await settled(acquirer)
    callbacks.start()
    callbacks.report(event)
    await callbacks.arrived(event, 10)
    await callbacks.stop()
    assert list(acquirer.unreported) == [event]


def test_the_secret_is_not_shown() -> None:
    assert "callback secret" not in repr(Callback(Shop().post, URL, SECRET))


@pytest.fixture
def listener() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that answers with the status its path names."""
    heard: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(int(self.path[1:4]))
            self.send_header("Location", "/200")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        serving.join()


@pytest.mark.enable_socket
@pytest.mark.parametrize("status", [200, 202, 204, 301, 307, 401, 422, 500, 503])
async def test_only_2xx_is_an_arrival(listener: tuple[str, list[tuple[str, bytes]]], status: int) -> None:
    url, heard = listener
    if status < 300:
        await post(f"{url}/{status}?a=b", b"{}")
    else:
        with pytest.raises(OSError, match=str(status)):
            await post(f"{url}/{status}?a=b", b"{}")
    assert heard == [(f"/{status}?a=b", b"{}")]


@pytest.mark.enable_socket
async def test_nobody_there_is_no_arrival() -> None:
    with pytest.raises(OSError, match="refused"):
        await post("http://127.0.0.1:1/", b"{}")


async def test_what_is_beside_the_statement_does_not_blur_what_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "book"
    for life in range(2):
        acquirer = Acquirer(Book(path))
        acquirer.book.start()
        acquirer.reported(await settled(acquirer, key=f"pay_{life}.authorize.1"))
        order = Order(Kind.AUTHORIZATION, f"a{life}", 5, "USD", card=Card("4111111111111111", 12, 2090))
        entry = await acquirer.perform(order)
        assert entry.position == acquirer.book.length == len(path.read_bytes().splitlines()) == 4 * (life + 1)
        page, end, _ = await acquirer.statement(0, 100)
        assert (page[-1], end) == (entry, 3 * (life + 1))
        await acquirer.book.stop()
