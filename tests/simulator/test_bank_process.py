"""The bank as a process: killed in the middle of its work, it knows afterwards all that it had answered."""

import asyncio
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleartill.domain.signature import verify

pytestmark = pytest.mark.enable_socket

BANK = """
import sys
from pathlib import Path
from cleartill.simulator.http import serve
serve(port=int(sys.argv[1]), book_path=Path(sys.argv[2]))
"""
SECRET = "the secret of this test"


@asynccontextmanager
async def bank(
    book: Path, port: int, *command: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    command = command or ("-c", BANK, str(port), str(book))
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment, cwd=book.parent)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            for _ in range(300):
                try:
                    await client.get("/health")
                    break
                except httpx.TransportError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def order(reference: str) -> dict[str, Any]:
    card = {"number": "4111111111111111", "expiry_month": 12, "expiry_year": 2090, "cvc": "123"}
    return {"reference": reference, "amount_minor": 500, "currency": "USD", "capture": True, "card": card}


async def test_killed_in_the_middle_it_remembers_every_answer_it_gave(tmp_path: Path, port: int) -> None:
    book, answered = tmp_path / "book.jsonl", {}

    async def pay(client: httpx.AsyncClient, lane: int, enough: asyncio.Event) -> None:
        for n in range(1000):
            reference = f"pay-{lane}-{n}"
            try:
                answer = await client.post("/v1/authorizations", json=order(reference))
            except httpx.TransportError:
                return
            answered[reference] = answer.content
            if len(answered) >= 100:
                enough.set()

    async with bank(book, port) as (process, client):
        enough = asyncio.Event()
        lanes = [asyncio.create_task(pay(client, lane, enough)) for lane in range(16)]
        await asyncio.wait_for(enough.wait(), 60)
        process.kill()
        await asyncio.gather(*lanes)
        assert await process.wait() == -signal.SIGKILL

    book.write_bytes(book.read_bytes() + b'{"asked":"authorization 500 USD')  # what a torn write leaves
    async with bank(book, port) as (process, client):
        for reference, first in answered.items():
            assert (await client.get(f"/v1/operations/{reference}")).content == first
        again = await client.post("/v1/authorizations", json=order("pay-0-0"))
        assert (again.status_code, again.content) == (201, answered["pay-0-0"])
        entries = (await client.get("/v1/statement", params={"limit": 1000})).json()["entries"]
        references = [entry["reference"] for entry in entries]
        assert len(references) == len(set(references))
        assert set(answered) <= set(references)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) in (0, -signal.SIGTERM)
    assert book.read_bytes().endswith(b"\n")


@contextmanager
def shop(port: int) -> Iterator[queue.Queue[dict[str, Any]]]:
    """Takes callbacks on a port until the block ends."""
    heard: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))) | {"path": self.path})
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield heard
        finally:
            server.shutdown()
            serving.join()


async def test_killed_before_its_callback_arrived_it_tells_when_it_lives_again(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    port, shop_port = ports
    book = tmp_path / "book.jsonl"
    command = ["-m", "cleartill", "bank", "--port", str(port), "--book", str(book)]
    command += ["--callback-url", f"http://127.0.0.1:{shop_port}/webhooks/bank-callback"]
    asking = order("pay_1.authorize.1") | {"card": order("")["card"] | {"number": "4000000000003220"}}
    async with bank(book, port, *command) as (process, client):
        asked = (await client.post("/v1/authorizations", json=asking)).json()
        assert asked["status"] == "requires_action"
        page = await client.post(asked["redirect_url"], data={"outcome": "approve"})  # nobody hears of it
        assert "You approved" in page.text
        process.kill()
    async with bank(book, port, *command) as (process, client):
        with shop(shop_port) as heard:
            told = await asyncio.to_thread(heard.get, timeout=30)
        for _ in range(1000):
            if b"reported" in book.read_bytes():
                break
            await asyncio.sleep(0.01)
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)
    assert told.pop("path") == "/webhooks/bank-callback"
    assert verify(told, SECRET.encode())
    assert (told["transaction_id"], told["status"]) == ("pay_1.authorize.1", "success")
    assert (told["bank_reference"], told["amount_minor"]) == (asked["operation_id"], 500)
    lines = [json.loads(line) for line in book.read_text().splitlines()]
    assert [line["answer"]["status"] for line in lines if "answer" in line] == ["requires_action", "approved"]
    assert [line["reported"] for line in lines if "reported" in line] == [told["event_id"]]
