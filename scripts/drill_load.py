"""The load of scripts/rotate_drill and scripts/backup_drill: payments at a steady rate, on a thread of its own."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import aiohttp

from cleartill.domain.merchant import DEMO_API_KEY

PAY = "/api/v1/payments/process"
CARD = {"expiry_month": 12, "expiry_year": 2034, "cvv": "123", "cardholder_name": "Ada Lovelace"}
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Call:
    """`phase`: what went on when it was sent. `status` 0: no answer. `said`: the answer's id."""

    phase: str
    what: str
    sent_at: float
    took_s: float
    status: int
    said: str

    @property
    def failed(self) -> bool:
        return self.status not in (200, 201)


def new_card(number: int) -> tuple[str, str, dict[str, Any]]:
    """A payment with a card that is typed in: method, path, body."""
    card = {**CARD, "card_number": ("4111111111111111", "4242424242424242", "5555555555554444")[number % 3]}
    return "POST", PAY, {"amount": "12.34", "currency": "USD", "payment_method": "credit_card", "card_data": card}


@dataclass
class Load:
    """From `with` to its end, `rate` calls a second to the `urls` in turn; `order(n)` says what the n-th is. What was
    not answered counts as failed: nothing is tried again."""

    urls: list[str]
    rate: float
    order: Any = new_card
    phase: str = ""
    calls: list[Call] = field(default_factory=list)
    _busy: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What is under way is brought to its end."""
        self._over.set()
        self._thread.join()

    @contextmanager
    def without(self, url: str) -> Iterator[None]:
        """Nothing is sent there meanwhile, as by a balancer that drains it first."""
        self.urls.remove(url)
        end = time.monotonic() + TIMEOUT_S
        while self._busy[url] and time.monotonic() < end:
            time.sleep(0.01)
        yield
        self.urls.append(url)

    def of(self, phase: str) -> list[Call]:
        return [call for call in self.calls if call.phase == phase]

    async def _drive(self) -> None:
        headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
        timeout = aiohttp.ClientTimeout(TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=5)
        began, number = time.monotonic(), 0
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as tasks,
        ):
            while not self._over.is_set():
                if number < (time.monotonic() - began) * self.rate:
                    number += 1
                    tasks.create_task(self._call(session, number))
                else:
                    await asyncio.sleep(0.5 / self.rate)

    async def _call(self, session: aiohttp.ClientSession, number: int) -> None:
        url, phase, at, began = self.urls[number % len(self.urls)], self.phase, time.time(), time.monotonic()
        what, path, body = self.order(number)
        status, said = 0, ""
        self._busy[url] += 1
        with suppress(aiohttp.ClientError, TimeoutError):
            key = {"Idempotency-Key": uuid4().hex}
            async with session.request(what, url + path, json=body, headers=key) as answer:
                told = await answer.json()
                status, said = answer.status, str(told.get("id") or told.get("detail"))
        self._busy[url] -= 1
        self.calls.append(Call(phase, what, at, time.monotonic() - began, status, said))
