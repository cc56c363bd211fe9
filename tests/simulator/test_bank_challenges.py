"""3-D Secure in the bank's book: one word of the payer counts, in time, and is booked like any other authorization."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from cleartill.simulator.acquirer import Acquirer, Entry, RefusalError
from cleartill.simulator.book import Book
from cleartill.simulator.callbacks import Callbacks
from cleartill.simulator.challenges import Challenge, Challenges
from cleartill.simulator.orders import Card, Kind, Order

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
KEY = "pay_1.authorize.1"
CARD = Card("4000000000003220", 12, 2030)
CAPTURING = Order(
    Kind.AUTHORIZATION,
    KEY,
    1234,
    "EUR",
    card=CARD,
    capture=True,
    return_url="https://shop.example/",
    public_url="http://b",
)
HOLDING = Order(Kind.AUTHORIZATION, KEY, 1234, "EUR", card=CARD, public_url="http://b")


class Bank:
    """An acquirer with its challenges, over a book in a folder; its clock stands still until it is moved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOW
        self._open()

    def _open(self) -> None:
        self.acquirer = Acquirer(Book(self.path), clock=lambda: self.now)
        self.acquirer.book.start()
        self.challenges = Challenges(self.acquirer, Callbacks(self.acquirer, None))

    async def restart(self) -> None:
        await self.acquirer.book.stop()
        self._open()

    async def opened(self, order: Order = CAPTURING) -> str:
        """The id of the challenge that the order opened."""
        return str(document(await self.acquirer.perform(order))["operation_id"])

    async def word(self, challenge_id: str, approved: bool) -> Challenge:
        told = await self.challenges.answer(challenge_id, approved=approved)
        assert told is not None
        return told

    async def truth(self) -> dict[str, Any]:
        entry = await self.acquirer.operation(KEY)
        assert entry is not None
        return document(entry)

    async def booked(self) -> list[str]:
        return [document(entry)["status"] for entry in (await self.acquirer.statement(0, 100))[0]]


def document(entry: Entry) -> dict[str, Any]:
    read = orjson.loads(entry.answer)
    assert isinstance(read, dict)
    return read


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path / "book.jsonl")
    yield bank
    await bank.acquirer.book.stop()


async def test_the_card_asks_for_the_payer_and_moves_no_money(bank: Bank) -> None:
    entry = await bank.acquirer.perform(CAPTURING)
    asked = document(entry)
    assert (entry.status, asked["status"], asked["response_code"], asked["auth_code"]) == (
        200,
        "requires_action",
        "1A",
        None,
    )
    assert asked["redirect_url"] == f"http://b/3ds/{asked['operation_id']}"
    assert datetime.fromisoformat(asked["expires_at"]) == NOW + timedelta(minutes=15)
    assert bank.acquirer.holds == {}
    refund = Order(Kind.REFUND, "r", 5, "EUR", authorization_id=asked["operation_id"])
    assert document(await bank.acquirer.perform(refund))["response_code"] == "25"
    assert await bank.truth() == asked


async def test_an_expired_card_is_declined_before_anybody_is_asked(bank: Bank) -> None:
    expired = Order(Kind.AUTHORIZATION, KEY, 5, "EUR", card=Card("4000000000003220", 6, 2026))
    assert document(await bank.acquirer.perform(expired))["response_code"] == "54"


@pytest.mark.parametrize(("order", "captured"), [(CAPTURING, 1234), (HOLDING, 0)])
async def test_approved_it_is_an_authorization_like_any_other(bank: Bank, order: Order, captured: int) -> None:
    challenge_id = await bank.opened(order)
    assert (await bank.word(challenge_id, True)).status == "approved"
    truth = await bank.truth()
    assert (truth["kind"], truth["status"], truth["response_code"]) == ("authorization", "approved", "00")
    assert (truth["reference"], truth["operation_id"]) == (KEY, challenge_id)
    assert (truth["amount_minor"], truth["currency"], truth["capture"]) == (1234, "EUR", order.capture)
    assert truth["auth_code"]
    hold = bank.acquirer.holds[challenge_id]
    assert (hold.authorized, hold.captured, hold.currency) == (1234, captured, "EUR")
    capture = Order(Kind.CAPTURE, "c", 1234, "EUR", authorization_id=challenge_id)
    assert document(await bank.acquirer.perform(capture))["status"] == ("declined" if captured else "approved")


