"""What a provider says on its own: one effect, whenever and however often it is said; and no money on a lie."""

from dataclasses import replace
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, CleartillError, NotFound
from cleartill.domain.outcome import ActionRequired, Approved, Declined, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Callback, Unit
from cleartill.usecases.receive_callback import receive_callback
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World
from fakes.steps import ORIGIN, Steps, body

YES, NO = Approved("bnk_1", "REF1"), Declined("card_declined", provider_id="bnk_1")
ACS = ActionRequired("bnk_1", "https://bank.example/3ds")


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


def news(world: World, outcome: Any = YES, event_id: str = "evt_1", **more: Any) -> Callback:
    """About the last attempt."""
    attempt = list(world.memory.attempts.values())[-1]
    return Callback(event_id, attempt.payment_id, attempt.key, outcome, **more)


async def hear(world: World, callback: Callback, provider: str = "bank") -> None:
    await receive_callback(world.till, provider, callback, ORIGIN)


def told(world: World) -> list[str]:
    return [fact.type for fact, _ in world.memory.facts]


@pytest.fixture
async def challenged(world: World, steps: Steps) -> World:
    """A payment whose payer is at the bank's page, under the key k."""
    world.bank.answers(ACS)
    await steps.charge("k")
    return world


@pytest.mark.parametrize(("said", "status", "moved"), [(YES, "captured", 10_000), (NO, "failed", 0)])
async def test_how_a_challenge_ended(challenged: World, steps: Steps, said: Any, status: str, moved: int) -> None:
    await hear(challenged, news(challenged, said))

    payment = the_payment(challenged)
    assert (payment.status, payment.action, payment.lapses_at) == (status, None, None)
    assert challenged.memory.balance("merchant", "USD") == moved
    final = await steps.charge("k")
    assert (final.status, final.replayed, body(final)["status"]) == (201, True, status)


async def test_a_challenge_of_a_confirmation_ends_in_a_hold(world: World, steps: Steps) -> None:
    world.bank.answers(ACS)
    made = await steps.create(capture_method="manual")
    await steps.confirm(made, key="k")
    await hear(world, news(world))

    final = await steps.confirm(made, key="k")
    assert (final.status, body(final)["status"]) == (200, "authorized")
    assert body(await steps.capture(made))["status"] == "captured"


async def test_doubt_is_ended_by_a_callback(world: World, steps: Steps) -> None:
    world.providers["mock"].answers(Unknown("timeout"))
    await steps.charge("k", provider="mock")
    await hear(world, news(world), "mock")

    assert told(world) == ["payment.created", "payment.in_doubt", "payment.captured", "payment.resolved"]
    assert (await steps.charge("k", provider="mock")).status == 201


@pytest.mark.parametrize("verb", ["capture", "void", "refund"])
async def test_what_became_of_a_later_step(world: World, steps: Steps, verb: str) -> None:
    held = await steps.hold()
    if verb == "refund":
        await steps.capture(held)
    world.bank.answers(Unknown("timeout"))
    await getattr(steps, verb)(held)
    await hear(world, news(world))
    assert the_payment(world).status == {"capture": "captured", "void": "voided", "refund": "refunded"}[verb]


async def test_an_attempt_that_is_not_ours_is_not_found(challenged: World) -> None:
    rows = challenged.memory.rows
    with pytest.raises(NotFound):
        await hear(challenged, replace(news(challenged), attempt_key="pay_none.authorize.1"))
    assert challenged.memory.rows == rows


async def test_another_providers_word_is_not_heard(challenged: World) -> None:
    rows = challenged.memory.rows
    with pytest.raises(NotFound):
        await hear(challenged, news(challenged), provider="mock")
    assert (the_payment(challenged).status, challenged.memory.rows) == ("requires_action", rows)


async def test_news_of_nothing_change_nothing(challenged: World) -> None:
    rows = challenged.memory.rows
    await hear(challenged, news(challenged, None))
    assert (the_payment(challenged).status, challenged.memory.rows) == ("requires_action", rows)


async def test_a_yes_without_a_name_for_later_steps_must_wait_for_the_answer(world: World, steps: Steps) -> None:
    """The bank names a payment in its answer, and its callback need not."""
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await steps.charge("k")
    rows = world.memory.rows
    with pytest.raises(NotFound):
        await hear(world, news(world))
    assert (the_payment(world).status, world.memory.rows) == ("in_doubt", rows)

    world.clock.advance(2)
    await resolve(world.till)
    await hear(world, news(world))
    assert (the_payment(world).status, the_payment(world).provider_payment_id) == ("captured", "bnk_1")


