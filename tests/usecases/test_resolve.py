"""The resolver: every attempt that nobody heard the end of gets one."""

from typing import Any

import pytest

from cleartill.domain.attempt import Attempt, AttemptStatus
from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.outcome import Approved, Declined, Disagrees, Finding, NotSent, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Asked, Reversal
from cleartill.usecases.resolve import resolve
from fakes import Scripted, World

YES = Approved("bnk_9", "REF9", "00")


def the_payment(world: World) -> Payment:
    (payment,) = world.memory.payments.values()
    return payment


def the_attempt(world: World) -> Attempt:
    return list(world.memory.attempts.values())[-1]


@pytest.fixture
async def doubtful(world: World, pay: Any) -> World:
    """A payment that the provider took and we did not hear about."""
    world.bank.answers(Scripted(Unknown("timeout"), YES))
    await pay(idempotency_key="k")
    return world


async def test_nothing_is_due_before_its_time(doubtful: World) -> None:
    doubtful.clock.advance(1.9)
    assert await resolve(doubtful.till) == 0
    doubtful.clock.advance(0.2)
    assert await resolve(doubtful.till) == 1


async def test_what_the_provider_did_is_recorded(doubtful: World) -> None:
    doubtful.clock.advance(2)
    await resolve(doubtful.till)

    assert (the_payment(doubtful).status, the_payment(doubtful).provider_payment_id) == ("captured", "bnk_9")
    assert doubtful.memory.balance("merchant", "USD") == 10_000
    (held,) = doubtful.memory.claims.values()
    assert held.answer is not None
    assert held.answer.status == 201


async def test_what_the_provider_refused_is_recorded(world: World, pay: Any) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), Declined("do_not_honor", "05")))
    await pay()
    world.clock.advance(2)
    await resolve(world.till)

    assert (the_payment(world).status, the_attempt(world).status) == ("failed", AttemptStatus.DECLINED)


async def test_an_authorization_is_never_sent_again(world: World, pay: Any) -> None:
    """The CVV is gone: the provider puts a tombstone, and the payment has failed."""
    world.bank.answers(Unknown("timeout"))
    await pay()
    world.clock.advance(2)
    await resolve(world.till)

    assert [verb for verb, _ in world.bank.asked] == ["authorize"]
    assert world.bank.tombstones == {the_attempt(world).key}
    assert (the_payment(world).status, the_payment(world).decline) == ("failed", Declined("not_charged"))


async def test_who_cannot_say_yet_is_asked_again(doubtful: World) -> None:
    doubtful.bank.away = True
    for _ in range(3):
        doubtful.clock.advance(700)
        assert await resolve(doubtful.till) == 1
        assert await resolve(doubtful.till) == 0
    assert the_payment(doubtful).status == "in_doubt"

    doubtful.bank.away = False
    doubtful.clock.advance(700)
    await resolve(doubtful.till)
    assert the_payment(doubtful).status == "captured"


async def test_an_open_breaker_only_puts_it_off(doubtful: World) -> None:
    doubtful.providers.refused.add("bank")
    doubtful.clock.advance(2)
    assert await resolve(doubtful.till) == 1
    assert the_payment(doubtful).status == "in_doubt"


async def test_a_crashed_request_is_finished(world: World, pay: Any) -> None:
    """Its process died in mid-call: the payment is still `processing`, the resolver owns it after ten seconds."""
    world.bank.answers(MemoryError())
    with pytest.raises(MemoryError):
        await pay()
    world.clock.advance(9.9)
    assert await resolve(world.till) == 0
    world.clock.advance(0.2)
    await resolve(world.till)

    assert the_payment(world).status == "failed"


@pytest.mark.parametrize("truth", [YES, None])
async def test_a_refund_is_sent_again_under_its_key(
    world: World, pay: Any, give_back: Any, truth: Approved | None
) -> None:
    paid = await pay()
    world.bank.answers(Scripted(Unknown("timeout"), truth))
    await give_back(paid, "60.00")
    world.clock.advance(2)
    await resolve(world.till)

    asks = [ask for verb, ask in world.bank.asked if verb == "refund"]
    assert len(asks) == 2
    assert asks[0].attempt_key == asks[1].attempt_key
    assert isinstance(asks[1], Reversal)
    assert asks[1].expires_at > world.clock.now()  # not the first try's, which may be over
    assert world.memory.balance("merchant", "USD") == 4_000
    assert the_payment(world).refund_reserved_minor == 0


async def test_a_refund_not_sent_now_may_have_been_sent_before(world: World, pay: Any, give_back: Any) -> None:
    paid = await pay()
    world.bank.answers(Unknown("timeout"), NotSent("connect"))
    await give_back(paid, "60.00")
    world.clock.advance(2)
    await resolve(world.till)

    assert the_attempt(world).status is AttemptStatus.OPEN
    assert the_payment(world).refund_reserved_minor == 6_000


async def test_one_that_cannot_be_settled_keeps_no_other_from_it(world: World, pay: Any) -> None:
    """All are looked at, and the failure is not passed over in silence."""
    for _ in range(3):
        world.bank.answers(Scripted(Unknown("timeout"), YES))
        await pay()
    poison, look = next(iter(world.memory.attempts.values())).key, world.bank.lookup

    async def lookup(ask: Asked) -> Finding:
        if ask.attempt_key == poison:
            raise ValueError("this one cannot be asked about")
        return await look(ask)

    world.bank.lookup = lookup  # type: ignore[method-assign]
    world.clock.advance(2)
    with pytest.raises(ValueError, match="cannot be asked about"):
        await resolve(world.till)

    assert sorted(payment.status for payment in world.memory.payments.values()) == ["captured", "captured", "in_doubt"]


async def test_books_that_are_away_are_an_error_of_the_round(doubtful: World) -> None:
    doubtful.clock.advance(2)
    load = doubtful.books.load_attempt

    async def away(*_: str) -> Any:
        raise BooksUnavailable("away")

    doubtful.books.load_attempt = away  # type: ignore[method-assign]
    with pytest.raises(BooksUnavailable):
        await resolve(doubtful.till)
    doubtful.books.load_attempt = load  # type: ignore[method-assign]
    doubtful.clock.advance(10)
    await resolve(doubtful.till)

    assert the_payment(doubtful).status == "captured"


async def test_an_approval_of_another_amount_moves_no_money(doubtful: World) -> None:
    """The bank has something under our key that we did not ask for: the payment stays in doubt, and a person is asked
    once."""

    async def lookup(_ask: Asked) -> Finding:
        return Disagrees("amount")

    doubtful.bank.lookup = lookup  # type: ignore[method-assign]
    for _ in range(3):
        doubtful.clock.advance(60)
        await resolve(doubtful.till)

    payment = the_payment(doubtful)
    assert (payment.status, payment.amount_captured_minor) == ("in_doubt", 0)
    assert payment.needs_review is not None
    assert "amount" in payment.needs_review
    assert [fact.type for fact, _ in doubtful.memory.facts].count("payment.needs_review") == 1
    assert doubtful.memory.balance("merchant", "USD") == 0
