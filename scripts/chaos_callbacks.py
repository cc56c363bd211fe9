"""The way of the bank's callbacks in scripts/chaos: before the answer, twice, late, never, or saying the opposite."""

import asyncio
import contextlib
import json
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp

from cleartill.domain.signature import sign
from cleartill.settings import DEV_SECRET

CALLBACK_PRANKS = {"callback twice": 0.15, "callback late": 0.1, "callback contradicts": 0.05, "callback lost": 0.05}


class Callbacks:
    """Takes the bank's callbacks and hands them to a process of the API; `contradicted`: whom a lie was told about."""

    def __init__(self, port: int, apis: list[str], random: Random, played: Counter[str]) -> None:
        self._port, self._apis, self._random, self._played = port, apis, random, played
        self.contradicted: set[str] = set()
        self.calm = True
        self._server: asyncio.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[int]] = set()

    async def accept(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self._port)

    async def close(self) -> None:
        assert self._server is not None
        assert self._session is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await self._session.close()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                body = (await read_message(reader)).partition(b"\r\n\r\n")[2]
                prank = None if self.calm else drawn(self._random, CALLBACK_PRANKS)
                if prank is not None:
                    self._played[prank] += 1
                if prank == "callback lost":
                    break
                if prank == "callback late":
                    await asyncio.sleep(self._random.uniform(1.0, 4.0))
                status = await self._hand_over(body)
                if status == 200 and prank == "callback twice":
                    self._soon(body, 0.0)
                if status == 200 and prank == "callback contradicts":
                    self._soon(self._lie(json.loads(body)), 1.0)
                writer.write(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % status)
                await writer.drain()
        writer.close()

    async def ahead(self, answer: bytes) -> None:
        """What the bank has just answered is told by a callback first, to any process, and once more later."""
        with contextlib.suppress(ValueError, KeyError):
            told = json.loads(answer.partition(b"\r\n\r\n")[2])
            status = {"approved": "success", "declined": "failed"}[told["status"]]
            body = self._signed(told["reference"], told["operation_id"], status, told["amount_minor"], told["currency"])
            await self._hand_over(body)
            self._soon(body, self._random.uniform(0.0, 2.0))

    def _lie(self, told: dict[str, Any]) -> bytes:
        reference = told["transaction_id"]
        self.contradicted.add(reference.partition(".")[0])
        status = "failed" if told["status"] == "success" else "success"
        return self._signed(reference, told["bank_reference"], status, told["amount_minor"], told["currency"])

    @staticmethod
    def _signed(reference: str, operation: str, status: str, amount_minor: int, currency: str) -> bytes:
        report = {
            "transaction_id": reference,
            "bank_reference": operation,
            "status": status,
            "error_message": None if status == "success" else "said by the harness",
            "event_id": f"{operation}:{status}:by hand",
            "occurred_at": datetime.now(UTC).isoformat(),
            "amount_minor": amount_minor,
            "currency": currency,
        }
        return json.dumps(report | {"signature": sign(report, DEV_SECRET.encode())}).encode()

    def _soon(self, body: bytes, after_s: float) -> None:
        async def hand_over() -> int:
            await asyncio.sleep(after_s)
            return await self._hand_over(body)

        task = asyncio.create_task(hand_over())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, body: bytes) -> int:
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        url = f"{self._random.choice(self._apis)}/webhooks/bank-callback"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(url, data=body, headers=headers) as answer:
                return answer.status
        return 503


def drawn(random: Random, shares: dict[str, float]) -> str | None:
    """One of them by its share, or none."""
    left = random.random()
    for name, share in shares.items():
        left -= share
        if left < 0:
            return name
    return None


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP/1.1 message with its length told. Raises IncompleteReadError at the end."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, found, rest = head.lower().partition(b"content-length:")
    return head + (await reader.readexactly(int(rest.split(b"\r\n")[0])) if found else b"")
