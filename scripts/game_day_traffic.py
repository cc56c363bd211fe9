"""The load of scripts/game_day, the receiver of its webhooks, and the ear that hears DogStatsD; on a thread of its own.

Some twenty payments a second at random times, one in twenty declined, a refund for one in seven that was captured, a
deposit every two seconds, a look at a payment every second. Which card comes next is decided by a seed.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import Any, Self

import aiohttp
from game_day_drills import USUAL_DECLINES

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.scratch import free_port
from cleartill.telemetry.datadog.datagrams import Heard, Malformed

APPROVED = ("4111111111111111", "4242424242424242", "5555555555554444", "378282246310005")
DECLINED = ("4000000000000002", "4000000000009995", "4000000000006975")
PER_S, REFUNDED, DEPOSIT_EVERY_S, READ_EVERY_S = 20.0, 0.15, 2.0, 1.0
UNDER_WAY_MAX = 600
PATIENCE_S = 15.0
HEARD_BYTES = 4_000_000
"""What the kernel may keep for us while we are busy."""


class Ear(asyncio.DatagramProtocol):
    """Keeps what DogStatsD is sent, under `lock`; what it would not take is remembered in `malformed`."""

    def __init__(self, heard: Heard, lock: threading.Lock) -> None:
        self._heard, self._lock = heard, lock
        self.datagrams = 0
        self.malformed: Counter[str] = Counter()

    def datagram_received(self, data: bytes, _: Any) -> None:
        self.datagrams += 1
        try:
            with self._lock:
                self._heard.receive(data, time.time())
        except Malformed as error:
            self.malformed[str(error)] += 1


class Receiver:
    """Says 200 to every webhook; or refuses the connection, as a server that is down."""

    def __init__(self) -> None:
        self.port, self.received = free_port(), 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def accept(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
                self.received += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()


class Load:
    """A checkout backend that never stops. `declines`: the share of cards that the bank declines."""

    def __init__(self, seed: int, per_s: float = PER_S) -> None:
        self.declines = USUAL_DECLINES
        self.answers: Counter[str] = Counter()
        self._random, self._per_s = Random(seed), per_s
        self._captured: list[str] = []
        self._number = 0

    async def run(self, api: str, hook: str) -> None:
        """Until cancelled."""
        headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(api, headers=headers, timeout=timeout, connector=connector) as session:
            wanted = {"url": hook, "event_types": ["payment.captured", "payment.failed", "refund.succeeded"]}
            async with session.post("/api/v1/webhook-endpoints", json=wanted) as answer:
                answer.raise_for_status()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._every(DEPOSIT_EVERY_S, lambda: self._deposit(session)))
                tasks.create_task(self._every(READ_EVERY_S, lambda: self._read(session)))
                await self._pay(session, tasks)

    async def _pay(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while True:
            due += self._random.expovariate(self._per_s)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(under_way) < UNDER_WAY_MAX:
                task = tasks.create_task(self._charge(session))
                under_way.add(task)
                task.add_done_callback(under_way.discard)

    async def _charge(self, session: aiohttp.ClientSession) -> None:
        cards = DECLINED if self._random.random() < self.declines else APPROVED
        number, refunded = self._random.choice(cards), self._random.random() < REFUNDED
        card = {"card_number": number, "expiry_month": 12, "expiry_year": 2034, "cardholder_name": "Ada Lovelace"}
        card["cvv"] = "1234" if number.startswith("3") else "123"
        order = {"amount": "20.00", "currency": "USD", "payment_method": "credit_card", "card_data": card}
        paid = await self._post(session, "payment", "/api/v1/payments/process", order)
        if paid.get("status") == "captured":
            self._captured = [*self._captured[-99:], paid["id"]]
            if refunded:
                await asyncio.sleep(2)
                await self._post(session, "refund", f"/api/v1/payments/{paid['id']}/refund", {"amount": "5.00"})

    async def _deposit(self, session: aiohttp.ClientSession) -> None:
        await self._post(session, "deposit", "/api/v1/deposits", {"amount": "100.00", "currency": "USD"})

    async def _read(self, session: aiohttp.ClientSession) -> None:
        if self._captured:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"/api/v1/payments/{self._random.choice(self._captured)}") as answer:
                    await answer.read()

    async def _every(self, interval_s: float, work: Any) -> None:
        while True:
            await work()
            await asyncio.sleep(interval_s)

    async def _post(self, session: aiohttp.ClientSession, what: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        key = {"Idempotency-Key": f"game-day-{id(self):x}-{self._number}"}
        try:
            async with session.post(path, json=body, headers=key) as answer:
                told: dict[str, Any] = await answer.json(content_type=None)
                self.answers[f"{what} {answer.status} {told.get('status') if answer.ok else told.get('code')}"] += 1
                return told if answer.ok else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.answers[f"{what} {type(error).__name__}"] += 1
            return {}


class Traffic:
    """All three, on a thread with a loop of its own, from `with` to its end."""

    def __init__(self, heard: Heard, seed: int) -> None:
        self.lock = threading.Lock()
        self.ear = Ear(heard, self.lock)
        self.receiver, self.load = Receiver(), Load(seed)
        self.statsd_port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="traffic", daemon=True)
        self._loading: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._listen())
        self.do(self.receiver.accept())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def begin(self, api: str) -> None:
        """Let the load begin."""

        async def start() -> None:
            self._loading = asyncio.create_task(self.load.run(api, f"http://127.0.0.1:{self.receiver.port}/hooks"))

        self.do(start())

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it on the thread's loop, and wait for its end."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @property
    def fault(self) -> BaseException | None:
        """Why the load ended, should it have."""
        ended = self._loading is not None and self._loading.done()
        return self._loading.exception() if ended and self._loading and not self._loading.cancelled() else None

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self.ear, ("127.0.0.1", self.statsd_port))
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HEARD_BYTES)

    async def _stop(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._loading
        await self.receiver.refuse()
        self._transport.close()
