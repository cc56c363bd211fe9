"""What the clients of scripts/chaos know: every call, everything that came back, and what must therefore be true.

ok: a final answer. fail: a refusal, after which nothing has happened. unknown: neither; unknown is never fail, and is
asked again under the same idempotency key until it is known.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from cleartill.domain.merchant import DEMO_API_KEY

FINAL, DOUBT = (200, 201), 202
TRIES, PAUSE_S = 12, 0.3
PATIENCE_S = 12.0
LAWFUL_REFUSALS = {409}
"""A step that is forbidden now, or more than is left: nothing has happened."""


@dataclass(slots=True)
class Call:
    """One operation under one key, however often it is sent. `final`: status and body, byte for byte; `seen`: the id
    that an answer has named, final or not; `refused`: its last refusal."""

    number: int
    kind: str
    path: str
    body: bytes
    order: int
    key: str
    final: tuple[int, bytes] | None = None
    seen: str | None = None
    refused: str | None = None
    sent: int = 0

    @property
    def outcome(self) -> str:
        return "ok" if self.final else "fail" if self.refused else "unknown"

    @property
    def told(self) -> dict[str, Any]:
        """The final answer."""
        assert self.final is not None
        told: dict[str, Any] = json.loads(self.final[1])
        return told


@dataclass
class History:
    """All calls, and what was wrong with any answer."""

    calls: list[Call] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    orders: int = 0

    def call(self, kind: str, path: str, body: dict[str, Any], order: int) -> Call:
        number = len(self.calls)
        made = Call(number, kind, path, json.dumps(body).encode(), order, f"chaos-{number}")
        self.calls.append(made)
        return made

    def heard(self, call: Call, status: int, body: bytes, headers: Any, was_final: bool) -> None:
        """An answer has come back whole. `was_final`: a final one was there before this was asked for."""
        self.answers[f"{call.kind} {status}"] += 1
        if status in (*FINAL, DOUBT):
            told = json.loads(body)
            if call.seen not in (None, told["id"]):
                self._breach(call, f"I5: was {call.seen}, is now {told['id']}")
            call.seen, call.refused = told["id"], None
            if status in FINAL:
                if call.final is not None and call.final != (status, body):
                    self._breach(call, f"I5: the final answer {call.final!r} is now {(status, body)!r}")
                call.final = call.final or (status, body)
            elif was_final:
                self._breach(call, f"I5: a final answer is in doubt again: {body!r}")
        elif status == 503:
            if headers.get("Retry-After") is None:
                self._breach(call, f"503 without Retry-After: {body[:200]!r}")
        elif status in LAWFUL_REFUSALS:
            code = json.loads(body).get("code")
            if code == "idempotency_key_reused":
                self._breach(call, "I5: the key is said to have been used for something else")
            if was_final:
                self._breach(call, f"I3: a final answer was given, and now {code}")
            call.refused = code if code != "idempotency_in_progress" else None
        else:
            self._breach(call, f"{status}: {body[:300]!r}")

    def _breach(self, call: Call, what: str) -> None:
        self.wrong.append(f"call {call.number} ({call.kind}, {call.path}): {what}")


class Client:
    """Sends calls to the processes of the API, which come and go."""

    def __init__(self, session: aiohttp.ClientSession, apis: list[str], random: Random, history: History) -> None:
        self._session, self._apis, self._random, self.history = session, apis, random, history

    async def send(self, call: Call, api: int | None = None, patience_s: float = PATIENCE_S) -> int:
        """Once; the status, 0 when nobody knows."""
        call.sent += 1
        was_final = call.final is not None
        url = (self._random.choice(self._apis) if api is None else self._apis[api]) + call.path
        headers = {"Idempotency-Key": call.key, "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=patience_s)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
            async with self._session.post(url, data=call.body, headers=headers, timeout=timeout) as answer:
                body = await answer.read()
                self.history.heard(call, answer.status, body, answer.headers, was_final)
                return answer.status
        self.history.answers[f"{call.kind} unknown"] += 1
        return 0

    async def until_known(self, call: Call, tries: int = TRIES) -> Call:
        """Again under the same key, to whichever process, as long as nobody knows; not for ever. What is in doubt at
        the bank is left to the resolver, and asked for again at the end."""
        for number in range(tries):
            status = await self.send(call)
            if call.final is not None or call.refused is not None or status == DOUBT:
                break
            await asyncio.sleep(PAUSE_S * min(4, number + 1) * self._random.uniform(0.5, 1.5))
        return call

    async def read(self, path: str, within_s: float = 60.0) -> dict[str, Any]:
        """Raises TimeoutError."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                async with self._session.get(self._random.choice(self._apis) + path) as answer:
                    if answer.ok:
                        told: dict[str, Any] = await answer.json()
                        return told
            await asyncio.sleep(PAUSE_S)
        raise TimeoutError(f"{path} could not be read")


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {DEMO_API_KEY}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
    )
