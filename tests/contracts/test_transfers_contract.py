"""What the Transfers and Ledger ports promise: on the fakes and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.domain.errors import InsufficientFunds, NotFound
from cleartill.domain.idempotency import Answer, Claim
from cleartill.domain.ids import first_id
from cleartill.domain.ledger import journals
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.outcome import Approved, Declined
from cleartill.domain.transfer import Transfer, TransferKind, TransferStatus
from cleartill.ports import Fate, Ledger, SystemClock, TransferLease, TransferQuery, Transfers, Turn
from fakes import World
from fakes.transfers_desk import DEPOSIT, ORIGIN, WITHDRAWAL
from real import open_room

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
YES, NO = Approved("bnk_1", "bnk_1", "00"), Declined("processing_error", "12")
M = DEMO_MERCHANT_ID


@dataclass
class Vaults:
    transfers: Transfers
    ledger: Ledger

    async def made(self, kind: TransferKind = DEPOSIT, amount_minor: int = 700, **changes: Any) -> Transfer:
        transfer = replace(Transfer.of(M, kind, amount_minor, "USD", "bank", START, "t" * 32), **changes)
        turn = new(transfer)
        assert await self.transfers.record(turn) is Fate.RECORDED
        return transfer

    async def fund(self, amount_minor: int) -> None:
        transfer = await self.made(DEPOSIT, amount_minor)
        transfer.begin(START)
        assert await self.transfers.record(ended(transfer, YES)) is Fate.RECORDED

    async def has(self, account: str = "merchant") -> int:
        return sum(one.amount_minor for one in await self.ledger.balances(M) if one.account == account)


@pytest.fixture(params=["fake", "postgres"])
async def vaults(request: pytest.FixtureRequest) -> AsyncIterator[Vaults]:
    if request.param == "fake":
        world = World(clock=SystemClock())  # type: ignore[arg-type]
        yield Vaults(world.transfers, world.ledger)
        return
    async with open_room(request.getfixturevalue("database_url")) as room:
        yield Vaults(room.transfers, room.ledger)


def claim(key: str, fingerprint: str = "f" * 64) -> Claim:
    return Claim(M, "deposit", key, fingerprint)


def new(transfer: Transfer, **more: Any) -> Turn:
    facts = [transfer.created()]
    fields: dict[str, Any] = {"cover": True, "again_in_s": 0.0, **more}
    return Turn(transfer, 0, ORIGIN, facts, journals(facts), **fields)


def ended(transfer: Transfer, said: Any, **more: Any) -> Turn:
    expecting = transfer.version
    facts = transfer.end(said, START)
    return Turn(transfer, expecting, ORIGIN, facts, journals(facts), **more)


async def test_a_transfer_comes_back_as_it_was_written(vaults: Vaults) -> None:
    made = await vaults.made(description="d", metadata={"a": [1, None]}, claim=claim("k"))
    made.begin(START)
    made.accept("bnk_1", START)
    made.review("why", START)
    assert await vaults.transfers.record(Turn(made, 1, ORIGIN, goes_on=True)) is Fate.RECORDED
    assert await vaults.transfers.load(M, made.id) == made
    assert await vaults.transfers.find(made.id) == made
    failed = await vaults.transfers.load(M, made.id)
    assert await vaults.transfers.record(ended(failed, NO)) is Fate.RECORDED
    assert await vaults.transfers.load(M, made.id) == failed


@pytest.mark.parametrize("merchant", ["merchant_456", "nobody"])
async def test_another_merchants_is_not_found(vaults: Vaults, merchant: str) -> None:
    made = await vaults.made()
    with pytest.raises(NotFound):
        await vaults.transfers.load(merchant, made.id)
    with pytest.raises(NotFound):
        await vaults.transfers.find(f"{made.id}0")


async def test_who_saw_an_older_version_writes_nothing(vaults: Vaults) -> None:
    made = await vaults.made()
    late = await vaults.transfers.load(M, made.id)
    made.begin(START)
    await vaults.transfers.record(Turn(made, 1, ORIGIN, goes_on=True))
    late.begin(START)
    assert await vaults.transfers.record(ended(late, YES)) is Fate.CONFLICT
    assert (await vaults.transfers.load(M, made.id)).status == "processing"
    assert await vaults.has() == 0


async def test_the_same_turn_again_is_recorded_once(vaults: Vaults) -> None:
    """Its commit was not acknowledged, and it is written again."""
    made = await vaults.made(claim=claim("k"))
    made.begin(START)
    turn = ended(made, YES)
    assert await vaults.transfers.record(turn) is Fate.RECORDED
    assert await vaults.transfers.record(turn) in (Fate.RECORDED, Fate.CONFLICT)
    assert await vaults.has() == 700


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_has_one_effect_and_one_answer(vaults: Vaults) -> None:
    first = Transfer.of(M, DEPOSIT, 700, "USD", "bank", START, "t" * 32, claim=claim("k"))
    assert await vaults.transfers.claimed(claim("k")) is None
    turn = new(first, claim=claim("k"), answer=Answer(202, "pending"))
    assert await vaults.transfers.record(turn) is Fate.RECORDED
    second = Transfer.of(M, DEPOSIT, 700, "USD", "bank", START, "t" * 32, claim=claim("k"))
    assert await vaults.transfers.record(new(second, claim=claim("k"), answer=Answer(202, "x"))) is Fate.KEY_TAKEN
    existing = await vaults.transfers.claimed(claim("k"))
    assert existing is not None
    assert (existing.answer, existing.payment_id) == (Answer(202, "pending"), first.id)
    with pytest.raises(NotFound):
        await vaults.transfers.load(M, second.id)


async def test_the_first_final_answer_stays(vaults: Vaults) -> None:
    made = Transfer.of(M, DEPOSIT, 700, "USD", "bank", START, "t" * 32, claim=claim("k"))
    await vaults.transfers.record(new(made, claim=claim("k"), answer=Answer(202, "pending")))
    for status, body, kept in ((202, "still", "still"), (201, "ended", "ended"), (201, "other", "ended")):
        turn = Turn(made, made.version, ORIGIN, answer=Answer(status, body), again_in_s=None)
        assert await vaults.transfers.record(turn) is Fate.RECORDED
        existing = await vaults.transfers.claimed(claim("k"))
        assert existing is not None
        assert existing.answer is not None
        assert existing.answer.body == kept


async def test_the_answer_of_another_that_has_the_key_by_now_stays(vaults: Vaults) -> None:
    """The key was let go a day after a dead letter's end; the letter is taken up again after that."""
    letter = await vaults.made(claim=claim("k"))
    other = Transfer.of(M, DEPOSIT, 700, "USD", "bank", START, "t" * 32, claim=claim("k"))
    assert await vaults.transfers.record(new(other, claim=claim("k"), answer=Answer(202, "p"))) is Fate.RECORDED
    letter.begin(START)
    assert await vaults.transfers.record(ended(letter, YES, answer=Answer(201, "ended"))) is Fate.RECORDED
    existing = await vaults.transfers.claimed(claim("k"))
    assert existing is not None
    assert (existing.answer, existing.payment_id) == (Answer(202, "p"), other.id)


