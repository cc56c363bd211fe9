"""Those who move money, one file each, and the guard that stands before every one of them.

A new provider is `providers/<name>.py` and one line in `PROVIDERS`; the contract suite runs over that table.

Decisions:
- Every provider here answers a repeated attempt key as it did the first time. The guard's retry stands on it.
- aiohttp, not httpx: 0.2 ms of CPU a call against 3.4 ms at 64 in flight. Its pool is unbounded (`limit=0`), since the
  bulkhead bounds the calls and waits in order.
- Whether a byte was written is known by aiohttp's `on_request_headers_sent`, which comes just before the socket gets
  the bytes: before it a failure is NotSent, after it Unknown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cleartill import ports
from cleartill.providers.bank import Bank
from cleartill.providers.wire import OutgoingHeaders, Wire, no_headers


class Provider(ports.Provider, Protocol):
    """A provider with connections to let go of."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What providers are made of. `outgoing_headers`: trace headers for each request."""

    banking_api_url: str
    outgoing_headers: OutgoingHeaders = no_headers


PROVIDERS: Mapping[str, Callable[[Means], Provider]] = {
    "bank": lambda means: Bank(Wire(means.banking_api_url, means.outgoing_headers)),
}
