"""Charging a card: what is asked, what is written before and after, what a repeat gets."""

import json
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import (
    BooksUnavailable,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    NotFound,
    ProviderUnavailable,
)
from cleartill.domain.idempotency import Claim
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.outcome import Approved, Declined, NotSent, Unknown
from cleartill.ports import Authorization, Unit
from cleartill.usecases.charge import PROCESS, charge
from fakes import OTHER_MERCHANT_ID, Held, World
from fakes.steps import ORIGIN, order


def body(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def card(pan: str = "4242424242424242", year: int = 2040, cvv: str = "123") -> Card:
    return Card(Pan(pan), 12, year, Cvv(cvv), Secret("Ada"))


async def test_an_approved_card_is_captured(world: World, pay: Any) -> None:
    answer = await pay(order_id="A-1", metadata={"a": 1})

    assert answer.status == 201
    assert body(answer) | {"status": "captured", "amount": 100.0, "amount_captured": 100.0, "order_id": "A-1"} == body(
        answer
    )
    assert body(answer)["card"]["last4"] == "4242"
    assert (world.memory.balance("merchant", "USD"), world.memory.balance("acquirer", "USD")) == (10_000, -10_000)
    assert [fact.type for fact, _ in world.memory.facts] == ["payment.created", "payment.captured"]


async def test_a_declined_card_is_a_failed_payment(world: World, pay: Any) -> None:
    world.bank.answers(Declined("insufficient_funds", "51", "bnk_1"))
    answer = await pay()

    assert (answer.status, body(answer)["status"]) == (201, "failed")
    assert body(answer)["decline"] | {"code": "insufficient_funds", "network_code": "51"} == body(answer)["decline"]
    assert world.memory.balance("merchant", "USD") == 0


async def test_silence_is_doubt_and_never_a_failure(world: World, pay: Any) -> None:
    world.bank.answers(Unknown("timeout"))
    answer = await pay()

    assert (answer.status, body(answer)["status"]) == (202, "in_doubt")
    ((_, attempt),) = world.memory.attempts.items()
    assert (attempt.status, attempt.reason) == (AttemptStatus.OPEN, "timeout")


async def test_the_intent_is_on_disk_before_the_provider_is_asked(world: World, pay: Any) -> None:
    seen: list[int] = []

    def before(unit: Unit) -> None:
        seen.append(len(world.bank.asked))

    world.books.before_record = before
    await pay()

    assert seen == [0, 1]
    intent, outcome = world.books.units
    (_, ask) = world.bank.asked[0]
    assert isinstance(ask, Authorization)
    assert intent.attempt is not None
    assert ask.attempt_key == intent.attempt.key == f"{intent.payment.id}.authorize.1"
    assert ask.expires_at == intent.attempt.expires_at
    assert (intent.is_intent, outcome.is_intent) == (True, False)


async def test_the_provider_may_act_no_longer_than_the_caller_waits(world: World) -> None:
    """The budget starts at arrival: what was spent in queues is not given to the provider once more."""
    deadline = world.clock.monotonic() + 8
    world.clock.advance(5)
    await charge(world.till, order(), PROCESS, None, ORIGIN, deadline)

    ((_, ask),) = world.bank.asked
    assert (ask.expires_at - world.clock.now()).total_seconds() == pytest.approx(3)


async def test_nothing_is_asked_when_the_intent_cannot_be_written(world: World, pay: Any) -> None:
    world.books.away = True
    with pytest.raises(BooksUnavailable):
        await pay()
    assert world.bank.asked == []


async def test_nothing_is_written_when_the_provider_may_not_be_asked(world: World, pay: Any) -> None:
    world.providers.refused.add("bank")
    before = world.memory.rows
    with pytest.raises(ProviderUnavailable):
        await pay(idempotency_key="k")
    assert world.memory.rows == before


async def test_what_was_not_sent_fails_and_frees_the_key(world: World, pay: Any) -> None:
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await pay(idempotency_key="k")

    (payment,) = world.memory.payments.values()
    assert (payment.status, payment.decline) == ("failed", Declined("provider_unavailable"))
    assert world.memory.claims == {}
    assert (await pay(idempotency_key="k")).status == 201


async def test_an_expired_card_is_declined_without_asking(world: World, pay: Any) -> None:
    first = await pay(card=card(year=2025), idempotency_key="k")
    again = await pay(card=card(year=2025), idempotency_key="k")

    assert (first.status, body(first)["decline"]["code"]) == (201, "expired_card")
    assert (again.body, again.replayed) == (first.body, True)
    assert world.bank.asked == []
    assert world.memory.attempts == {}


async def test_a_stored_card_is_charged_by_its_token(world: World, pay: Any) -> None:
    token = body(await pay())["card"]["card_token"]
    assert body(await pay(card=None, card_token=token))["status"] == "captured"

    assert len(world.memory.cards) == 1
    (_, ask) = world.bank.asked[1]
    assert isinstance(ask, Authorization)
    assert ask.card.cvv is None
    with pytest.raises(NotFound):
        await pay(card=None, card_token=token, merchant_id=OTHER_MERCHANT_ID)


async def test_a_repeat_gets_the_same_bytes(world: World, pay: Any) -> None:
    first, again = await pay(idempotency_key="k"), await pay(idempotency_key="k")

    assert (again.status, again.body) == (first.status, first.body)
    assert (first.replayed, again.replayed) == (False, True)
    assert len(world.bank.asked) == len(world.memory.payments) == 1


async def test_the_key_is_each_merchants_own(world: World, pay: Any) -> None:
    first, second = await pay(idempotency_key="k"), await pay(idempotency_key="k", merchant_id=OTHER_MERCHANT_ID)

    assert body(first)["id"] != body(second)["id"]


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 1},
        {"currency": "EUR"},
        {"payment_method": "debit_card"},
        {"card": card("5555555555554444")},
        {"card": card(year=2041)},
        {"order_id": "1"},
        {"customer_email": "a@payer.example"},
        {"description": "d"},
        {"metadata": {"a": 1}},
        {"provider": "bank"},
    ],
)
async def test_a_key_with_another_body_is_refused(world: World, pay: Any, change: dict[str, Any]) -> None:
    await pay(idempotency_key="k", order_id=1)
    with pytest.raises(IdempotencyKeyReused):
        await pay(**({"order_id": 1} | change), idempotency_key="k")
    assert len(world.bank.asked) == 1


