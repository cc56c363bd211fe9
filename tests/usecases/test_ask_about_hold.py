"""What a capture and a void share: one question to the provider about a hold, and what becomes of it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cleartill.domain.attempt import Attempt, AttemptStatus
from cleartill.domain.errors import (
    BooksUnavailable,
    ForbiddenStep,
    IdempotencyInProgress,
    InDoubtNow,
    NotFound,
    ProviderUnavailable,
)
from cleartill.domain.idempotency import Answer, Claim, ExistingClaim
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Reversal, Unit
from cleartill.usecases.resolve import resolve
from cleartill.usecases.settle import settle
from fakes import OTHER_MERCHANT_ID, Scripted, World
from fakes.steps import ORIGIN, Steps, body, id_of

Step = Callable[..., Awaitable[Answer]]
YES = Approved("cap_9", "REF9", "00")


@pytest.fixture(params=["capture", "void"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def step(verb: str, steps: Steps) -> Step:
    found: Step = getattr(steps, verb)
    return found


@pytest.fixture
def done(verb: str) -> str:
    return "captured" if verb == "capture" else "voided"


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


def the_attempt(world: World) -> Attempt:
    return list(world.memory.attempts.values())[-1]


async def test_the_provider_is_asked_about_its_own_under_a_key_of_ours(
    world: World, steps: Steps, step: Step, verb: str, done: str
) -> None:
    held = await steps.hold()
    answer = await step(held)

    asked, ask = world.bank.asked[-1]
    assert isinstance(ask, Reversal)
    assert (asked, ask.attempt_key) == (verb, f"{id_of(held)}.{verb}.2")
    assert (ask.provider_payment_id, ask.amount_minor) == (body(held)["provider_payment_id"], 10_000)
    assert (answer.status, body(answer)["status"], the_payment(world).lapses_at) == (200, done, None)
    assert body(answer)["provider_payment_id"] == body(held)["provider_payment_id"]


async def test_the_intent_is_on_disk_before_the_provider_is_asked(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    seen: list[int] = []

    def before(unit: Unit) -> None:
        seen.append(len(world.bank.asked))

    world.books.before_record = before
    await step(held)
    assert seen == [1, 2]


async def test_a_no_leaves_the_hold_as_it_was(world: World, steps: Steps, step: Step, done: str) -> None:
    held = await steps.hold()
    lapses_at = the_payment(world).lapses_at
    world.bank.answers(Declined("processing_error", "96"))
    first, again = await step(held, key="k"), await step(held, key="k")

    assert (first.status, body(first)["status"], body(first)["decline"]["code"]) == (
        200,
        "authorized",
        "processing_error",
    )
    assert (again.body, again.replayed) == (first.body, True)
    assert (world.memory.journals, the_payment(world).lapses_at) == ([], lapses_at)
    assert body(await step(held, key="another"))["status"] == done


@pytest.mark.parametrize("truth", [YES, None])
async def test_doubt_is_asked_again_under_its_key(
    world: World, steps: Steps, step: Step, verb: str, done: str, truth: Approved | None
) -> None:
    held = await steps.hold()
    world.bank.answers(Scripted(Unknown("timeout"), truth))
    first, again = await step(held, key="k"), await step(held, key="k")
    assert (first.status, body(first)["status"]) == (202, "in_doubt")
    assert (again.status, again.replayed) == (202, True)

    world.clock.advance(2)
    await resolve(world.till)
    final = await step(held, key="k")

    assert (final.status, final.replayed, body(final)["status"]) == (200, True, done)
    asks = [ask.attempt_key for asked, ask in world.bank.asked if asked == verb]
    assert (len(asks), len(set(asks))) == (2, 1)
    assert world.memory.balance("merchant", "USD") == (10_000 if verb == "capture" else 0)
    assert [fact.type for fact, _ in world.memory.facts][-1] == "payment.resolved"


async def test_doubt_that_ends_between_two_looks_is_a_change_and_not_a_creation(
    world: World, steps: Steps, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat finds no answer under its key yet, and the payment settled when it looks at that."""
    held = await steps.hold()
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await step(held, key="k")
    claimed = world.books.claimed

    async def resolved_just_then(claim: Claim) -> ExistingClaim | None:
        found = await claimed(claim)
        world.clock.advance(2)
        await resolve(world.till)
        return found

    monkeypatch.setattr(world.books, "claimed", resolved_just_then)
    assert (await step(held, key="k")).status == 200


