"""The bank as a process: killed in the middle of its work, it knows afterwards all that it had answered."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.enable_socket

BANK = """
import sys
from pathlib import Path
from cleartill.simulator.http import serve
serve(port=int(sys.argv[1]), book_path=Path(sys.argv[2]))
"""


@asynccontextmanager
async def bank(book: Path, port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", BANK, str(port), str(book))
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
