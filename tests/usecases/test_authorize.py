"""What a charge and a confirmation share: who is asked, what is prepared, which cards are refused at the door."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.errors import BooksUnavailable, ProviderUnavailable, Refused
from cleartill.domain.idempotency import Answer
from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Unknown
from cleartill.domain.payment import Payment
from cleartill.ports import Authorization, Unit
from cleartill.usecases.resolve import resolve
from fakes import OTHER_MERCHANT_ID, Scripted, World
from fakes.steps import Steps, body, card

Take = Callable[..., Awaitable[Answer]]
LOST = Declined("lost_card", "41", "bnk_lost", "N", "N")


@pytest.fixture(params=["charge", "confirm"])
def take(request: pytest.FixtureRequest, steps: Steps) -> Take:
    """Both ways to an authorization; the order's words, and a key."""

    async def confirmed(key: str | None = None, **changes: Any) -> Answer:
        made = await steps.create(f"create {key}" if key else None, **changes)
        return await steps.confirm(made, key=key, merchant_id=changes.get("merchant_id", body(made)["merchant_id"]))

    return steps.charge if request.param == "charge" else confirmed


def last_payment(world: World) -> Payment:
    return list(world.memory.payments.values())[-1]


# ── failover ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_next_provider_is_asked_while_the_first_is_away(world: World, take: Take) -> None:
    world.till.failover = {"bank": "mock"}
    world.providers.refused.add("bank")
    paid = body(await take())

    assert (paid["status"], paid["provider"]) == ("captured", "mock")
    assert [attempt.provider for attempt in world.memory.attempts.values()] == ["mock"]
    assert world.bank.asked == []
    assert ("payment.failover", 1, {"provider": "bank", "to": "mock"}) in world.watch.seen


async def test_a_refund_goes_where_the_money_is(world: World, take: Take, steps: Steps) -> None:
    world.till.failover = {"bank": "mock"}
    world.providers.refused.add("bank")
    paid = await take()
    world.providers.refused.clear()
    await steps.refund(paid)
    assert ([verb for verb, _ in world.providers["mock"].asked][-1], world.bank.asked) == ("refund", [])


@pytest.mark.parametrize("failover", [{}, {"mock": "bank"}])
async def test_without_a_rule_there_is_no_next(world: World, take: Take, failover: dict[str, str]) -> None:
    world.till.failover = failover
    world.providers.refused.add("bank")
    with pytest.raises(ProviderUnavailable):
        await take()
    assert world.providers["mock"].asked == []


async def test_both_may_be_away(world: World, take: Take) -> None:
    world.till.failover = {"bank": "mock"}
    world.providers.refused |= {"bank", "mock"}
    with pytest.raises(ProviderUnavailable):
        await take("k")
    assert {payment.provider for payment in world.memory.payments.values()} <= {"bank"}
    assert world.memory.attempts == {}


async def test_a_provider_that_answers_is_not_left_whatever_it_says(world: World, take: Take) -> None:
    world.till.failover = {"bank": "mock"}
    world.bank.answers(Declined("card_declined"))
    assert (body(await take())["provider"], world.providers["mock"].asked) == ("bank", [])


