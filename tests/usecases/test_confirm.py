"""Confirming a payment: sent to its provider once, and back where it was if it was not sent."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import (
    ForbiddenStep,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InDoubtNow,
    InvalidAmount,
    InvalidCard,
    NotFound,
)
from cleartill.domain.outcome import ActionRequired, Approved, Declined, Unknown
from cleartill.domain.payment import HOLD_LASTS
from cleartill.ports import Authorization, Unit
from cleartill.usecases.resolve import resolve
from fakes import OTHER_MERCHANT_ID, Scripted, World
from fakes.steps import Steps, body, card, id_of

YES = Approved("bnk_9", "REF9", "00")


def status_in(world: World) -> str:
    (payment,) = world.memory.payments.values()
    return str(payment.status)


def asked(world: World) -> Authorization:
    _, ask = world.bank.asked[-1]
    assert isinstance(ask, Authorization)
    return ask


# ── what it does ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_is_captured(world: World, steps: Steps) -> None:
    paid = await steps.confirm(await steps.create())

    assert (paid.status, body(paid)["status"], body(paid)["amount_captured"]) == (200, "captured", 100.0)
    assert world.memory.balance("merchant", "USD") == 10_000
    assert [fact.type for fact, _ in world.memory.facts] == ["payment.created", "payment.captured"]
    assert asked(world).capture is True


async def test_or_its_money_is_held(world: World, steps: Steps) -> None:
    held = await steps.confirm(await steps.create(capture_method="manual"))

    assert (held.status, body(held)["status"], body(held)["amount_captured"]) == (200, "authorized", 0)
    (payment,) = world.memory.payments.values()
    assert payment.lapses_at == world.clock.now() + HOLD_LASTS
    assert world.memory.journals == []
    assert asked(world).capture is False


async def test_or_it_is_declined(world: World, steps: Steps) -> None:
    world.bank.answers(Declined("insufficient_funds", "51"))
    no = await steps.confirm(await steps.create())

    assert (no.status, body(no)["status"], body(no)["decline"]["code"]) == (200, "failed", "insufficient_funds")


async def test_or_the_payer_must_act(world: World, steps: Steps) -> None:
    world.bank.answers(ActionRequired("bnk_1", "https://bank.example/3ds"))
    made = await steps.create()
    first, again = await steps.confirm(made, key="k"), await steps.confirm(made, key="k")

    assert (first.status, body(first)["status"], body(first)["action"]["url"]) == (
        202,
        "requires_action",
        "https://bank.example/3ds",
    )
    assert (again.status, again.body, again.replayed) == (202, first.body, True)
    assert len(world.bank.asked) == 1


async def test_the_intent_is_on_disk_before_the_provider_is_asked(world: World, steps: Steps) -> None:
    made = await steps.create()
    seen: list[int] = []

    def before(unit: Unit) -> None:
        seen.append(len(world.bank.asked))

    world.books.before_record = before
    await steps.confirm(made)

    assert seen == [0, 1]
    (attempt,) = world.memory.attempts.values()
    assert attempt.key == asked(world).attempt_key == f"{id_of(made)}.authorize.1"
    assert (attempt.reverts_to, attempt.status) == ("pending", AttemptStatus.APPROVED)


# ── with which card ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_card_of_the_creation_has_no_cvv_any_more(world: World, steps: Steps) -> None:
    await steps.confirm(await steps.create())
    sent = asked(world).card
    assert sent is not None
    assert (sent.pan.last4, sent.cvv) == ("4242", None)


async def test_a_card_comes_with_its_cvv_and_is_stored_without(world: World, steps: Steps) -> None:
    paid = await steps.confirm(await steps.create(card=None, provider="bank"), card("5555555555554444", cvv="987"))

    sent, (sealed,) = asked(world).card, world.memory.cards.values()
    assert sent is not None
    assert sent.cvv is not None
    assert sent.cvv.reveal() == "987"
    assert body(paid)["card"]["card_token"] == sealed.token
    assert (body(paid)["card"]["last4"], world.vault.open(sealed).cvv) == ("4444", None)


async def test_a_card_takes_the_place_of_the_one_before(world: World, steps: Steps) -> None:
    paid = await steps.confirm(await steps.create(), card("5555555555554444"))
    assert (body(paid)["card"]["last4"], len(world.memory.cards)) == ("4444", 2)


async def test_a_stored_card_is_named_by_its_token(world: World, steps: Steps) -> None:
    token = body(await steps.charge())["card"]["card_token"]
    paid = await steps.confirm(await steps.create(card=None, provider="bank"), token=token)
    assert (body(paid)["card"]["card_token"], len(world.memory.cards)) == (token, 1)


async def test_another_merchants_card_is_absent(world: World, steps: Steps) -> None:
    token = body(await steps.charge(merchant_id=OTHER_MERCHANT_ID))["card"]["card_token"]
    made = await steps.create(card=None, provider="bank")
    rows = world.memory.rows
    with pytest.raises(NotFound):
        await steps.confirm(made, token=token)
    assert world.memory.rows == rows


async def test_where_a_card_is_needed_there_must_be_one(world: World, steps: Steps) -> None:
    made = await steps.create(card=None, provider="bank")
    rows = world.memory.rows
    with pytest.raises(InvalidCard):
        await steps.confirm(made, key="k")

    assert (world.memory.rows, status_in(world), world.bank.asked) == (rows, "pending", [])
    assert body(await steps.confirm(made, card(), key="k"))["status"] == "captured"


@pytest.mark.parametrize("provider", [None, "internal", "mock"])
async def test_where_none_is_needed_it_goes_without(world: World, steps: Steps, provider: str | None) -> None:
    paid = await steps.confirm(await steps.create(card=None, provider=provider))
    assert (body(paid)["status"], body(paid)["card"]) == ("captured", None)
    assert world.bank.asked == []


async def test_a_card_that_expired_since_is_declined_at_the_door(world: World, steps: Steps) -> None:
    made = await steps.create(card=card(year=2026))
    world.clock.advance(366 * 24 * 3600)
    first, again = await steps.confirm(made, key="k"), await steps.confirm(made, key="k")

    assert (first.status, body(first)["status"], body(first)["decline"]["code"]) == (200, "failed", "expired_card")
    assert (again.body, again.replayed) == (first.body, True)
    assert (world.bank.asked, world.memory.attempts) == ([], {})
    assert [(fact.type, fact.seq) for fact, _ in world.memory.facts] == [("payment.created", 1), ("payment.failed", 2)]


async def test_an_amount_that_the_provider_cannot_move_is_refused(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.bank.refused_amounts.add(10_000)
    rows = world.memory.rows
    with pytest.raises(InvalidAmount):
        await steps.confirm(made, key="k")
    assert (world.memory.rows, status_in(world)) == (rows, "pending")


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_confirmed_is_not_confirmed_again(world: World, steps: Steps) -> None:
    paid = await steps.confirm(await steps.create())
    rows = world.memory.rows
    with pytest.raises(ForbiddenStep, match="Cannot confirm a payment that is captured"):
        await steps.confirm(paid, key="k")
    assert (world.memory.rows, len(world.bank.asked)) == (rows, 1)


async def test_doubt_is_waited_for(world: World, steps: Steps) -> None:
    world.bank.answers(Unknown("timeout"))
    doubtful = await steps.confirm(await steps.create())
    with pytest.raises(InDoubtNow):
        await steps.confirm(doubtful)


async def test_another_merchants_payment_is_absent(steps: Steps) -> None:
    made = await steps.create()
    with pytest.raises(NotFound):
        await steps.confirm(made, merchant_id=OTHER_MERCHANT_ID)


async def test_of_two_at_once_one_asks(world: World, steps: Steps) -> None:
    made = await steps.create()
    results = await asyncio.gather(*(steps.confirm(made) for _ in range(8)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Answer"] + ["ForbiddenStep"] * 7
    assert (len(world.bank.asked), len(world.memory.cards)) == (1, 1)


# ── idempotency ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_repeat_gets_the_same_bytes(world: World, steps: Steps) -> None:
    made = await steps.create()
    first = await steps.confirm(made, card(), key="k")
    again = await steps.confirm(made, card(cvv="321"), key="k")

    assert (again.status, again.body, again.replayed) == (200, first.body, True)
    assert len(world.bank.asked) == 1


@pytest.mark.parametrize("other", [{"card": card("5555555555554444")}, {"card": None}, {"token": "card_1"}])
async def test_a_key_with_another_card_is_refused(steps: Steps, other: dict[str, Any]) -> None:
    made = await steps.create()
    await steps.confirm(made, card(), key="k")
    with pytest.raises(IdempotencyKeyReused):
        await steps.confirm(made, **({"card": None} | other), key="k")


async def test_a_repeat_while_the_first_runs_must_wait(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.bank.hold = asyncio.Event()
    first = asyncio.create_task(steps.confirm(made, key="k"))
    await world.bank.reached.wait()
    with pytest.raises(IdempotencyInProgress):
        await steps.confirm(made, key="k")
    world.bank.hold.set()
    assert (await steps.confirm(made, key="k")).body == (await first).body


async def test_doubt_then_the_final_answer(world: World, steps: Steps) -> None:
    made = await steps.create()
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    first, again = await steps.confirm(made, key="k"), await steps.confirm(made, key="k")
    assert (first.status, again.status, body(again)["status"]) == (202, 202, "in_doubt")

    world.clock.advance(2)
    await resolve(world.till)
    final = await steps.confirm(made, key="k")
    assert (final.status, final.replayed, body(final)["status"]) == (200, True, "captured")