async def test_the_order_of_metadata_and_the_cvv_make_no_other_body(world: World, pay: Any) -> None:
    first = await pay(idempotency_key="k", metadata={"a": 1, "b": 2})
    again = await pay(idempotency_key="k", metadata={"b": 2, "a": 1}, card=card(cvv="321"))

    assert again.body == first.body


async def test_a_key_in_doubt_answers_202_then_the_final_answer(world: World, pay: Any) -> None:
    world.bank.answers(Unknown("timeout"))
    await pay(idempotency_key="k")
    again = await pay(idempotency_key="k")

    assert (again.status, again.replayed, body(again)["status"]) == (202, True, "in_doubt")


async def test_a_key_freed_between_two_looks_is_in_progress(world: World, pay: Any) -> None:
    """The first request holds the key, and turns out not to have been sent just before the second looks."""
    held = Held(Claim(DEMO_MERCHANT_ID, "process", "k", ""), "pay_1", None, None)
    at = (DEMO_MERCHANT_ID, "process", "k")
    world.memory.claims[at] = held

    async def freed(_: Claim) -> None:
        return None

    world.books.claimed = freed  # type: ignore[method-assign]
    with pytest.raises(IdempotencyInProgress):
        await pay(idempotency_key="k")


async def test_books_lost_after_the_approval_are_a_202_from_memory(world: World, pay: Any) -> None:
    def lost(unit: Unit) -> None:
        if not unit.is_intent:
            raise BooksUnavailable("away")

    world.bank.answers(Approved("bnk_1"))
    world.books.before_record = lost
    answer = await pay(idempotency_key="k")

    assert (answer.status, body(answer)["status"], body(answer)["amount_captured"]) == (202, "in_doubt", 0)
    assert body(answer)["provider_payment_id"] is None
    (payment,) = world.memory.payments.values()
    assert payment.status == "processing"
    assert world.memory.journals == []


async def test_no_answer_and_no_fact_holds_a_card_number_or_cvv(world: World, pay: Any) -> None:
    answer = await pay(card=card(cvv="987"))

    told = answer.body + json.dumps([fact.data for fact, _ in world.memory.facts])
    assert "4242424242424242" not in told
    assert "987" not in {str(value) for value in body(answer)["card"].values()}
