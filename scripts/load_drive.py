"""The load of `make load`: an open loop over load.py's connections. Arrivals are due by the clock, and wait for nobody.

An arrival goes on an idle connection or a new one; when LINES_MAX are busy it is dropped and counted.
"""

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from load import Caller, body
from load_profiles import Kind
from load_seen import Outcome, Seen, judge

LINES_MAX = 2_000
PATIENCE_S = 20.0
"""A caller hangs up after this: more than the service's budget of 8 s."""
IDLE_S = 2.0
"""A connection that rested longer is not used again: servers close them after five, maybe just then."""
BREATH = 8
CARDS = {Kind.APPROVE: "4242424242424242", Kind.DECLINE: "4000000000009995", Kind.SLOW: "4000000000009003"}
REFUNDABLE_MAX = 1_000


class Drive:
    """Puts load on one API. `url`: without a path."""

    def __init__(self, url: str, key: str, run: str, seen: Seen) -> None:
        self._where = urlsplit(url)
        self._key, self._run, self._seen = key, run, seen
        self._tls = ssl.create_default_context() if self._where.scheme == "https" else None
        self._bodies = {kind: body(card) for kind, card in CARDS.items()}
        self._idle: deque[tuple[float, Caller]] = deque()
        self._refundable: deque[str] = deque(maxlen=REFUNDABLE_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._began = time.perf_counter()

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    async def go(self, dues: Iterable[float], kinds: Iterator[Kind]) -> None:
        """Until all that arrived is answered, or was waited for long enough. Cancelled, it hangs up at once."""
        self._began = time.perf_counter()
        try:
            for number, due in enumerate(dues):
                if (wait := due - self.now) > 0:
                    await asyncio.sleep(wait)
                elif number % BREATH == 0:
                    await asyncio.sleep(0)  # it is late, and answers must be read all the same
                self._arrive(number, due, next(kinds))
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in [*self._tasks]:
                task.cancel()
            for _, line in self._idle:
                if line.transport is not None:
                    line.transport.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arrive(self, number: int, due: float, kind: Kind) -> None:
        if len(self._tasks) >= LINES_MAX:
            self._seen.was_dropped(due)
            return
        self._seen.arrived(due, self.now)
        task = asyncio.create_task(self._call(number, due, kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, number: int, due: float, kind: Kind) -> None:
        kind, request = self._request(number, kind)
        line, status = None, 0
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = self._rested() or await self._open()
                status = await line.call(request)
        except (OSError, TimeoutError):
            if line is not None and line.transport is not None:
                line.transport.abort()
        heard = line.heard if line is not None and status else b""
        outcome, id = judge(kind, status, heard)
        self._seen.answered(self.now, kind, outcome, self.now - due)
        if id and outcome is Outcome.CAPTURED:
            self._refundable.append(id)
        if status and line is not None and b"connection: close" not in heard.partition(b"\r\n\r\n")[0].lower():
            self._idle.append((self.now, line))

    def _request(self, number: int, kind: Kind) -> tuple[Kind, bytes]:
        """As it is sent. A refund of nothing, before anything was captured, is a payment."""
        path, payload = "/api/v1/payments/process", self._bodies.get(kind, b"")
        if kind is Kind.REFUND:
            if self._refundable:
                path = f"/api/v1/payments/{self._refundable.popleft()}/refund"
                payload = json.dumps({"reason": "load"}).encode()
            else:
                kind, payload = Kind.APPROVE, self._bodies[Kind.APPROVE]
        head = (
            f"POST {self._where.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {self._where.netloc}\r\n"
            f"Authorization: Bearer {self._key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\nIdempotency-Key: {self._run}-{number}\r\n\r\n"
        )
        return kind, head.encode() + payload

    def _rested(self) -> Caller | None:
        """A connection that is open and idle; the one used last, so that the others may go."""
        while self._idle:
            since, line = self._idle.pop()
            if line.transport is None or line.transport.is_closing():
                continue
            if self.now - since < IDLE_S:
                return line
            line.transport.close()
        return None

    async def _open(self) -> Caller:
        port = self._where.port or (443 if self._tls else 80)
        _, line = await asyncio.get_running_loop().create_connection(Caller, self._where.hostname, port, ssl=self._tls)
        return line