async def test_what_a_callback_calls_itself_is_not_the_name_of_the_payment(challenged: World, steps: Steps) -> None:
    await hear(challenged, news(challenged, Approved("cb_9", "cb_9")))
    await steps.refund(the_payment(challenged).id)
    verb, ask = challenged.bank.asked[-1]
    assert (verb, ask.provider_payment_id) == ("refund", "bnk_1")


# ── amounts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said",
    [
        {"amount_minor": 9_999, "currency": "USD"},
        {"amount_minor": 10_000, "currency": "EUR"},
        {"amount_minor": 9_999},
        {"currency": "EUR"},
    ],
)
async def test_another_amount_moves_no_money_and_asks_for_a_person(challenged: World, said: dict[str, Any]) -> None:
    for _ in range(2):
        await hear(challenged, news(challenged, **said))

    payment = the_payment(challenged)
    assert (payment.status, payment.amount_captured_minor, challenged.memory.journals) == ("requires_action", 0, [])
    assert payment.needs_review is not None
    assert "another amount" in payment.needs_review
    assert told(challenged).count("payment.needs_review") == 1


@pytest.mark.parametrize(
    "said", [{}, {"amount_minor": 10_000, "currency": "USD"}, {"amount_minor": 10_000}, {"currency": "USD"}]
)
async def test_what_is_said_of_the_amount_must_fit_and_need_not_be_said(
    challenged: World, said: dict[str, Any]
) -> None:
    await hear(challenged, news(challenged, **said))
    assert (the_payment(challenged).status, the_payment(challenged).needs_review) == ("captured", None)


async def test_a_part_is_compared_with_that_part(world: World, steps: Steps) -> None:
    held = await steps.hold()
    world.bank.answers(Unknown("timeout"))
    await steps.capture(held, "60.00")
    await hear(world, news(world, amount_minor=6_000, currency="USD"))
    assert (the_payment(world).amount_captured_minor, the_payment(world).needs_review) == (6_000, None)


async def test_the_right_amount_is_heard_after_the_wrong_one(challenged: World) -> None:
    await hear(challenged, news(challenged, amount_minor=1, currency="USD"))
    await hear(challenged, news(challenged, event_id="evt_2", amount_minor=10_000, currency="USD"))
    assert the_payment(challenged).status == "captured"
    assert the_payment(challenged).needs_review is not None


# ── what cannot be written down ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", [{}, {"amount_minor": 1, "currency": "USD"}])
async def test_a_payment_that_moves_meanwhile_is_loaded_and_decided_again(
    challenged: World, said: dict[str, Any]
) -> None:
    """Who said it was told that it was heard: it must not be forgotten."""
    moved = iter((True, True))

    def meddle(_: Unit) -> None:
        if next(moved, False):
            the_payment(challenged).version += 1

    challenged.books.before_record = meddle
    await hear(challenged, news(challenged, **said))
    assert (the_payment(challenged).status, the_payment(challenged).needs_review is None) == (
        ("requires_action", False) if said else ("captured", True)
    )


@pytest.mark.parametrize("said", [{}, {"outcome": NO}, {"amount_minor": 1, "currency": "USD"}])
@pytest.mark.parametrize("error", [BooksUnavailable("away"), CleartillError("refused"), None])
async def test_what_cannot_be_written_down_must_be_said_again(
    challenged: World, said: dict[str, Any], error: CleartillError | None
) -> None:
    if "outcome" in said:
        await hear(challenged, news(challenged))

    def lost(_: Unit) -> None:
        if error is not None:
            raise error
        the_payment(challenged).version += 1

    callback = news(challenged, **{"event_id": "evt_2"} | said)
    challenged.books.before_record = lost
    with pytest.raises(CleartillError):
        await hear(challenged, callback)
    assert the_payment(challenged).needs_review is None

    challenged.books.before_record = None
    await hear(challenged, callback)
    assert (the_payment(challenged).needs_review is not None) is bool(said)
    assert the_payment(challenged).status == ("requires_action" if "currency" in said else "captured")


async def test_books_that_are_away_are_an_error(challenged: World) -> None:
    callback = news(challenged)
    challenged.books.away = True
    with pytest.raises(BooksUnavailable):
        await hear(challenged, callback)
