"""Transfers through every provider that can make them: the bank's on the simulator, the others in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cleartill.domain.outcome import Accepted, Approved, Declined, Disagrees, Found, NotYet, Unknown
from cleartill.domain.transfer import TransferKind
from cleartill.ports import TransferOrder
from cleartill.providers import Provider
from real.providers import made, means, simulator

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
async def bank(simulator_url: str) -> AsyncIterator[Provider]:
    """It settles at once, and never fails."""
    control(simulator_url, transfer_delay_s=[0, 0], transfer_fail_rate=0)
    async with made("bank", means(simulator_url, "")) as provider:
        yield provider


def control(url: str, **settings: Any) -> None:
    httpx.put(f"{url}/_control", json=settings).raise_for_status()


def order(**changes: Any) -> TransferOrder:
    soon = datetime.now(UTC) + timedelta(minutes=5)
    made = TransferOrder(f"dep_{uuid4().hex[:26]}.transfer.1", TransferKind.DEPOSIT, 700, "USD", soon)
    return replace(made, **changes)


async def ended(bank: Provider, ask: TransferOrder) -> Any:
    for _ in range(200):
        said = await bank.lookup_transfer(ask)
        if not isinstance(said, Accepted):
            return said
        await asyncio.sleep(0.02)
    raise AssertionError("it does not end")


@pytest.mark.parametrize("kind", list(TransferKind))
@pytest.mark.parametrize("fails", [0, 1])
async def test_taken_on_and_ended(bank: Provider, simulator_url: str, kind: TransferKind, fails: int) -> None:
    control(simulator_url, transfer_fail_rate=fails)
    ask = order(kind=kind)
    accepted = await bank.transfer(ask)
    assert isinstance(accepted, Accepted)
    assert await bank.transfer(ask) == accepted, "a repeat is answered as the first"
    found = await ended(bank, ask)
    assert isinstance(found, Found)
    assert isinstance(found.outcome, Declined if fails else Approved)
    assert found.outcome.provider_id == accepted.provider_id


async def test_what_came_too_late_is_not_done(bank: Provider) -> None:
    late = order(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await bank.transfer(late) == Unknown("expired")
    assert await bank.lookup_transfer(late) == NotYet()


async def test_another_amount_under_the_same_reference(bank: Provider) -> None:
    ask = order()
    await bank.transfer(ask)
    assert await bank.transfer(replace(ask, amount_minor=701)) == Unknown("unreadable")
    assert await bank.lookup_transfer(replace(ask, amount_minor=701)) == Disagrees("amount")


async def test_a_bank_that_is_down(bank: Provider, simulator_url: str) -> None:
    control(simulator_url, down=True)
    try:
        assert await bank.transfer(order()) == Unknown("server_error")
        assert await bank.lookup_transfer(order()) == NotYet()
    finally:
        control(simulator_url, down=False)


@pytest.mark.parametrize("name", ["internal", "mock"])
async def test_those_who_do_it_at_once(name: str) -> None:
    async with made(name, means("", "")) as provider:
        ask = order()
        done = await provider.transfer(ask)
        assert isinstance(done, Approved)
        assert await provider.transfer(ask) == done
        assert await provider.lookup_transfer(ask) == Found(done)


async def test_who_makes_no_transfers_refuses_them() -> None:
    async with made("stripe", means("", "http://127.0.0.1:1")) as provider:
        assert isinstance(await provider.transfer(order()), Declined)
