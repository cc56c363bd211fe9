"""The provider in this process: what it remembers, what it forgets, and what it says all the same."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.outcome import ActionRequired, Approved, Declined, Found, Never, Unknown
from cleartill.ports import Authorization, Inquiry, Reversal
from cleartill.providers import mock as mock_module
from cleartill.providers.mock import Mock
from cleartill.simulator.cards import TEST_CARDS
from fakes.memory import FakeClock

NUMBERS = {card.name: card.number for card in TEST_CARDS}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def mock(clock: FakeClock) -> Mock:
    return Mock("https://shop.example/act", clock)


async def asked(mock: Mock, clock: FakeClock, name: str | None = "approve", number: int = 1) -> Authorization:
    card = Card(Pan(NUMBERS[name]), 12, 2090, Cvv("123"), Secret("Ada")) if name else None
    soon = clock.now() + timedelta(seconds=8)
    ask = Authorization(f"pay_{number}.authorize.1", f"pay_{number}", 1234, "USD", card, True, soon)
    prepared = await mock.prepare(ask)
    assert isinstance(prepared, str)
    return replace(ask, provider_payment_id=prepared)


def inquiry(ask: Authorization) -> Inquiry:
    return Inquiry(
        ask.attempt_key, ask.payment_id, ask.amount_minor, ask.currency, ask.expires_at, ask.provider_payment_id
    )


def back(of: str, key: str, amount_minor: int, clock: FakeClock) -> Reversal:
    return Reversal(key, of, amount_minor, "USD", clock.now() + timedelta(seconds=8))


async def test_without_a_card_it_approves(mock: Mock, clock: FakeClock) -> None:
    assert isinstance(await mock.authorize(await asked(mock, clock, None)), Approved)


async def test_its_name_for_a_payment_tells_nothing_of_the_card(mock: Mock, clock: FakeClock) -> None:
    ask = await asked(mock, clock, "lost")
    assert NUMBERS["lost"] not in str(ask.provider_payment_id)
    assert "9987" not in str(ask.provider_payment_id)


@pytest.mark.parametrize("name", ["timeout_after", "reset", "malformed"])
async def test_another_process_finds_what_was_done_in_silence(mock: Mock, clock: FakeClock, name: str) -> None:
    ask = await asked(mock, clock, name)
    assert isinstance(await mock.authorize(ask), Unknown)
    found = await mock.lookup(inquiry(ask))
    assert await Mock("https://shop.example/act", clock).lookup(inquiry(ask)) == found
    assert isinstance(found, Found)
    assert await mock.authorize(ask) == found.outcome


@pytest.mark.parametrize("name", ["timeout_before", "bank_500"])
async def test_another_process_finds_that_nothing_was_done(mock: Mock, clock: FakeClock, name: str) -> None:
    ask = await asked(mock, clock, name)
    assert isinstance(await mock.authorize(ask), Unknown)
    assert await Mock("", clock).lookup(inquiry(ask)) == Never()


async def test_a_slow_answer_that_nobody_waited_for_is_found(mock: Mock, clock: FakeClock) -> None:
    ask = await asked(mock, clock, "slow")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await mock.authorize(ask)
    found = await mock.lookup(inquiry(ask))
    assert isinstance(found, Found)
    assert isinstance(found.outcome, Approved)


async def test_a_payer_may_act_until_the_time_is_over(mock: Mock, clock: FakeClock) -> None:
    ask = await asked(mock, clock, "three_d_secure")
    asked_back = await mock.authorize(ask)
    assert asked_back == ActionRequired(str(ask.provider_payment_id), "https://shop.example/act?payment_id=pay_1")
    assert await mock.lookup(inquiry(ask)) == Found(asked_back)
    assert await Mock("https://shop.example/act", clock).lookup(inquiry(ask)) == Found(asked_back)
    clock.advance(16 * 60)
    assert await mock.lookup(inquiry(ask)) == Never()
    assert await mock.authorize(ask) == Declined("not_charged")


async def test_a_payment_of_another_process_is_moved(mock: Mock, clock: FakeClock) -> None:
    ask = await asked(mock, clock)
    paid = await mock.authorize(ask)
    assert isinstance(paid, Approved)
    other = Mock("", clock)
    assert isinstance(await other.refund(back(paid.provider_id, "ref_1.refund.1", 1234, clock)), Approved)
    assert isinstance(await other.refund(back("bnk_1", "ref_2.refund.1", 1234, clock)), Declined)


async def test_a_refused_movement_stays_refused(mock: Mock, clock: FakeClock) -> None:
    paid = await mock.authorize(replace(await asked(mock, clock), capture=False))
    assert isinstance(paid, Approved)
    too_soon = back(paid.provider_id, "ref_1.refund.1", 1234, clock)
    refused = await mock.refund(too_soon)
    assert isinstance(refused, Declined)
    assert isinstance(await mock.capture(back(paid.provider_id, "pay_1.capture.1", 1234, clock)), Approved)
    assert await mock.refund(too_soon) == refused


async def test_its_memory_is_bounded(mock: Mock, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mock_module, "MEMORY", 3)
    for number in range(5):
        await mock.authorize(await asked(mock, clock, number=number))
    assert len(mock._payments) == 3


@pytest.mark.parametrize("id", ["", "bnk_1", "mock_approve_x", "mock_nobody_" + "0" * 24])
async def test_a_name_that_is_not_its_own_means_no_script(mock: Mock, clock: FakeClock, id: str) -> None:
    ask = replace(await asked(mock, clock, "lost"), provider_payment_id=id)
    assert isinstance(await mock.authorize(ask), Approved)