async def test_an_event_is_heard_once(vaults: Vaults) -> None:
    made = await vaults.made()
    made.begin(START)
    event = Claim(M, "callback:bank", "evt_1", "f" * 64)
    turn = Turn(made, 1, ORIGIN, claim=event, goes_on=True)
    assert await vaults.transfers.record(turn) is Fate.RECORDED
    assert await vaults.transfers.record(ended(made, YES, claim=event)) is Fate.KEY_TAKEN
    assert (await vaults.transfers.load(M, made.id)).status == "processing"
    assert await vaults.has() == 0


# ── cover ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_withdrawal_needs_cover(vaults: Vaults) -> None:
    await vaults.fund(1_000)
    await vaults.made(WITHDRAWAL, 700)
    with pytest.raises(InsufficientFunds, match=r"3\.00 USD"):
        await vaults.made(WITHDRAWAL, 301, claim=claim("k"))
    assert await vaults.transfers.claimed(claim("k")) is None
    await vaults.ledger.roll_up(64)
    with pytest.raises(InsufficientFunds):
        await vaults.made(WITHDRAWAL, 301)
    await vaults.made(WITHDRAWAL, 300)
    assert (await vaults.has(), await vaults.has("merchant_reserved"), await vaults.has("bank")) == (0, 1_000, -1_000)


async def test_of_many_withdrawals_at_once_only_what_is_there_is_reserved(vaults: Vaults) -> None:
    await vaults.fund(1_000)
    ended = await asyncio.gather(*(vaults.made(WITHDRAWAL, 300) for _ in range(12)), return_exceptions=True)
    assert len([one for one in ended if isinstance(one, Transfer)]) == 3
    assert {type(one) for one in ended} == {Transfer, InsufficientFunds}
    assert (await vaults.has(), await vaults.has("merchant_reserved")) == (100, 900)


# ── leases ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_due_is_leased_once(vaults: Vaults) -> None:
    for _ in range(10):
        await vaults.made()
    shares = await asyncio.gather(*(vaults.transfers.due(f"w{n}", 4, 30) for n in range(4)))
    ids = [leased.transfer.id for share in shares for leased in share]
    assert len(ids) == len(set(ids)) == 10
    assert max(len(share) for share in shares) <= 4
    assert await vaults.transfers.due("w", 10, 30) == []
    assert {leased.origin for share in shares for leased in share} == {ORIGIN}


