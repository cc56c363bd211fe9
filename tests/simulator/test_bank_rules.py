"""The acquirer's rules: caps, expiry, tombstones, repeats; the same after the book is read back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from cleartill.simulator.acquirer import Acquirer, Entry, RefusalError
from cleartill.simulator.book import Book
from cleartill.simulator.orders import Card, Kind, Order

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
APPROVING = Card("4111111111111111", 12, 2030)


class Bank:
    """An acquirer over a book in a folder, with a clock that stands still until it is moved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self.acquirer = self._open()

    def _open(self) -> Acquirer:
        acquirer = Acquirer(Book(self.path), clock=lambda: self.now)
        acquirer.book.start()
        return acquirer

    async def restart(self) -> None:
        await self.acquirer.book.stop()
        self.acquirer = self._open()

    async def do(self, kind: Kind, reference: str, amount: int = 0, **more: Any) -> dict[str, Any]:
        currency = more.pop("currency", "USD")
        if kind is Kind.AUTHORIZATION:
            more.setdefault("card", APPROVING)
        return answer(await self.acquirer.perform(Order(kind, reference, amount, currency, **more)))


def answer(entry: Entry) -> dict[str, Any]:
    document = orjson.loads(entry.answer)
    assert isinstance(document, dict)
    return document


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path / "book.jsonl")
    yield bank
    await bank.acquirer.book.stop()


async def held(bank: Bank, amount: int = 1000, capture: bool = False) -> str:
    done = await bank.do(Kind.AUTHORIZATION, f"auth-{amount}-{capture}", amount, capture=capture)
    return str(done["operation_id"])


async def test_captures_stop_at_what_was_authorized(bank: Bank) -> None:
    hold = await held(bank)
    codes = [(await bank.do(Kind.CAPTURE, f"c{n}", 400, authorization_id=hold))["response_code"] for n in range(3)]
    assert codes == ["00", "00", "13"]
    assert (await bank.do(Kind.CAPTURE, "rest", 200, authorization_id=hold))["status"] == "approved"


async def test_refunds_stop_at_what_was_captured_even_if_all_come_at_once(bank: Bank) -> None:
    hold = await held(bank, capture=True)
    asked = [bank.do(Kind.REFUND, f"r{n}", 600, authorization_id=hold) for n in range(16)]
    verdicts = [done["status"] for done in await asyncio.gather(*asked)]
    assert verdicts.count("approved") == 1
    assert verdicts.count("declined") == 15


async def test_nothing_is_refunded_before_it_is_captured(bank: Bank) -> None:
    hold = await held(bank)
    assert (await bank.do(Kind.REFUND, "r", 1, authorization_id=hold))["response_code"] == "13"


async def test_a_void_releases_the_hold_once_and_ends_it(bank: Bank) -> None:
    hold = await held(bank)
    void = await bank.do(Kind.VOID, "v1", authorization_id=hold)
    assert (void["status"], void["amount_minor"], void["currency"]) == ("approved", 1000, "USD")
    assert (await bank.do(Kind.VOID, "v2", authorization_id=hold))["response_code"] == "12"
    assert (await bank.do(Kind.CAPTURE, "c", 1, authorization_id=hold))["response_code"] == "12"


async def test_what_is_captured_cannot_be_voided(bank: Bank) -> None:
    hold = await held(bank, capture=True)
    assert (await bank.do(Kind.VOID, "v", authorization_id=hold))["response_code"] == "12"


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.VOID, Kind.REFUND])
async def test_an_unknown_authorization_is_an_authentic_no(bank: Bank, kind: Kind) -> None:
    assert (await bank.do(kind, "x", 5, authorization_id="bnk_none"))["response_code"] == "25"


async def test_another_currency_than_the_authorization_s_is_declined(bank: Bank) -> None:
    hold = await held(bank)
    done = await bank.do(Kind.CAPTURE, "c", 5, currency="EUR", authorization_id=hold)
    assert done["response_code"] == "12"


async def test_a_declined_authorization_holds_nothing(bank: Bank) -> None:
    poor = await bank.do(Kind.AUTHORIZATION, "a", 5, card=Card("4000000000009995", 12, 2030), capture=True)
    assert (poor["status"], poor["response_code"], poor["auth_code"]) == ("declined", "51", None)
    refund = await bank.do(Kind.REFUND, "r", 5, authorization_id=poor["operation_id"])
    assert refund["response_code"] == "25"


@pytest.mark.parametrize(("month", "code"), [(6, "54"), (7, "00")])
async def test_a_card_is_good_through_its_month(bank: Bank, month: int, code: str) -> None:
    card = Card("4111111111111111", month, 2026)
    assert (await bank.do(Kind.AUTHORIZATION, "a", 5, card=card))["response_code"] == code


async def test_after_its_time_an_order_is_refused_and_nothing_is_done(bank: Bank) -> None:
    with pytest.raises(RefusalError, match="expires_at") as refusal:
        await bank.do(Kind.AUTHORIZATION, "late", 5, expires_at=NOW)
    assert (refusal.value.status, refusal.value.code) == (410, "expired")
    assert await bank.acquirer.operation("late") is None