async def test_refused_it_is_declined(bank: Bank) -> None:
    challenge_id = await bank.opened()
    assert (await bank.word(challenge_id, False)).status == "declined"
    truth = await bank.truth()
    assert (truth["status"], truth["response_code"], truth["auth_code"]) == ("declined", "1A", None)
    assert bank.acquirer.holds == {}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
async def test_the_first_word_counts(bank: Bank, first: bool, second: bool) -> None:
    challenge_id = await bank.opened()
    told = await bank.word(challenge_id, first)
    truth = await bank.truth()
    assert await bank.word(challenge_id, second) == told
    assert await bank.truth() == truth
    assert await bank.booked() == ["requires_action", "approved" if first else "declined"]


async def test_many_words_at_once_have_one_effect(bank: Bank) -> None:
    challenge_id = await bank.opened()
    told = await asyncio.gather(*(bank.word(challenge_id, n % 2 == 0) for n in range(32)))
    assert len(set(told)) == 1
    assert len(await bank.booked()) == 2


async def test_a_repeat_answers_as_the_first_did_and_a_question_tells_the_truth(bank: Bank) -> None:
    first = await bank.acquirer.perform(CAPTURING)
    assert await bank.acquirer.perform(CAPTURING) == first
    await bank.word(document(first)["operation_id"], True)
    assert await bank.acquirer.perform(CAPTURING) == first
    assert (await bank.truth())["status"] == "approved"
    assert document(await bank.acquirer.cancel(KEY)) == await bank.truth()
    with pytest.raises(RefusalError):
        await bank.acquirer.perform(HOLDING)


async def test_a_cancel_closes_an_open_challenge_for_ever(bank: Bank) -> None:
    challenge_id = await bank.opened()
    tombstone = await bank.acquirer.cancel(KEY)
    assert (document(tombstone)["kind"], document(tombstone)["status"]) == ("cancel", "cancelled")
    for _ in range(2):
        assert (await bank.word(challenge_id, True)).status == "cancelled"
        assert await bank.acquirer.cancel(KEY) == tombstone
        await bank.restart()
    assert bank.acquirer.holds == {}
    assert await bank.booked() == ["requires_action", "cancelled"]


@pytest.mark.parametrize("look", ["word", "page", "question", "cancel"])
async def test_after_its_time_a_challenge_lapses_whoever_looks_first(bank: Bank, look: str) -> None:
    challenge_id = await bank.opened()
    bank.now = NOW + timedelta(minutes=15)
    if look == "word":
        assert (await bank.word(challenge_id, True)).status == "cancelled"
    elif look == "page":
        seen = await bank.challenges.look(challenge_id)
        assert seen is not None
        assert seen.status == "cancelled"
    elif look == "cancel":
        await bank.acquirer.cancel(KEY)
    assert (await bank.truth())["status"] == "cancelled"
    assert bank.acquirer.holds == {}
    assert bank.acquirer.pending == {}
    assert await bank.booked() == ["requires_action", "cancelled"]


async def test_a_moment_before_its_time_ends_the_payer_is_heard(bank: Bank) -> None:
    challenge_id = await bank.opened()
    bank.now = NOW + timedelta(minutes=15) - timedelta(microseconds=1)
    assert (await bank.word(challenge_id, True)).status == "approved"


async def test_a_bank_that_is_started_again_still_asks(bank: Bank) -> None:
    challenge_id = await bank.opened()
    asked = await bank.challenges.look(challenge_id)
    await bank.restart()
    assert await bank.challenges.look(challenge_id) == asked
    assert (await bank.word(challenge_id, True)).status == "approved"
    before = await bank.booked()
    await bank.restart()
    told = await bank.challenges.look(challenge_id)
    assert told is not None
    assert (told.status, told.return_url) == ("approved", "https://shop.example/")
    assert await bank.booked() == before
    assert bank.acquirer.holds[challenge_id].captured == 1234


async def test_there_is_no_other_challenge(bank: Bank) -> None:
    approved = await bank.acquirer.perform(
        Order(Kind.AUTHORIZATION, "a", 5, "EUR", card=Card("4111111111111111", 12, 2030))
    )
    for unknown in ("bnk_none", str(document(approved)["operation_id"])):
        assert await bank.challenges.look(unknown) is None
        assert await bank.challenges.answer(unknown, approved=True) is None


async def test_the_book_holds_no_card_number_and_all_that_happened(bank: Bank) -> None:
    await bank.word(await bank.opened(), True)
    written = bank.path.read_bytes()
    assert b"3220 1" in written
    assert b"4000000000003220" not in written
