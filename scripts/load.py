"""A load generator that costs little: keep-alive connections, hand-made HTTP/1.1, one payment at a time on each.

    .venv/bin/python scripts/load.py URL --in-flight 64 --seconds 10 [--rate 500] [--card 4111111111111111]

Prints one line of JSON: payments/s, latency percentiles in ms, outcomes by status. Bounded in time and count.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from urllib.parse import urlsplit
from uuid import uuid4

import uvloop

COUNT_MAX = 1_000_000
RAMP_S = 0.2
"""Callers begin one after the other: begun together they would ask together for ever."""
SETTLED_S = 0.5
"""From here to the end answers are counted for `per_s`: not while callers still begin, not while the last ones wait."""
DEMO_API_KEY = "sk_test_demo1234CleartillDemoMerchantKeyForTests"


def body(card: str) -> bytes:
    return json.dumps(
        {
            "amount": 99.99,
            "currency": "USD",
            "payment_method": "credit_card",
            "order_id": 17,
            "metadata": {"cart": "c1", "n": 3},
            "card_data": {
                "card_number": card,
                "expiry_month": 12,
                "expiry_year": 2034,
                "cvv": "123",
                "cardholder_name": "Ada Lovelace",
            },
        }
    ).encode()


class Caller(asyncio.Protocol):
    """One connection: sends a request, waits for the whole answer, is given the next."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[int] | None = None
        self.buffer = b""
        self.heard = b""  # the last answer, head and body
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        at = head.lower().index(b"content-length:") + 15
        length = int(head[at : (head + b"\r\n").index(b"\r\n", at)])
        if len(rest) >= length and self.answered:
            self.heard, self.buffer = self.buffer, b""
            self.answered.set_result(int(head[9:12]))

    def connection_lost(self, _: Exception | None) -> None:
        if self.answered and not self.answered.done():
            self.answered.set_result(0)

    async def call(self, request: bytes) -> int:
        self.answered = asyncio.get_running_loop().create_future()
        assert self.transport
        self.transport.write(request)
        return await self.answered


async def load(url: str, in_flight: int, seconds: float, rate: float | None, card: str, key: str) -> dict[str, object]:
    """Drive the API: closed loop, or at a `rate` per second spread over the connections."""
    where, loop = urlsplit(url), asyncio.get_running_loop()
    payload = body(card)
    head = (
        f"POST /api/v1/payments/process HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nIdempotency-Key: "
    ).encode()
    run = uuid4().hex  # a shorter one, and the numbers after it, look like a card number now and then: 400
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    begin = time.perf_counter()
    settled, end = begin + SETTLED_S, begin + seconds
    steady = 0

    async def drive(number: int) -> None:
        nonlocal steady
        await asyncio.sleep(RAMP_S * number / in_flight)
        _, caller = await loop.create_connection(Caller, where.hostname, where.port)
        for turn in range(COUNT_MAX // in_flight):
            if rate:
                due = begin + (turn * in_flight + number) / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked = time.perf_counter()
            if asked >= end:
                break
            status = await caller.call(head + f"{run}-{number}-{turn}\r\n\r\n".encode() + payload)
            answered = time.perf_counter()
            latencies.append(answered - asked)
            statuses[status] += 1
            steady += status == 201 and settled <= answered < end
            if status == 0:
                _, caller = await loop.create_connection(Caller, where.hostname, where.port)
        assert caller.transport
        caller.transport.close()

    await asyncio.gather(*(drive(number) for number in range(in_flight)))
    latencies.sort()

    def percentile(share: float) -> float:
        return round(latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000, 2) if latencies else 0.0

    return {
        "per_s": round(steady / (end - settled), 1),
        "count": len(latencies),
        "p50_ms": percentile(0.5),
        "p99_ms": percentile(0.99),
        "statuses": {str(status): count for status, count in statuses.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--card", default="4111111111111111")
    parser.add_argument("--key", default=DEMO_API_KEY)
    told = parser.parse_args()
    print(json.dumps(uvloop.run(load(told.url, told.in_flight, told.seconds, told.rate, told.card, told.key))))


if __name__ == "__main__":
    main()
