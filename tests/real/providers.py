"""Every provider of the registry before the other side that is played for it: the simulator, or Stripe's shapes."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from aiohttp import web

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.outcome import Approved, Outcome
from cleartill.embedded.scratch import free_port
from cleartill.ports import Authorization, NoWatch, Reversal, SystemClock
from cleartill.providers import PROVIDERS, Means, Provider
from cleartill.providers.guard import Guard
from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.http import bank_server, create_bank
from fakes.stripe import KEY, FakeStripe

GOOD = "4111111111111111"
IMPATIENT_S = 0.5
PAYER_URL = "https://shop.example/back"


@contextmanager
def simulator() -> Iterator[str]:
    """The acquirer's address."""
    port = free_port()
    server = bank_server(create_bank(Acquirer(Book(None)), public_url=f"http://127.0.0.1:{port}"), port=port)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@asynccontextmanager
async def stripe_shapes() -> AsyncIterator[tuple[FakeStripe, str]]:
    """Stripe as it documents itself, and its address."""
    played, port = FakeStripe(), free_port()
    runner = web.AppRunner(played.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield played, f"http://127.0.0.1:{port}"
    await runner.cleanup()


def means(bank_url: str, stripe_url: str, **other: Any) -> Means:
    return Means(bank_url, payer_url=PAYER_URL, stripe_secret_key=KEY, stripe_api_base=stripe_url, **other)


@asynccontextmanager
async def made(name: str, with_means: Means) -> AsyncIterator[Provider]:
    provider = PROVIDERS[name](with_means)
    assert provider is not None
    yield provider
    await provider.close()


def authorization(number: str = GOOD, **other: Any) -> Authorization:
    """Over 12.34 USD, captured at once, under a fresh key."""
    card = Card(Pan(number), 12, 2090, Cvv("123"), Secret("Ada Lovelace"))
    id, soon = f"pay_{uuid4().hex}", datetime.now(UTC) + timedelta(minutes=5)
    return replace(Authorization(f"{id}.authorize.1", id, 1234, "USD", card, True, soon), **other)


async def ready(provider: Provider, ask: Authorization) -> Authorization:
    """The request as a use case sends it: prepared, where that comes first."""
    if not provider.prepares:
        return ask
    prepared = await provider.prepare(ask)
    assert isinstance(prepared, str), prepared
    return replace(ask, provider_payment_id=prepared)


async def authorized(provider: Provider, number: str = GOOD, **other: Any) -> Outcome:
    return await provider.authorize(await ready(provider, authorization(number, **other)))


def reversal(of: Outcome, verb: str, amount_minor: int = 1234) -> Reversal:
    assert isinstance(of, Approved), of
    soon = datetime.now(UTC) + timedelta(minutes=5)
    return Reversal(f"pay_{uuid4().hex}.{verb}.1", of.provider_id, amount_minor, "USD", soon)


async def impatiently(provider: Provider, ask: Authorization) -> Outcome:
    """Asked through the guard, with IMPATIENT_S seconds left."""
    guard = Guard(
        {provider.name: provider},
        in_flight=8,
        failures=99,
        open_s=5,
        breakers=None,
        watch=NoWatch(),
        clock=SystemClock(),
    )
    async with guard.permit(provider.name, time.monotonic() + IMPATIENT_S) as permitted:
        return await permitted.authorize(ask)
