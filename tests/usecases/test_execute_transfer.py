"""Workers take transfers to the bank: asked once per try, put off, given up, and never twice."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.outcome import Accepted, Approved, Declined, Disagrees, Found, NotSent, Unknown
from cleartill.domain.transfer import Transfer
from cleartill.ports import Turn
from cleartill.usecases.execute_transfer import LEASE_S
from cleartill.usecases.settle_transfer import settle_transfer
from fakes import World
from fakes.transfers_desk import DEPOSIT, ORIGIN, WITHDRAWAL, TransferDesk

YES, NO = Approved("bnk_1", "bnk_1", "00"), Declined("processing_error", "12", "bnk_1")


@pytest.fixture
def desk(world: World) -> TransferDesk:
    return TransferDesk(world.till)


async def until_dead(desk: TransferDesk, world: World, *said: Any) -> int:
    """Let the bank say this to every try; how often it was asked."""
    rounds = 0
    for _ in range(20):
        world.bank.transfers.extend(said)
        rounds += await desk.work()
        world.clock.advance(600)
    return rounds


async def test_the_bank_is_asked_once_under_the_reference(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    assert await desk.work() == 1
    ((verb, ask),) = world.bank.asked
    assert (verb, ask.attempt_key, ask.kind, ask.amount_minor, ask.currency) == (
        "transfer",
        f"{made.id}.transfer.1",
        DEPOSIT,
        700,
        "USD",
    )
    assert 0 < (ask.expires_at - world.clock.now()).total_seconds() < LEASE_S
    now = await desk.now(made)
    assert (now.status, now.attempts, now.accepted_at) == ("processing", 1, world.clock.now())
    assert await desk.work() == 0


async def test_the_intent_is_on_record_before_the_bank_is_asked(desk: TransferDesk, world: World) -> None:
    world.bank.hold = asyncio.Event()
    made = await desk.make(DEPOSIT)
    working = asyncio.create_task(desk.work())
    await world.bank.reached.wait()
    now = await desk.now(made)
    assert (now.status, now.attempts, now.unsure) == ("processing", 1, True)
    world.bank.hold.set()
    await working


@pytest.mark.parametrize("kind", [DEPOSIT, WITHDRAWAL])
@pytest.mark.parametrize("said", [YES, NO])
@pytest.mark.parametrize("when", ["at once", "when asked"])
async def test_how_it_ends(desk: TransferDesk, world: World, kind: Any, said: Any, when: str) -> None:
    await desk.fund(1_000)
    made = await desk.make(kind, 700)
    if when == "at once":
        world.bank.transfers.append(said)
    else:
        await desk.work()
        world.bank.ends[made.reference] = Found(said)
        world.clock.advance(5)
    assert await desk.work() == 1
    now = await desk.now(made)
    assert now.status == ("succeeded" if said is YES else "failed")
    expected = 1_000 + {(DEPOSIT, YES): 700, (WITHDRAWAL, YES): -700}.get((kind, said), 0)
    assert (await desk.balance(), await desk.balance("merchant_reserved"), await desk.total()) == (expected, 0, 0)
    world.clock.advance(3_600)
    assert await desk.work() == 0


async def test_a_refusal_is_not_tried_again(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    world.bank.transfers.append(NO)
    assert await until_dead(desk, world) == 1
    assert (await desk.now(made)).dead is None


async def test_while_it_is_on_its_way_the_bank_is_asked_now_and_then(desk: TransferDesk, world: World) -> None:
    await desk.make(DEPOSIT)
    await desk.work()
    gaps = []
    for _ in range(7):
        waited = 0
        while not await desk.work():
            world.clock.advance(1)
            waited += 1
        gaps.append(waited)
    assert gaps == [5, 5, 10, 20, 40, 60, 60]
    assert [verb for verb, _ in world.bank.asked] == ["transfer", *["lookup_transfer"] * 7]


# ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "status"),
    [(NotSent("connect"), "failed"), (Unknown("timeout"), "in_doubt"), (Unknown("server_error"), "in_doubt")],
)
async def test_a_dead_letter_after_five_retries(desk: TransferDesk, world: World, said: Any, status: str) -> None:
    await desk.fund(700)
    made = await desk.make(WITHDRAWAL, 700)
    asked = len(world.bank.asked)
    assert await until_dead(desk, world, said) == 6
    now = await desk.now(made)
    assert (now.status, now.attempts, now.dead is not None) == (status, 6, True)
    assert {ask.attempt_key for _, ask in world.bank.asked[asked:]} == {f"{made.id}.transfer.1"}
    reserved = 700 if status == "in_doubt" else 0
    assert (await desk.balance(), await desk.balance("merchant_reserved")) == (700 - reserved, reserved)
    assert (now.needs_review is not None) is (status == "in_doubt")


async def test_one_try_that_may_have_arrived_is_enough_for_doubt(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    world.bank.transfers.append(Unknown("reset"))
    await until_dead(desk, world, NotSent("connect"))
    assert (await desk.now(made)).status == "in_doubt"


async def test_the_gaps_double_and_are_jittered(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    key = (made.merchant_id, made.id)
    for retry in range(1, 6):
        world.bank.transfers.append(Unknown("timeout"))
        await desk.work()
        next_at = world.transfers.schedules[key].next_at
        assert next_at is not None
        assert 2**retry / 2 <= (next_at - world.clock.now()).total_seconds() <= 2**retry
        world.clock.advance(2**retry)


async def test_no_permit_is_a_fault_that_sent_nothing(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    world.providers.refused.add("bank")
    assert await until_dead(desk, world) == 6
    now = await desk.now(made)
    assert (now.status, now.attempts, now.unsure) == ("failed", 0, False)
    assert now.error is not None
    assert now.error.code == "bank_unreachable"


async def test_a_bank_that_forgot_what_it_accepted(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    await desk.work()
    world.bank.away = True
    await until_dead(desk, world)
    now = await desk.now(made)
    assert (now.status, now.needs_review is not None) == ("in_doubt", True)
    assert [verb for verb, _ in world.bank.asked].count("transfer") == 1


async def test_a_bank_that_has_something_else_there_is_a_persons_matter(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    await desk.work()
    world.bank.ends[made.reference] = Disagrees("amount")
    world.clock.advance(5)
    await desk.work()
    now = await desk.now(made)
    assert (now.status, now.needs_review) == ("in_doubt", f"the bank has another amount under {made.reference}")


# ── others at the same work ───────────────────────────────────────────────────────────────────────────────────────────


async def test_two_workers_share_and_never_do_the_same(desk: TransferDesk, world: World) -> None:
    for _ in range(10):
        await desk.make(DEPOSIT)
    done = await asyncio.gather(desk.work(), TransferDesk(world.till, "worker-2").work())
    assert sum(done) == 10
    references = [ask.attempt_key for _, ask in world.bank.asked]
    assert len(set(references)) == len(references) == 10


async def test_a_thawed_worker_writes_nothing(desk: TransferDesk, world: World) -> None:
    world.bank.hold = asyncio.Event()
    made = await desk.make(DEPOSIT)
    frozen = asyncio.create_task(desk.work())
    await world.bank.reached.wait()
    world.clock.advance(LEASE_S)
    world.bank.transfers.extend([Accepted("bnk_1"), NO])
    second = asyncio.create_task(TransferDesk(world.till, "worker-2").work())
    for _ in range(20):
        await asyncio.sleep(0)
    before = len(world.transfers.turns)
    held, world.bank.hold = world.bank.hold, None
    world.transfers.schedules[(made.merchant_id, made.id)].epoch += 1  # and a third one has it by now
    held.set()
    await asyncio.gather(frozen, second)
    assert len(world.transfers.turns) == before
    assert (await desk.now(made)).status == "processing"


async def test_a_worker_killed_in_mid_call_is_followed_by_another(desk: TransferDesk, world: World) -> None:
    world.bank.hold = asyncio.Event()
    made = await desk.make(DEPOSIT)
    dead = asyncio.create_task(desk.work())
    await world.bank.reached.wait()
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    world.bank.hold = None
    assert await TransferDesk(world.till, "worker-2").work() == 0
    world.clock.advance(LEASE_S)
    assert await TransferDesk(world.till, "worker-2").work() == 1
    assert {ask.attempt_key for _, ask in world.bank.asked} == {made.reference}
    assert (await desk.now(made)).attempts == 2


async def test_one_that_cannot_be_written_keeps_no_other_from_it(desk: TransferDesk, world: World) -> None:
    first, second = await desk.make(DEPOSIT), await desk.make(DEPOSIT)

    def lost(turn: Turn) -> None:
        if turn.transfer.id == first.id and turn.lease is not None:
            raise RuntimeError("lost")

    world.transfers.before_record = lost
    with pytest.raises(RuntimeError):
        await desk.work()
    assert (await desk.now(second)).status == "processing"


async def test_what_moves_meanwhile_is_decided_again(desk: TransferDesk, world: World) -> None:
    made = await desk.make(DEPOSIT)
    await desk.work()
    moved = iter((True, True))

    def meddle(turn: Turn) -> None:
        if next(moved, False):
            world.memory.transfers[(made.merchant_id, made.id)].version += 1

    world.transfers.before_record = meddle
    await settle_transfer(world.till, await desk.now(made), YES, ORIGIN)
    assert ((await desk.now(made)).status, await desk.balance()) == ("succeeded", 700)


async def test_a_final_answer_after_a_callback_said_the_opposite(desk: TransferDesk, world: World) -> None:
    """The worker asked; before it has written down what it heard, a callback has said no."""
    made: Transfer = await desk.make(DEPOSIT)
    await desk.work()
    stale = await desk.now(made)
    await desk.hear(made, NO)
    await settle_transfer(world.till, stale, YES, ORIGIN)
    now = await desk.now(made)
    assert (now.status, await desk.balance()) == ("failed", 0)
    assert now.needs_review is not None
