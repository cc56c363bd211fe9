"""The load of scripts/overload: payments in a closed loop, or in an open one that waits for nobody.

    .venv/bin/python scripts/overload_load.py URL… --run NAME --seconds 8 (--in-flight 64 | --rate 2000) --into FILE

Hand-made HTTP/1.1 on kept connections, some tens of µs a call. In the open loop an arrival is due by the clock and is
sent on an idle connection or a new one; if LINES_MAX are busy it is dropped and counted. What it took is counted from
when it was due, so that a generator that is late does not flatter the service. Payment n has the order and the
idempotency key NAME-n. FILE gets one JSON object: the calls in columns (times are of the monotonic clock, which all
processes of a machine share), how many were dropped, how late the generator was, and the CPU seconds that it took.
"""

import argparse
import asyncio
import gc
import json
import signal
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from cleartill.domain.merchant import DEMO_API_KEY

LINES_MAX = 4000
"""Connections, to all processes together."""
PATIENCE_S = 15.0
"""A caller hangs up after this: more than the service's budget of 8 s."""
TICK_S = 0.002
CARD = {
    "card_number": "4111111111111111",
    "expiry_month": 12,
    "expiry_year": 2034,
    "cvv": "123",
    "cardholder_name": "Ada Lovelace",
}
LOST, GAVE_UP = 0, -1
"""In place of a status: the connection ended without an answer; none came in time."""


@dataclass
class Calls:
    """What was sent and what came of it, in columns. `again_s`: the answer's Retry-After, -1 for none."""

    number: list[int] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    again_s: list[int] = field(default_factory=list)
    dropped: int = 0
    late_s: float = 0.0
    """The most that the generator was behind its own clock."""
    cpu_s: float = 0.0

    def note(self, number: int, due: float, status: int, again_s: int) -> None:
        self.number.append(number)
        self.due.append(due)
        self.took.append(time.monotonic() - due)
        self.status.append(status)
        self.again_s.append(again_s)


class Line(asyncio.Protocol):
    """One connection, one call at a time. `place`: which of the processes it leads to."""

    def __init__(self, load: "Load", place: int) -> None:
        self.place, self._load = place, load
        self.busy: tuple[int, float] | None = None
        self._heard = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, number: int, due: float) -> None:
        assert self._transport is not None
        self.busy = (number, due)
        self._transport.write(self._load.request(number))

    def data_received(self, data: bytes) -> None:
        heard = self._heard + data if self._heard else data
        end = heard.find(b"\r\n\r\n")
        if end < 0 or len(heard) < end + 4 + _number(heard, b"content-length: ", end):
            self._heard = heard
            return
        self._heard = b""
        self._done(int(heard[9:12]), _number(heard, b"retry-after: ", end))
        if heard.find(b"connection: close", 0, end) < 0:
            self._load.is_idle(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._done(LOST, -1)
        self._load.is_gone(self)

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def hang_up(self, before: float) -> None:
        """If what it asked was due before that."""
        if self.busy is not None and self.busy[1] < before and self._transport is not None:
            self._done(GAVE_UP, -1)
            self._transport.abort()

    def _done(self, status: int, again_s: int) -> None:
        if self.busy is not None:
            self._load.calls.note(*self.busy, status, again_s)
            self.busy = None


def _number(heard: bytes, header: bytes, end: int) -> int:
    """A header's value, -1 if there is none; uvicorn's are in lower case, Starlette's as they were given."""
    at = heard.find(header, 0, end)
    if at < 0:
        heard = heard[: end + 2].lower()
        at = heard.find(header)
    return -1 if at < 0 else int(heard[at + len(header) : heard.index(b"\r\n", at)])


class Load:
    """`urls` are asked in turn; `in_flight` 0: an open loop."""

    def __init__(self, urls: list[str], run: str, seconds: float, rate: float, in_flight: int) -> None:
        self.calls, self._rate, self._in_flight = Calls(), rate, in_flight
        self._places = [(where.hostname, where.port) for where in map(urlsplit, urls)]
        self._idle: list[deque[Line]] = [deque() for _ in urls]
        self._lines: set[Line] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._seconds, self._next = seconds, 0
        card = json.dumps(CARD)
        self._body = (
            f'{{"amount":"12.34","currency":"USD","payment_method":"credit_card","card_data":{card},'
            f'"metadata":{{"cart":"c1","n":3}},"order_id":"{run}-%07d"}}'
        )
        self._head = (
            f"POST /api/v1/payments/process HTTP/1.1\r\nHost: till\r\nAuthorization: Bearer {DEMO_API_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self._body % 0)}\r\n"
            f"Idempotency-Key: {run}-%07d\r\n\r\n"
        )

    def request(self, number: int) -> bytes:
        return (self._head % number + self._body % number).encode()

    async def run(self) -> Calls:
        began = time.monotonic()
        self._end = began + self._seconds
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop)
        for _ in range(self._in_flight):
            self._arrive(began)
            await asyncio.sleep(0.2 / self._in_flight)  # begun together they would ask together for ever
        watched = began
        while (now := time.monotonic()) < self._end:
            if not self._in_flight:
                self._arrive_until(began, now)
            if now > watched + 1.0:
                watched = now
                self._hang_up(now)
            await asyncio.sleep(TICK_S)
        while self._opening or any(line.busy for line in self._lines):
            self._hang_up(time.monotonic())
            await asyncio.sleep(0.02)
        self.calls.cpu_s = time.process_time()
        return self.calls

    def _stop(self) -> None:
        """No more arrivals; who waits for an answer still gets it."""
        self._end = min(self._end, time.monotonic())

    def _arrive_until(self, began: float, now: float) -> None:
        while (due := began + self._next / self._rate) <= now:
            self.calls.late_s = max(self.calls.late_s, now - due)
            self._arrive(due)

    def _arrive(self, due: float) -> None:
        number, self._next = self._next, self._next + 1
        place = (len(self._lines) + len(self._opening) if self._in_flight else number) % len(self._places)
        idle = self._idle[place]
        while idle:
            line = idle.pop()  # the one used last: the others may rest
            if line.open:
                line.send(number, due)
                return
        if len(self._lines) + len(self._opening) >= LINES_MAX:
            self.calls.dropped += 1
            return
        task = asyncio.create_task(self._open(place, number, due))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, place: int, number: int, due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                made = await asyncio.get_running_loop().create_connection(
                    lambda: Line(self, place), *self._places[place]
                )
        except (OSError, TimeoutError):
            self.calls.note(number, due, LOST, -1)
            if self._in_flight:
                await asyncio.sleep(0.1)
                self._again()
            return
        self._lines.add(made[1])
        made[1].send(number, due)

    def is_idle(self, line: Line) -> None:
        if not self._in_flight:
            self._idle[line.place].append(line)
        elif (now := time.monotonic()) < self._end:
            number, self._next = self._next, self._next + 1
            line.send(number, now)

    def is_gone(self, line: Line) -> None:
        self._lines.discard(line)
        if self._in_flight:
            self._again()

    def _again(self) -> None:
        """In a closed loop, another takes the place of a caller whose connection is gone."""
        if (now := time.monotonic()) < self._end:
            self._arrive(now)

    def _hang_up(self, now: float) -> None:
        for line in list(self._lines):
            line.hang_up(now - PATIENCE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--run", required=True)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--in-flight", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--into", type=Path, required=True)
    told = parser.parse_args()
    gc.disable()  # it keeps everything anyway
    load = Load(told.urls, told.run, told.seconds, told.rate, told.in_flight)
    told.into.write_text(json.dumps(asdict(uvloop.run(load.run()))))


if __name__ == "__main__":
    main()