async def test_a_payment_that_was_prepared_and_never_sent_may_go_elsewhere(world: World, steps: Steps) -> None:
    """Under another attempt, and without the name that it has at the first one."""
    world.till.failover = {"mock": "bank"}
    made = await steps.create(provider="mock")
    world.providers["mock"].answers(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await steps.confirm(made)
    world.providers.refused.add("mock")
    paid = body(await steps.confirm(made))

    assert (paid["status"], paid["provider"]) == ("captured", "bank")
    ((_, ask),) = world.bank.asked
    assert (ask.attempt_key, ask.provider_payment_id) == (f"{paid['id']}.authorize.2", None)


@pytest.mark.parametrize("said", [Unknown("timeout"), ActionRequired("pi_1", "https://bank.example")])
async def test_a_payment_that_may_have_been_sent_goes_nowhere_else(world: World, steps: Steps, said: Any) -> None:
    world.till.failover = {"mock": "bank"}
    made = await steps.create(provider="mock")
    world.providers["mock"].answers(Scripted(said))
    await steps.confirm(made)
    world.providers.refused.add("mock")
    with pytest.raises(Refused):
        await steps.confirm(made)
    world.clock.advance(3600)
    await resolve(world.till)
    assert world.bank.asked == []


async def test_the_one_who_steps_in_is_asked_by_its_own_rules(world: World, steps: Steps) -> None:
    """`bank` needs a card, `mock` had none."""
    world.till.failover = {"mock": "bank"}
    world.providers.refused.add("mock")
    made = await steps.create(card=None, provider="mock")
    with pytest.raises(Exception, match="card_data or card_token is needed"):
        await steps.confirm(made)
    assert (last_payment(world).provider, last_payment(world).status) == ("mock", "pending")


# ── providers that prepare ────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_prepared_is_on_disk_before_it_is_authorized(world: World, take: Take) -> None:
    mock = world.providers["mock"]
    mock.prepared.append("pi_1")
    on_disk: list[str | None] = []
    authorize = mock.authorize

    async def look(ask: Authorization) -> Any:
        on_disk.append(last_payment(world).provider_payment_id)
        assert ask.provider_payment_id == "pi_1"
        return await authorize(ask)

    mock.authorize = look  # type: ignore[method-assign]
    paid = await take(provider="mock")

    assert (on_disk, body(paid)["status"]) == (["pi_1"], "captured")
    assert [verb for verb, _ in mock.asked] == ["prepare", "authorize"]
    assert len({ask.attempt_key for _, ask in mock.asked}) == 1


def take_is_confirm(take: Take) -> bool:
    return take.__name__ == "confirmed"


@pytest.mark.parametrize("away", [False, True])
async def test_what_cannot_be_written_down_is_not_authorized(world: World, take: Take, away: bool) -> None:
    """The payment moved, or the books are away just then: no money may move under a name that nobody would find."""

    def meddle(unit: Unit) -> None:
        if not unit.is_intent and unit.attempt is None:
            if away:
                raise BooksUnavailable("away")
            last_payment(world).version += 1

    world.books.before_record = meddle
    with pytest.raises(ProviderUnavailable):
        await take("k", provider="mock")

    assert [verb for verb, _ in world.providers["mock"].asked] == ["prepare"]
    assert last_payment(world).status == ("pending" if take_is_confirm(take) else "failed")
    (attempt,) = world.memory.attempts.values()
    assert attempt.status is AttemptStatus.NOT_SENT
    assert ("confirm" if take_is_confirm(take) else "process") not in {
        held.claim.scope.partition(":")[0] for held in world.memory.claims.values()
    }


async def test_what_cannot_be_taken_back_either_is_left_to_the_resolver(world: World, take: Take) -> None:
    def lost(unit: Unit) -> None:
        if not unit.is_intent:
            raise BooksUnavailable("away")

    world.books.before_record = lost
    answer = await take(provider="mock")
    assert (answer.status, body(answer)["status"]) == (202, "in_doubt")
    world.books.before_record = None
    world.clock.advance(10)
    await resolve(world.till)

    assert [verb for verb, _ in world.providers["mock"].asked] == ["prepare"]
    assert last_payment(world).status == "failed"


@pytest.mark.parametrize(("said", "status"), [(Declined("card_declined"), "failed"), (Unknown("timeout"), "in_doubt")])
async def test_what_cannot_be_prepared_is_not_authorized(world: World, take: Take, said: Any, status: str) -> None:
    world.providers["mock"].prepared.append(said)
    answer = await take(provider="mock")

    assert body(answer)["status"] == status
    assert [verb for verb, _ in world.providers["mock"].asked] == ["prepare"]


async def test_a_preparation_that_was_not_sent_is_taken_back(world: World, take: Take) -> None:
    world.providers["mock"].prepared.append(NotSent("connect"))
    with pytest.raises(ProviderUnavailable):
        await take(provider="mock")
    assert last_payment(world).status == ("pending" if take_is_confirm(take) else "failed")


async def test_silence_about_what_was_prepared_is_asked_about_by_its_name(world: World, take: Take) -> None:
    mock = world.providers["mock"]
    mock.prepared.append("pi_1")
    mock.answers(Scripted(Unknown("timeout"), Approved("pi_1")))
    await take(provider="mock")
    assert (last_payment(world).status, last_payment(world).provider_payment_id) == ("in_doubt", "pi_1")
    world.clock.advance(2)
    await resolve(world.till)
    assert last_payment(world).status == "captured"


# ── cards that are refused for ever ───────────────────────────────────────────────────────────────────────────────────


async def test_a_card_that_was_refused_for_ever_is_not_asked_about_again(world: World, take: Take) -> None:
    world.bank.answers(LOST)
    await take()
    answer = await take()

    told = body(answer)
    assert (told["status"], told["decline"]["code"], told["decline"]["category"]) == ("failed", "lost_card", "hard")
    assert len(world.bank.asked) == len(world.memory.attempts) == 1
    assert [fact.seq for fact, _ in world.memory.facts if fact.subject_id == told["id"]] == [1, 2]


async def test_what_was_said_of_the_other_payment_is_not_said_of_this_one(world: World, take: Take) -> None:
    """Its name at the provider and its checks belong to the payment that was asked about."""
    world.bank.answers(LOST)
    await take()
    told = body(await take())

    assert (told["provider_payment_id"], told["bank_reference"]) == (None, None)
    assert (told["card"]["avs_result"], told["card"]["cvc_result"]) == (None, None)


async def test_a_repeat_of_the_refusal_gets_the_same_bytes(world: World, take: Take) -> None:
    world.bank.answers(LOST)
    await take()
    first, again = await take("k"), await take("k")
    assert (again.body, again.status, again.replayed) == (first.body, first.status, True)


async def test_a_repeat_of_the_first_no_gets_that(world: World, take: Take) -> None:
    world.bank.answers(LOST)
    first, again = await take("k"), await take("k")
    assert (again.body, again.replayed) == (first.body, True)


async def test_its_token_is_refused_too(world: World, take: Take) -> None:
    world.bank.answers(LOST)
    token = body(await take())["card"]["card_token"]
    assert body(await take(card=None, card_token=token))["status"] == "failed"
    assert len(world.bank.asked) == 1


@pytest.mark.parametrize(
    "other", [{"merchant_id": OTHER_MERCHANT_ID}, {"card": card("5555555555554444")}, {"card": None}]
)
async def test_other_merchants_and_other_cards_are_asked_about(world: World, take: Take, other: dict[str, Any]) -> None:
    world.bank.answers(LOST)
    await take()
    assert body(await take(**other))["status"] == "captured"


async def test_a_soft_no_may_be_asked_about_again(world: World, take: Take) -> None:
    world.bank.answers(Declined("insufficient_funds", "51"))
    await take()
    assert body(await take())["status"] == "captured"


async def test_a_hard_no_that_the_resolver_hears_counts_as_well(world: World, take: Take) -> None:
    world.bank.answers(Scripted(Unknown("timeout"), LOST))
    await take()
    world.clock.advance(2)
    await resolve(world.till)
    assert (body(await take())["status"], len(world.bank.asked)) == ("failed", 1)


async def test_refusing_is_a_setting(world: World, take: Take) -> None:
    world.till.refuse_hard_declines = False
    world.bank.answers(LOST)
    await take()
    assert body(await take())["status"] == "captured"
