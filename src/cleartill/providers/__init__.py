"""Those who move money, one file each, and the guard that stands before every one of them.

A new provider is `providers/<name>.py` and one line in `PROVIDERS`; the contract suite runs over that table.

Decisions:
- Every provider here answers a repeated attempt key as it did the first time. The guard's retry stands on it.
- aiohttp, not httpx: 0.2 ms of CPU a call against 3.4 ms at 64 in flight. Its pool is unbounded (`limit=0`), since the
  bulkhead bounds the calls and waits in order.
- Whether a byte was written is known by aiohttp's `on_request_headers_sent`, which comes just before the socket gets
  the bytes: before it a failure is NotSent, after it Unknown. Stripe's package sends over the same wire.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cleartill import ports
from cleartill.providers.bank import Bank
from cleartill.providers.bank_callback import bank_verifier, unsigned
from cleartill.providers.internal import Internal
from cleartill.providers.mock import Mock
from cleartill.providers.wire import OutgoingHeaders, Wire, no_headers


class Provider(ports.Provider, Protocol):
    """A provider with connections to let go of."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What providers are made of. `outgoing_headers`: trace headers for each request to our own bank. `payer_url`:
    where payers are sent, or come back to, for 3-D Secure. No `stripe_secret_key`: no Stripe."""

    banking_api_url: str
    outgoing_headers: OutgoingHeaders = no_headers
    production: bool = False
    payer_url: str = ""
    stripe_secret_key: str = field(default="", repr=False)
    stripe_api_base: str = ""
    clock: ports.Clock = field(default_factory=ports.SystemClock)


def _stripe(means: Means) -> Provider | None:
    if not means.stripe_secret_key:
        return None
    from cleartill.providers.stripe.provider import Stripe  # 0.26 s and 30 MB, for those who have a key

    wire = Wire(means.stripe_api_base)
    return Stripe(means.stripe_secret_key, means.stripe_api_base, wire, means.payer_url, means.clock)


PROVIDERS: Mapping[str, Callable[[Means], Provider | None]] = {
    "bank": lambda means: Bank(Wire(means.banking_api_url, means.outgoing_headers)),
    "internal": lambda _: Internal(),
    "mock": lambda means: None if means.production else Mock(means.payer_url, means.clock),
    "stripe": _stripe,
}
"""None: not with these means."""


def enabled(means: Means) -> dict[str, Provider]:
    """The providers that there are with these means, by name."""
    made = {name: make(means) for name, make in PROVIDERS.items()}
    return {name: provider for name, provider in made.items() if provider is not None}


def verifiers(bank_secret: str, stripe_secret: str, *, production: bool) -> dict[str, ports.Verifier]:
    """Who may call back, by provider: those whose secret we have; and `mock`, for whom the API asks for a key."""
    known = {"bank": bank_verifier(bank_secret.encode(), ports.SystemClock().now)}
    if not production:
        known["mock"] = unsigned
    if stripe_secret:
        from cleartill.providers.stripe.callbacks import verifier

        known["stripe"] = verifier(stripe_secret)
    return known