async def test_a_repeat_after_its_time_still_answers_as_the_first_did(bank: Bank) -> None:
    expires_at = NOW + timedelta(seconds=10)
    first = await bank.do(Kind.AUTHORIZATION, "a", 5, expires_at=expires_at)
    bank.now += timedelta(minutes=1)
    assert await bank.do(Kind.AUTHORIZATION, "a", 5, expires_at=expires_at) == first


async def test_a_tombstone_refuses_the_late_original_for_ever(bank: Bank) -> None:
    tombstone = await bank.acquirer.cancel("late")
    assert answer(tombstone)["status"] == "cancelled"
    for _ in range(2):
        with pytest.raises(RefusalError) as refusal:
            await bank.do(Kind.AUTHORIZATION, "late", 5)
        assert (refusal.value.status, refusal.value.code) == (409, "cancelled")
        assert await bank.acquirer.cancel("late") == tombstone
        await bank.restart()
    assert bank.acquirer.holds == {}


async def test_cancel_after_the_original_returns_it_and_changes_nothing(bank: Bank) -> None:
    done = await bank.do(Kind.AUTHORIZATION, "a", 5)
    assert answer(await bank.acquirer.cancel("a")) == done
    assert await bank.do(Kind.AUTHORIZATION, "a", 5) == done
    assert done["operation_id"] in bank.acquirer.holds


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 6},
        {"currency": "EUR"},
        {"capture": True},
        {"card": Card("4242424242424242", 12, 2030)},
    ],
    ids=str,
)
async def test_a_reference_used_for_something_else_is_refused(bank: Bank, other: dict[str, Any]) -> None:
    await bank.do(Kind.AUTHORIZATION, "a", 5)
    with pytest.raises(RefusalError) as refusal:
        await bank.do(Kind.AUTHORIZATION, "a", **({"amount": 5} | other))
    assert (refusal.value.status, refusal.value.code) == (409, "reference_reused")


async def test_a_bank_that_is_started_again_knows_all_it_knew(bank: Bank) -> None:
    hold = await held(bank)
    await bank.do(Kind.CAPTURE, "c", 700, authorization_id=hold)
    await bank.do(Kind.REFUND, "r", 600, authorization_id=hold)
    await bank.do(Kind.TRANSFER, "t1", 50, direction="deposit")
    await bank.do(Kind.TRANSFER, "t2", 50, direction="withdrawal")
    await bank.acquirer.settle("t1", "succeeded", "00")
    await bank.acquirer.cancel("gone")
    before = await bank.acquirer.statement(0, 100)
    holds, pending, unreported = bank.acquirer.holds, bank.acquirer.pending, bank.acquirer.unreported
    await bank.restart()
    assert await bank.acquirer.statement(0, 100) == before
    assert bank.acquirer.holds == holds
    assert bank.acquirer.pending == pending
    assert list(pending) == ["t2"]
    assert bank.acquirer.unreported == unreported
    assert [entry.reference for entry in unreported.values()] == ["t1"]
    assert (await bank.do(Kind.REFUND, "r2", 200, authorization_id=hold))["response_code"] == "13"
    assert (await bank.do(Kind.REFUND, "r3", 100, authorization_id=hold))["response_code"] == "00"


async def test_the_book_holds_no_card_number(bank: Bank) -> None:
    await held(bank)
    await bank.do(Kind.AUTHORIZATION, "poor", 5, card=Card("4000000000009995", 12, 2030))
    written = bank.path.read_bytes()
    assert b"1111 0" in written  # last4 and the capture flag: planted, so that the search can find something
    assert b"4111111111111111" not in written
    assert b"4000000000009995" not in written


async def test_the_statement_is_paged_by_position_and_by_time(bank: Bank) -> None:
    for n in range(5):
        await bank.do(Kind.AUTHORIZATION, f"a{n}", 5)
        bank.now += timedelta(seconds=1)
    seen, position, more = [], 0, True
    while more:
        page, position, more = await bank.acquirer.statement(position, 2)
        seen += [entry.reference for entry in page]
    assert seen == [f"a{n}" for n in range(5)]
    page, end, more = await bank.acquirer.statement(NOW + timedelta(seconds=3), 10)
    assert ([entry.reference for entry in page], end, more) == (["a3", "a4"], 5, False)
    assert await bank.acquirer.statement(bank.now, 10) == ([], 5, False)
    assert await bank.acquirer.statement(99, 10) == ([], 5, False)


async def test_nothing_is_told_before_it_is_on_disk(tmp_path: Path) -> None:
    acquirer = Acquirer(Book(tmp_path / "book"))
    asked: list[Awaitable[Any]] = [
        acquirer.perform(Order(Kind.AUTHORIZATION, "a", 5, "USD", card=APPROVING)),
        acquirer.cancel("b"),
        acquirer.operation("a"),
        acquirer.statement(0, 10),
    ]
    telling = [asyncio.ensure_future(one) for one in asked]
    told, _ = await asyncio.wait(telling, timeout=0.05)  # nobody writes the book yet
    assert not told
    acquirer.book.start()
    await asyncio.gather(*telling)
    await acquirer.book.stop()
