"""What every provider promises: one suite over the registry, run against the acquirer that is played for it.

A MockServer loaded with our expectations takes part when `MOCKSERVER_URL` names one. It keeps no book, so what needs a
memory is promised on the simulator only.
"""

import asyncio
import os
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import DECLINES, Approved, Declined, Found, Never, NotSent, NotYet, Outcome, Unknown
from cleartill.ports import Authorization, NoWatch, Reversal, SystemClock
from cleartill.providers import PROVIDERS, Means, Provider
from cleartill.providers.guard import Guard
from cleartill.providers.wire import nothing_written
from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.cards import TEST_CARDS, Fault, TestCard
from cleartill.simulator.http import bank_server, create_bank

pytestmark = pytest.mark.enable_socket

MOCKSERVER_URL = os.environ.get("MOCKSERVER_URL")
IMPATIENT_S = 0.5
GOOD = "4111111111111111"
CARDS = {card.name: card for card in TEST_CARDS}
CLEAR = [card for card in TEST_CARDS if card.fault in (None, Fault.SLOW)]
SILENT = [CARDS["timeout_before"], CARDS["timeout_after"]]
UNCLEAR = {"bank_500": "server_error", "reset": "reset", "malformed": "unreadable"}


def free_port() -> int:
    """A port below 32768 on which nobody answers."""
    for _ in range(100):
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    port = free_port()
    server = bank_server(create_bank(Acquirer(Book(None))), port=port)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module", params=["simulator", "mockserver"] if MOCKSERVER_URL else ["simulator"])
def url(request: pytest.FixtureRequest, simulator_url: str) -> str:
    return simulator_url if request.param == "simulator" else str(MOCKSERVER_URL)


@pytest.fixture(params=sorted(PROVIDERS))
async def provider(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Provider]:
    made = PROVIDERS[request.param](Means(url))
    yield made
    await made.close()


@pytest.fixture(params=sorted(PROVIDERS))
async def remembering(request: pytest.FixtureRequest, simulator_url: str) -> AsyncIterator[Provider]:
    """A provider whose other side keeps a book."""
    made = PROVIDERS[request.param](Means(simulator_url))
    yield made
    await made.close()


def authorization(number: str = GOOD, **other: Any) -> Authorization:
    """Over 12.34 USD, captured at once, under a fresh key."""
    card = Card(Pan(number), 12, 2090, Cvv("123"), Secret("Ada Lovelace"))
    soon = datetime.now(UTC) + timedelta(minutes=5)
    return replace(Authorization(f"pay_{uuid4().hex}.authorize.1", 1234, "USD", card, True, soon), **other)


def reversal(of: Outcome, verb: str, amount_minor: int = 1234) -> Reversal:
    assert isinstance(of, Approved)
    soon = datetime.now(UTC) + timedelta(minutes=5)
    return Reversal(f"pay_{uuid4().hex}.{verb}.1", of.provider_id, amount_minor, "USD", soon)


def guarded(provider: Provider) -> Guard:
    watch, clock = NoWatch(), SystemClock()
    return Guard({provider.name: provider}, in_flight=8, failures=99, open_s=5, breakers=None, watch=watch, clock=clock)


async def impatiently(provider: Provider, ask: Authorization) -> Outcome:
    deadline = time.monotonic() + IMPATIENT_S
    async with guarded(provider).permit(provider.name, deadline) as permitted:
        return await permitted.authorize(ask)


def documented(card: TestCard) -> tuple[type, str | None, str, str, str]:
    """Outcome, decline code, network code, AVS and CVC result as the table of cards has them."""
    if card.approved:
        return Approved, None, card.response_code, card.avs, card.cvc
    return Declined, card.decline, card.response_code, card.avs, card.cvc


@pytest.mark.parametrize("card", CLEAR, ids=lambda card: f"{card.name}-{card.number[-4:]}")
async def test_every_clear_card_has_its_documented_outcome(provider: Provider, card: TestCard) -> None:
    outcome = await provider.authorize(authorization(card.number))
    assert isinstance(outcome, Approved | Declined)
    code = outcome.code if isinstance(outcome, Declined) else None
    said = (type(outcome), code, outcome.network_code, outcome.avs_result, outcome.cvc_result)
    assert said == documented(card)
    assert code is None or code in DECLINES


@pytest.mark.parametrize(("name", "reason"), UNCLEAR.items())
async def test_what_is_not_clear_is_unknown(provider: Provider, name: str, reason: str) -> None:
    assert await provider.authorize(authorization(CARDS[name].number)) == Unknown(reason)


@pytest.mark.parametrize("card", SILENT, ids=lambda card: card.name)
async def test_silence_until_the_deadline_is_unknown(provider: Provider, card: TestCard) -> None:
    assert await impatiently(provider, authorization(card.number)) == Unknown("timeout")


async def test_a_hold_is_captured_in_part_and_refunded_in_parts(provider: Provider) -> None:
    hold = await provider.authorize(authorization(capture=False))
    assert isinstance(await provider.capture(reversal(hold, "capture", 1000)), Approved)
    assert isinstance(await provider.refund(reversal(hold, "refund", 400)), Approved)
    assert isinstance(await provider.refund(reversal(hold, "refund", 600)), Approved)