async def test_a_turn_ends_the_lease_and_says_when_next(vaults: Vaults) -> None:
    await vaults.made()
    (leased,) = await vaults.transfers.due("w1", 1, 30)
    transfer = leased.transfer
    transfer.begin(START)
    assert await vaults.transfers.record(Turn(transfer, 1, ORIGIN, lease=leased.lease, goes_on=True)) is Fate.RECORDED
    assert await vaults.transfers.due("w2", 1, 30) == []
    assert await vaults.transfers.record(Turn(transfer, 2, ORIGIN, lease=leased.lease, again_in_s=0)) is Fate.RECORDED
    (again,) = await vaults.transfers.due("w2", 1, 30)
    assert again.lease.epoch == leased.lease.epoch + 1
    transfer = again.transfer
    assert await vaults.transfers.record(Turn(transfer, 3, ORIGIN, lease=again.lease, again_in_s=60)) is Fate.RECORDED
    assert await vaults.transfers.due("w3", 1, 30) == []


async def test_a_lease_that_ran_out_is_somebody_elses(vaults: Vaults) -> None:
    await vaults.made()
    (frozen,) = await vaults.transfers.due("w1", 1, 0)
    (second,) = await vaults.transfers.due("w2", 1, 30)
    assert second.lease == TransferLease("w2", frozen.lease.epoch + 1)
    frozen.transfer.begin(START)
    assert await vaults.transfers.record(ended(frozen.transfer, YES, lease=frozen.lease)) is Fate.LEASE_LOST
    assert ((await vaults.transfers.find(frozen.transfer.id)).status, await vaults.has()) == ("pending", 0)
    second.transfer.begin(START)
    assert await vaults.transfers.record(ended(second.transfer, YES, lease=second.lease)) is Fate.RECORDED
    assert await vaults.has() == 700


async def test_what_has_ended_is_not_due(vaults: Vaults) -> None:
    await vaults.fund(700)
    assert await vaults.transfers.due("w1", 10, 30) == []


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def put(vaults: Vaults, second: int, kind: TransferKind = DEPOSIT, **changes: Any) -> str:
    at = START + timedelta(seconds=second)
    id = first_id(kind.prefix, at)
    await vaults.made(kind, 1, id=id, created_at=at, **changes)
    return id


async def pages(vaults: Vaults, **query: Any) -> list[str]:
    asked, found = TransferQuery(**{"kind": DEPOSIT, "limit": 2, **query}), []
    for _ in range(100):
        page = await vaults.transfers.list(M, asked)
        found += [one.id for one in page.items]
        if page.next is None:
            return found
        asked = replace(asked, before=page.next)
    raise AssertionError("a list without end")


async def test_a_list_is_of_one_kind_newest_first(vaults: Vaults) -> None:
    await vaults.fund(100)
    (fund,) = await pages(vaults)
    ids = [await put(vaults, second) for second in range(5)]
    others = [await put(vaults, second, WITHDRAWAL) for second in range(3)]
    assert await pages(vaults) == [fund, *reversed(ids)]
    assert await pages(vaults, kind=WITHDRAWAL) == others[::-1]
    made_then = {"created_from": START + timedelta(seconds=1), "created_to": START + timedelta(seconds=4)}
    assert await pages(vaults, **made_then) == ids[3:0:-1]
    assert (await vaults.transfers.list("merchant_456", TransferQuery(DEPOSIT))).items == []


async def test_a_list_filters_by_status_and_looks_no_further_than_it_may(vaults: Vaults) -> None:
    ids = [await put(vaults, second) for second in range(8)]
    done = await vaults.transfers.load(M, ids[1])
    done.begin(START)
    await vaults.transfers.record(ended(done, YES))
    wanted = frozenset({TransferStatus.SUCCEEDED})
    assert await pages(vaults, statuses=wanted) == [ids[1]]
    assert await pages(vaults, statuses=wanted, look_at=2) == [ids[1]]
    first = await vaults.transfers.list(M, TransferQuery(DEPOSIT, wanted, look_at=3))
    assert (first.items, first.next) == ([], ids[5])


async def test_dead_letters_of_all_merchants(vaults: Vaults) -> None:
    letters = []
    for second in range(3):
        await put(vaults, second, merchant_id=f"m_{second}")
        letters.append(first_id("dep", START + timedelta(seconds=second)))
        transfer = await vaults.transfers.find(letters[-1])
        transfer.begin(START)
        facts = transfer.give_up("why", START)
        await vaults.transfers.record(Turn(transfer, 1, ORIGIN, facts))
    await vaults.made()
    page = await vaults.transfers.dead(2)
    assert [one.id for one in page.items] == letters[:0:-1]
    last = await vaults.transfers.dead(2, page.next)
    assert ([one.id for one in last.items], last.next) == (letters[:1], None)
    depths = {depth.name: depth.value for depth in await vaults.transfers.depths()}
    assert depths == {"transfer.pending": 1.0, "transfer.dead": 3.0}
