"""A worker that is frozen in mid-transfer for longer than its lease, and thaws when another one has it or has ended it.

Two processes' adapters on one PostgreSQL, before the simulator's own book: one effect there and one in the ledger,
wherever the first was frozen (TRUST 8). Its epoch is old, so it writes nothing, not even a wish for a person to look.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from cleartill.domain.outcome import Declined, Outcome
from cleartill.domain.transfer import TransferKind
from cleartill.ports import Fate, Till, Transfers, Turn
from fakes.transfers_desk import DEPOSIT, WITHDRAWAL, TransferDesk
from real import Room, open_room
from real.audited import Audited, audited
from real.providers import simulator

BEFORE_THE_INTENT, BEFORE_THE_BANK, AFTER_THE_BANK = "intent", "ask", "outcome"
NO = Declined("processing_error", "12")
FROZEN = (BEFORE_THE_INTENT, BEFORE_THE_BANK, AFTER_THE_BANK)


@dataclass
class Ice:
    """Whoever comes to `point` stays there until it is thawed."""

    point: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    async def at(self, point: str) -> None:
        if point == self.point:
            self.reached.set()
            await self.thawed.wait()


class FrozenBooks:
    """Transfers of a process that is frozen just before it writes down an intent or an outcome."""

    def __init__(self, transfers: Transfers, ice: Ice) -> None:
        self._transfers, self._ice = transfers, ice
        self.fates: list[Fate] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transfers, name)

    async def record(self, turn: Turn) -> Fate:
        await self._ice.at("intent" if turn.goes_on else "outcome")
        self.fates.append(await self._transfers.record(turn))
        return self.fates[-1]


class FrozenProviders:
    """… or just before it asks the bank. `says`: in place of what the bank says, if it is not None."""

    def __init__(self, till: Till, ice: Ice, says: Outcome | None) -> None:
        self._providers, self._ice, self._says = till.providers, ice, says

    def permit(self, name: str, deadline: float) -> Any:
        self._permitted = self._providers.permit(name, deadline)
        return self

    async def __aenter__(self) -> "FrozenProviders":
        self._provider = await self._permitted.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._permitted.__aexit__(*error)

    async def transfer(self, ask: Any) -> Any:
        await self._ice.at("ask")
        said = await self._provider.transfer(ask)
        return said if self._says is None else self._says


@pytest.fixture
def bank_url() -> Iterator[str]:
    with simulator() as url:
        settings = {"transfer_delay_s": [0, 0], "transfer_fail_rate": 0}
        httpx.put(f"{url}/_control", json=settings).raise_for_status()
        yield url


@pytest.fixture
async def books(room: Room, bank_url: str, database_url: str) -> AsyncIterator[Audited]:
    async with audited(room, bank_url, database_url) as made:
        yield made


@pytest.fixture
async def second(books: Audited, database_url: str) -> AsyncIterator[TransferDesk]:
    """The process that takes over."""
    async with open_room(database_url) as other:
        yield TransferDesk(replace(books.till, transfers=other.transfers, ledger=other.ledger), "worker-2")


def lease_lapses(books: Audited) -> None:
    books.rows("UPDATE transfers SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL")


async def finish(books: Audited, desk: TransferDesk, id: str) -> None:
    for _ in range(100):
        if (await desk.now(id)).is_final:
            return
        books.rows("UPDATE transfers SET next_at = now() WHERE next_at IS NOT NULL")
        await desk.work()
        await asyncio.sleep(0.01)
    raise AssertionError("it does not end")


def everything(books: Audited) -> list[Any]:
    return [
        books.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("transfers", "ledger_entries", "ledger_pending", "outbox", "audit_logs", "idempotency_keys")
    ]


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "taken over"])
@pytest.mark.parametrize(("kind", "says"), [(DEPOSIT, None), (WITHDRAWAL, NO)], ids=["deposit", "withdrawal, wrong no"])
@pytest.mark.parametrize("point", FROZEN)
async def test_one_effect_wherever_it_was_frozen(
    books: Audited, second: TransferDesk, point: str, kind: TransferKind, says: Outcome | None, ended: bool
) -> None:
    first = TransferDesk(books.till)
    if kind is WITHDRAWAL:
        funds = await first.make(DEPOSIT, 700)
        await finish(books, first, funds.id)
    made = await first.make(kind, 700)
    ice = Ice(point)
    frozen_books = FrozenBooks(books.till.transfers, ice)
    frozen: Any = replace(books.till, transfers=frozen_books, providers=FrozenProviders(books.till, ice, says))
    working = asyncio.create_task(TransferDesk(frozen).work())
    await ice.reached.wait()

    lease_lapses(books)
    if ended:
        await finish(books, second, made.id)
    else:  # it is the other's, who has written nothing yet
        (leased,) = await second.till.transfers.due("worker-2", 1, 30)
        assert leased.transfer.id == made.id
    before = everything(books)
    ice.thawed.set()
    await working

    assert everything(books) == before
    assert frozen_books.fates[-1] is Fate.LEASE_LOST
    books.rows("UPDATE transfers SET next_at = now(), lease_owner = NULL, lease_until = NULL WHERE next_at IS NOT NULL")
    await finish(books, second, made.id)
    assert books.rows("SELECT status, needs_review FROM transfers WHERE id = %s", made.id) == [("succeeded", None)]
    sums = books.rows("SELECT account, sum(amount_minor)::bigint FROM ledger_entries GROUP BY 1 ORDER BY 1")
    assert {account: amount for account, amount in sums if amount} == (
        {"bank": -700, "merchant": 700} if kind is DEPOSIT else {}
    )
    report = await books.reconcile()
    assert report.clean, report.view()
    assert report.matched == (1 if kind is DEPOSIT else 2), "the bank has each once, as we do"