async def test_a_hold_is_released(provider: Provider) -> None:
    hold = await provider.authorize(authorization(capture=False))
    assert isinstance(await provider.void(reversal(hold, "void")), Approved)


async def test_a_well_provider_is_reached(provider: Provider) -> None:
    await provider.ping()


async def test_what_was_never_sent_never_happens(provider: Provider) -> None:
    ask = authorization()
    assert await provider.lookup(ask) == Never()


async def test_a_repeated_key_has_one_effect_and_one_answer(remembering: Provider) -> None:
    ask = authorization()
    first, *others = await asyncio.gather(*(remembering.authorize(ask) for _ in range(8)))
    assert isinstance(first, Approved)
    assert others == [first] * 7


async def test_a_reset_connection_is_asked_again_with_the_same_key(remembering: Provider) -> None:
    ask = authorization(CARDS["reset"].number)
    outcome = await impatiently(remembering, ask)
    assert isinstance(outcome, Approved)
    assert await remembering.lookup(ask) == Found(outcome)


@pytest.mark.parametrize("name", ["timeout_after", "malformed", "reset"])
async def test_what_was_done_in_silence_is_found(remembering: Provider, name: str) -> None:
    ask = authorization(CARDS[name].number)
    deadline = time.monotonic() + IMPATIENT_S
    with suppress(TimeoutError):
        async with asyncio.timeout(deadline - time.monotonic()):
            assert isinstance(await remembering.authorize(ask), Unknown)
    found = await remembering.lookup(ask)
    assert isinstance(found, Found)
    assert isinstance(found.outcome, Approved)


async def test_a_decline_is_found_as_it_was_said(remembering: Provider) -> None:
    ask = authorization(CARDS["insufficient_funds"].number)
    outcome = await remembering.authorize(ask)
    assert await remembering.lookup(ask) == Found(outcome)


@pytest.mark.parametrize("name", ["timeout_before", "bank_500", "approve"])
async def test_what_was_looked_up_in_vain_is_refused_when_it_comes_late(remembering: Provider, name: str) -> None:
    ask = authorization(CARDS[name].number)
    if name != "approve":
        assert isinstance(await impatiently(remembering, ask), Unknown)
    assert await remembering.lookup(ask) == Never()
    assert await remembering.authorize(ask) == Declined("not_charged")
    assert await remembering.lookup(ask) == Never()


async def test_what_comes_after_its_time_is_not_charged(remembering: Provider) -> None:
    ask = authorization(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await remembering.authorize(ask) == Declined("not_charged")


async def test_no_more_is_moved_than_there_is(remembering: Provider) -> None:
    hold = await remembering.authorize(authorization(capture=False))
    assert isinstance(await remembering.capture(reversal(hold, "capture", 1235)), Declined)
    assert isinstance(await remembering.capture(reversal(hold, "capture")), Approved)
    assert isinstance(await remembering.void(reversal(hold, "void")), Declined)
    assert isinstance(await remembering.refund(reversal(hold, "refund", 1235)), Declined)
    assert isinstance(await remembering.refund(reversal(hold, "refund")), Approved)


async def test_a_payment_nobody_knows_is_declined(remembering: Provider) -> None:
    stranger = Approved("bnk_nobody")
    for verb, ask in (("void", remembering.void), ("refund", remembering.refund)):
        outcome = await ask(reversal(stranger, verb))
        assert isinstance(outcome, Declined)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
async def test_who_cannot_be_reached_got_nothing(name: str) -> None:
    provider = PROVIDERS[name](Means(f"http://127.0.0.1:{free_port()}"))
    ask = authorization()
    assert await provider.authorize(ask) == NotSent("connect")
    assert await provider.refund(reversal(Approved("bnk_1"), "refund")) == NotSent("connect")
    assert await provider.lookup(ask) == NotYet()
    with pytest.raises(ConnectionError):
        await provider.ping()
    await provider.close()


async def test_a_call_in_flight_is_cancelled_at_once_and_says_that_bytes_were_out(provider: Provider) -> None:
    call = asyncio.create_task(provider.authorize(authorization(CARDS["timeout_after"].number)))
    await asyncio.wait([call], timeout=0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as stop:
        await call
    assert not nothing_written(stop.value)


async def test_a_breaker_opens_on_a_dead_bank_and_says_for_how_long() -> None:
    dead = PROVIDERS["bank"](Means(f"http://127.0.0.1:{free_port()}"))
    guard = Guard(
        {"bank": dead}, in_flight=8, failures=2, open_s=30, breakers=None, watch=NoWatch(), clock=SystemClock()
    )
    for _ in range(2):
        async with guard.permit("bank", time.monotonic() + 5) as bank:
            assert await bank.authorize(authorization()) == NotSent("connect")
    with pytest.raises(ProviderUnavailable) as refused:
        async with guard.permit("bank", time.monotonic() + 5):
            pass
    assert refused.value.retry_after_s == 30
    await dead.close()
