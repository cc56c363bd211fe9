"""What every provider promises: one suite over the registry, run against the other side that is played for each.

A MockServer loaded with our expectations takes part when `MOCKSERVER_URL` names one. It keeps no book, so what needs a
memory is promised on the simulator only. `internal` asks nobody: it takes part where no card and no doubt does.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import (
    DECLINES,
    ActionRequired,
    Approved,
    Declined,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.embedded.scratch import free_port
from cleartill.ports import NoWatch, SystemClock
from cleartill.providers import PROVIDERS, Provider
from cleartill.providers.guard import Guard
from cleartill.providers.wire import nothing_written
from cleartill.simulator.cards import TEST_CARDS, Fault, TestCard
from real.providers import (
    GOOD,
    IMPATIENT_S,
    authorization,
    authorized,
    impatiently,
    made,
    means,
    ready,
    reversal,
    simulator,
    stripe_shapes,
)

pytestmark = pytest.mark.enable_socket

MOCKSERVER_URL = os.environ.get("MOCKSERVER_URL")
CARDS = {card.name: card for card in TEST_CARDS}
CLEAR = [card for card in TEST_CARDS if card.fault in (None, Fault.SLOW) and not card.challenged]
SILENT = [CARDS["timeout_before"], CARDS["timeout_after"]]
UNCLEAR = {"bank_500": "server_error", "reset": "reset", "malformed": "unreadable"}
SCRIPTED = sorted(PROVIDERS.keys() - {"internal"})
"""Who looks at the card."""
REMOTE = ["bank", "stripe"]
"""Who is asked over HTTP."""
OTHER_SIDES = [*SCRIPTED, *(["bank at MockServer"] if MOCKSERVER_URL else [])]


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture(scope="module")
async def stripe_url() -> AsyncIterator[str]:
    async with stripe_shapes() as (_, url):
        yield url


@pytest.fixture(params=OTHER_SIDES)
async def scripted(request: pytest.FixtureRequest, simulator_url: str, stripe_url: str) -> AsyncIterator[Provider]:
    name, _, mockserver = request.param.partition(" ")
    async with made(name, means(str(MOCKSERVER_URL) if mockserver else simulator_url, stripe_url)) as provider:
        yield provider


@pytest.fixture(params=[*OTHER_SIDES, "internal"])
async def provider(request: pytest.FixtureRequest, simulator_url: str, stripe_url: str) -> AsyncIterator[Provider]:
    name, _, mockserver = request.param.partition(" ")
    async with made(name, means(str(MOCKSERVER_URL) if mockserver else simulator_url, stripe_url)) as provider:
        yield provider


@pytest.fixture(params=SCRIPTED)
async def remembering(request: pytest.FixtureRequest, simulator_url: str, stripe_url: str) -> AsyncIterator[Provider]:
    """A provider whose other side keeps a book."""
    async with made(request.param, means(simulator_url, stripe_url)) as provider:
        yield provider


@pytest.fixture(params=REMOTE)
async def remote(request: pytest.FixtureRequest, simulator_url: str, stripe_url: str) -> AsyncIterator[Provider]:
    async with made(request.param, means(simulator_url, stripe_url)) as provider:
        yield provider


def said(outcome: Outcome, provider: Provider) -> tuple[object, ...]:
    """Outcome, decline code, network code, AVS and CVC result, as far as this provider tells them."""
    assert isinstance(outcome, Approved | Declined), outcome
    code = outcome.code if isinstance(outcome, Declined) else None
    told = [outcome.network_code, outcome.avs_result, outcome.cvc_result]
    if provider.name == "stripe":  # tells the network's code with a no, the checks with a yes
        told = told[:1] if code else told[1:]
    return (type(outcome), code, *told)


def documented(card: TestCard, provider: Provider) -> tuple[object, ...]:
    """The same as the table of cards has it."""
    like = (card.response_code, card.avs, card.cvc)
    if card.approved:
        return said(Approved("id", None, *like), provider)
    return said(Declined(str(card.decline), card.response_code, None, card.avs, card.cvc), provider)


@pytest.mark.parametrize("card", CLEAR, ids=lambda card: f"{card.name}-{card.number[-4:]}")
async def test_every_clear_card_has_its_documented_outcome(scripted: Provider, card: TestCard) -> None:
    outcome = await authorized(scripted, card.number)
    assert said(outcome, scripted) == documented(card, scripted)
    assert card.decline is None or card.decline in DECLINES


@pytest.mark.parametrize(("name", "reason"), UNCLEAR.items())
async def test_what_is_not_clear_is_unknown(scripted: Provider, name: str, reason: str) -> None:
    assert await authorized(scripted, CARDS[name].number) == Unknown(reason)


@pytest.mark.parametrize("card", SILENT, ids=lambda card: card.name)
async def test_silence_until_the_deadline_is_unknown(scripted: Provider, card: TestCard) -> None:
    assert await impatiently(scripted, await ready(scripted, authorization(card.number))) == Unknown("timeout")


async def test_who_must_act_is_sent_to_a_page(remembering: Provider) -> None:
    ask = await ready(remembering, authorization(CARDS["three_d_secure"].number))
    outcome = await remembering.authorize(ask)
    assert isinstance(outcome, ActionRequired)
    assert outcome.redirect_url.startswith("http")


async def test_a_hold_is_captured_in_part_and_refunded_in_parts(provider: Provider) -> None:
    hold = await authorized(provider, capture=False)
    assert isinstance(await provider.capture(reversal(hold, "capture", 1000)), Approved)
    assert isinstance(await provider.refund(reversal(hold, "refund", 400)), Approved)
    assert isinstance(await provider.refund(reversal(hold, "refund", 600)), Approved)


async def test_a_hold_is_released(provider: Provider) -> None:
    hold = await authorized(provider, capture=False)
    assert isinstance(await provider.void(reversal(hold, "void")), Approved)


async def test_a_well_provider_is_reached(provider: Provider) -> None:
    await provider.ping()


async def test_a_name_for_the_payment_fits_into_the_books(provider: Provider) -> None:
    outcome = await authorized(provider)
    assert isinstance(outcome, Approved)
    assert 0 < len(outcome.provider_id) <= 255
    assert provider.takes(1234, "USD")


async def test_what_was_never_sent_never_happens(scripted: Provider) -> None:
    assert await scripted.lookup(await ready(scripted, authorization())) == Never()


async def test_a_repeated_key_has_one_effect_and_one_answer(remembering: Provider) -> None:
    ask = await ready(remembering, authorization())
    answers = await asyncio.gather(*(remembering.authorize(ask) for _ in range(8)))
    first = next(answer for answer in answers if isinstance(answer, Approved))
    # Stripe turns away who asks by the same key at the same time.
    assert all(answer in (first, Unknown("in_progress")) for answer in answers)
    assert await remembering.authorize(ask) == first
    assert await remembering.lookup(ask) == Found(first)


async def test_a_repeated_refund_has_one_effect_and_one_answer(remembering: Provider) -> None:
    paid = await authorized(remembering)
    ask = reversal(paid, "refund", 800)
    first = await remembering.refund(ask)
    assert isinstance(first, Approved)
    assert await remembering.refund(ask) == first
    assert isinstance(await remembering.refund(reversal(paid, "refund", 434)), Approved)
    assert isinstance(await remembering.refund(reversal(paid, "refund", 1)), Declined)


async def test_a_reset_connection_is_asked_again_with_the_same_key(remembering: Provider) -> None:
    ask = await ready(remembering, authorization(CARDS["reset"].number))
    outcome = await impatiently(remembering, ask)
    assert isinstance(outcome, Approved)
    assert await remembering.lookup(ask) == Found(outcome)


@pytest.mark.parametrize("name", ["timeout_after", "malformed", "reset"])
async def test_what_was_done_in_silence_is_found(remembering: Provider, name: str) -> None:
    ask = await ready(remembering, authorization(CARDS[name].number))
    with suppress(TimeoutError):
        async with asyncio.timeout(IMPATIENT_S):
            assert isinstance(await remembering.authorize(ask), Unknown)
    found = await remembering.lookup(ask)
    assert isinstance(found, Found)
    assert isinstance(found.outcome, Approved)


async def test_a_decline_is_found_as_it_was_said(remembering: Provider) -> None:
    ask = await ready(remembering, authorization(CARDS["insufficient_funds"].number))
    outcome = await remembering.authorize(ask)
    assert await remembering.lookup(ask) == Found(outcome)


@pytest.mark.parametrize("name", ["timeout_before", "bank_500", "approve"])
async def test_what_was_looked_up_in_vain_is_refused_when_it_comes_late(remembering: Provider, name: str) -> None:
    ask = await ready(remembering, authorization(CARDS[name].number))
    if name != "approve":
        assert isinstance(await impatiently(remembering, ask), Unknown)
    assert await remembering.lookup(ask) == Never()
    late = await remembering.authorize(ask)
    if (remembering.name, name) == ("stripe", "bank_500"):  # says under a key what it said first
        assert late == Unknown("server_error")
    else:
        assert isinstance(late, Declined)
        assert late.code == "not_charged"
    assert await remembering.lookup(ask) == Never()


async def test_what_comes_after_its_time_is_not_charged(remembering: Provider) -> None:
    ask = await ready(remembering, authorization())
    late = await remembering.authorize(replace(ask, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    # Stripe knows no such time: there nothing is sent.
    assert late == NotSent("deadline") if remembering.name == "stripe" else late == Declined("not_charged")


async def test_no_more_is_moved_than_there_is(remembering: Provider) -> None:
    hold = await authorized(remembering, capture=False)
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


@pytest.mark.parametrize("name", REMOTE)
async def test_who_cannot_be_reached_got_nothing(name: str) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    async with made(name, means(dead, dead)) as provider:
        ask = authorization(provider_payment_id="pi_1")
        if provider.prepares:
            assert await provider.prepare(ask) == NotSent("connect")
        assert await provider.authorize(ask) == NotSent("connect")
        for verb in (provider.capture, provider.void, provider.refund):
            assert await verb(reversal(Approved("bnk_1"), "refund")) == NotSent("connect")
        assert await provider.lookup(ask) == NotYet()
        with pytest.raises(ConnectionError):
            await provider.ping()


async def test_a_call_in_flight_is_cancelled_at_once_and_says_that_bytes_were_out(remote: Provider) -> None:
    ask = await ready(remote, authorization(CARDS["timeout_after"].number))
    call = asyncio.create_task(remote.authorize(ask))
    await asyncio.wait([call], timeout=0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError) as stop:
        await call
    assert not nothing_written(stop.value)


async def test_a_breaker_opens_on_a_dead_bank_and_says_for_how_long() -> None:
    async with made("bank", means(f"http://127.0.0.1:{free_port()}", "")) as dead:
        guard = Guard(
            {"bank": dead}, in_flight=8, failures=2, open_s=30, breakers=None, watch=NoWatch(), clock=SystemClock()
        )
        for _ in range(2):
            async with guard.permit("bank", time.monotonic() + 5) as bank:
                assert await bank.authorize(authorization(GOOD)) == NotSent("connect")
        with pytest.raises(ProviderUnavailable) as refused:
            async with guard.permit("bank", time.monotonic() + 5):
                pass
        assert refused.value.retry_after_s == 30