async def test_doubt_that_ends_in_a_no_gives_the_hold_back(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    world.bank.answers(Scripted(Unknown("timeout"), Declined("processing_error")))
    await step(held, key="k")
    world.clock.advance(2)
    await resolve(world.till)
    assert body(await step(held, key="k"))["status"] == "authorized"


async def test_a_payer_is_never_asked_about_a_hold(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    world.bank.answers(Scripted(ActionRequired("bnk_1", "https://bank.example")))
    assert body(await step(held))["status"] == "in_doubt"


async def test_what_was_not_sent_is_held_as_before_and_the_key_free(
    world: World, steps: Steps, step: Step, done: str
) -> None:
    held = await steps.hold()
    world.bank.answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await step(held, key="k")

    assert (the_payment(world).status, world.memory.claims) == ("authorized", {})
    assert body(await step(held, key="k"))["status"] == done


async def test_nothing_is_written_when_the_provider_may_not_be_asked(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    rows = world.memory.rows
    world.providers.refused.add("bank")
    with pytest.raises(ProviderUnavailable):
        await step(held, key="k")
    assert (world.memory.rows, the_payment(world).status) == (rows, "authorized")


async def test_nobody_else_is_asked_about_a_hold(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    world.till.failover = {"bank": "mock"}
    world.providers.refused.add("bank")
    with pytest.raises(ProviderUnavailable):
        await step(held)
    assert world.providers["mock"].asked == []


async def test_books_lost_after_the_yes_are_a_202_and_the_resolver_finishes(
    world: World, steps: Steps, step: Step, done: str
) -> None:
    held = await steps.hold()

    def lost(unit: Unit) -> None:
        if not unit.is_intent:
            raise BooksUnavailable("away")

    world.bank.answers(YES)
    world.books.before_record = lost
    answer = await step(held, key="k")
    assert (answer.status, body(answer)["status"], body(answer)["amount_captured"]) == (202, "in_doubt", 0)
    assert body(answer)["provider_payment_id"] == body(held)["provider_payment_id"]
    assert the_payment(world).status == "processing"

    world.books.before_record = None
    world.clock.advance(10)
    await resolve(world.till)
    assert body(await step(held, key="k"))["status"] == done


async def test_the_end_of_the_process_is_written_down_as_doubt(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    world.bank.hold = asyncio.Event()
    world.bank.reached.clear()
    operation = asyncio.create_task(step(held, key="k"))
    await world.bank.reached.wait()
    operation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await operation

    attempt = the_attempt(world)
    assert (the_payment(world).status, attempt.status, attempt.reason) == ("in_doubt", AttemptStatus.OPEN, "cancelled")


async def test_a_repeat_gets_the_same_bytes(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    first, again = await step(held, key="k"), await step(held, key="k")

    assert (again.status, again.body, again.replayed) == (200, first.body, True)
    assert len(world.bank.asked) == 2


async def test_a_repeat_while_the_first_runs_must_wait(world: World, steps: Steps, step: Step) -> None:
    held = await steps.hold()
    world.bank.hold = asyncio.Event()
    world.bank.reached.clear()
    first = asyncio.create_task(step(held, key="k"))
    await world.bank.reached.wait()
    with pytest.raises(IdempotencyInProgress):
        await step(held, key="k")
    world.bank.hold.set()
    assert (await step(held, key="k")).body == (await first).body


async def test_a_key_is_of_one_payment_and_one_step(steps: Steps, step: Step, verb: str) -> None:
    one, two = await steps.hold(), await steps.hold()
    first = await step(one, key="k")
    assert body(await step(two, key="k"))["id"] != body(first)["id"]
    other = steps.void if verb == "capture" else steps.capture
    with pytest.raises(ForbiddenStep):
        await other(one, key="k")


async def test_without_a_hold_there_is_nothing_to_ask(world: World, steps: Steps, step: Step, verb: str) -> None:
    paid, pending = await steps.charge(), await steps.create()
    rows, asked = world.memory.rows, len(world.bank.asked)
    for payment, status in ((paid, "captured"), (pending, "pending")):
        with pytest.raises(ForbiddenStep, match=f"Cannot {verb} a payment that is {status}"):
            await step(payment, key="k")
    assert (world.memory.rows, len(world.bank.asked)) == (rows, asked)


async def test_doubt_is_waited_for(world: World, steps: Steps, step: Step) -> None:
    world.bank.answers(Unknown("timeout"))
    with pytest.raises(InDoubtNow):
        await step(await steps.hold())


async def test_another_merchants_payment_is_absent(steps: Steps, step: Step) -> None:
    held = await steps.hold()
    with pytest.raises(NotFound):
        await step(held, merchant_id=OTHER_MERCHANT_ID)


async def test_of_many_at_once_one_asks(world: World, steps: Steps, step: Step, verb: str) -> None:
    held = await steps.hold()
    results = await asyncio.gather(*(step(held) for _ in range(8)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["Answer"] + ["ForbiddenStep"] * 7
    assert [asked for asked, _ in world.bank.asked].count(verb) == 1


async def test_a_payment_that_moved_is_decided_again(world: World, steps: Steps, step: Step, done: str) -> None:
    held = await steps.hold()
    moved = iter((True, True))

    def meddle(unit: Unit) -> None:
        if unit.is_intent and next(moved, False):
            the_payment(world).version += 1

    world.books.before_record = meddle
    assert body(await step(held))["status"] == done
    assert len(world.bank.asked) == 2


async def test_a_late_yes_after_a_no_asks_for_a_person(world: World, steps: Steps, step: Step) -> None:
    """The provider contradicts itself: no money moves on that word."""
    held = await steps.hold()
    world.bank.answers(Declined("processing_error"))
    await step(held)
    loaded = await world.books.find_attempt(the_attempt(world).key)
    await settle(world.till, loaded, YES, ORIGIN)
    payment = the_payment(world)
    assert (payment.status, payment.amount_captured_minor, payment.needs_review is not None) == ("authorized", 0, True)
