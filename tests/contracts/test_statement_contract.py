"""A provider's own book, on the simulator: all that was asked is in it, under our keys, page after page."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from cleartill.domain.outcome import Approved, NotSent, Unknown
from cleartill.domain.reconciliation import Done, Line
from cleartill.embedded.scratch import free_port
from cleartill.ports import StatementPage
from cleartill.providers import PROVIDERS, Provider, bank_statement
from cleartill.simulator.cards import TEST_CARDS
from real.providers import authorization, made, means, reversal, simulator

pytestmark = pytest.mark.enable_socket
CARDS = {card.name: card.number for card in TEST_CARDS}
EARLY = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def simulator_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
async def bank(simulator_url: str) -> AsyncIterator[Provider]:
    async with made("bank", means(simulator_url, "")) as provider:
        yield provider


async def whole(bank: Provider, since: datetime = EARLY) -> list[Line]:
    lines: list[Line] = []
    beyond: datetime | str | None = since
    while beyond is not None:
        page = await bank.statement(beyond)
        assert isinstance(page, StatementPage)
        lines += page.lines
        beyond = page.next
    return lines


async def test_all_that_was_asked_is_there(bank: Provider) -> None:
    ask = authorization(capture=False)
    held = await bank.authorize(ask)
    assert isinstance(held, Approved)
    capture, refund = reversal(held, "capture"), reversal(held, "refund", 34)
    await bank.capture(capture)
    await bank.refund(refund)
    refused, challenged = authorization(CARDS["card_declined"]), authorization(CARDS["three_d_secure"])
    await bank.authorize(refused)
    await bank.authorize(challenged)
    await bank.lookup(challenged)

    told = [(line.reference, line.kind, line.done, line.amount_minor) for line in await whole(bank)]
    assert told == [
        (ask.attempt_key, "authorization", Done.YES, 1234),
        (capture.attempt_key, "capture", Done.YES, 1234),
        (refund.attempt_key, "refund", Done.YES, 34),
        (refused.attempt_key, "authorization", Done.NO, 1234),
        (challenged.attempt_key, "authorization", Done.OPEN, 1234),
        (challenged.attempt_key, "cancel", Done.NO, 0),
    ]


async def test_it_comes_in_pages(bank: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_statement, "LINES", 3)
    asks = [authorization() for _ in range(10)]
    for ask in asks:
        await bank.authorize(ask)
    assert [line.reference for line in await whole(bank)] == [ask.attempt_key for ask in asks]
    assert await whole(bank, datetime.now(UTC) + timedelta(minutes=1)) == []


async def test_the_longest_page_fits(bank: Provider, simulator_url: str) -> None:
    """Challenges are the longest lines: they carry two addresses."""
    card = {"number": CARDS["three_d_secure"], "expiry_month": 12, "expiry_year": 2090, "cvc": "123"}
    order = {"amount_minor": 1, "currency": "USD", "card": card, "return_url": "https://shop.example/" + "x" * 2000}
    async with httpx.AsyncClient(base_url=simulator_url) as client:
        for number in range(bank_statement.LINES + 1):
            reference = f"{number:03}{'r' * 252}"
            (await client.post("/v1/authorizations", json=order | {"reference": reference})).raise_for_status()
    assert len(await whole(bank)) == bank_statement.LINES + 1


@pytest.mark.parametrize("name", sorted(PROVIDERS.keys() - {"bank"}))
async def test_who_keeps_no_book_shows_none(name: str) -> None:
    async with made(name, means("", f"http://127.0.0.1:{free_port()}")) as provider:
        assert await provider.statement(EARLY) is None


async def test_a_bank_that_is_away_or_down_says_nothing(bank: Provider, simulator_url: str) -> None:
    async with httpx.AsyncClient(base_url=simulator_url) as client:
        (await client.put("/_control", json={"down": True})).raise_for_status()
    assert await bank.statement(EARLY) == Unknown("server_error")
    async with made("bank", means(f"http://127.0.0.1:{free_port()}", "")) as away:
        assert await away.statement(EARLY) == NotSent("connect")
