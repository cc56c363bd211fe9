"""Books and a bank to be reconciled: payments of every fate, made through the use cases against the simulator."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.outcome import NotSent, Unknown
from cleartill.domain.reconciliation import Line
from cleartill.domain.report import Report
from cleartill.ports import StatementPage, SystemClock, Till
from cleartill.providers.bank import Bank
from cleartill.providers.guard import Guard
from cleartill.providers.internal import Internal
from cleartill.providers.wire import Wire
from cleartill.simulator.cards import TEST_CARDS
from cleartill.usecases.reconcile import reconcile
from cleartill.usecases.resolve import resolve
from fakes import World
from fakes.steps import Steps
from real.room import Room, rows, till_on

CARDS = {card.name: card.number for card in TEST_CARDS}
IN_STEP = (
    "; DELETE FROM balances; DELETE FROM ledger_pending; INSERT INTO ledger_pending "
    "SELECT merchant_id, account, currency, amount_minor FROM ledger_entries"
)
"""SQL after what is done to entries: balances follow them, so that nothing else is found."""
Statement = StatementPage | Unknown | NotSent | None


@dataclass
class Tampered(Bank):
    """The bank, with another statement than it has: `tamper` sees every page of its lines."""

    tamper: Callable[[list[Line]], list[Line]] = field(default=lambda lines: lines)

    def __init__(self, url: str) -> None:
        super().__init__(Wire(url))
        self.tamper = lambda lines: lines
        self.reads = 0

    async def statement(self, since: datetime | str) -> Statement:
        self.reads += 1
        page = await super().statement(since)
        return replace(page, lines=self.tamper(page.lines)) if isinstance(page, StatementPage) else page


@dataclass
class Audited:
    """`till`: on real books, before `bank`."""

    till: Till
    bank: Tampered
    steps: Steps
    url: str

    async def reconcile(self, **options: Any) -> Report:
        report = await reconcile(self.till, "test", **({"grace_s": 0.0} | options))
        assert report is not None
        return report

    async def kinds(self, **options: Any) -> dict[str, int]:
        return {str(kind): count for kind, count in (await self.reconcile(**options)).found.items()}

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return rows(self.url, sql, *parameters)

    def counted(self, metric: str) -> list[dict[str, str]]:
        watch: Any = self.till.watch
        return [tags for name, _, tags in watch.seen if name == metric]

    async def resolve_all(self) -> None:
        """Until nothing is in doubt."""
        for _ in range(50):
            self.rows("UPDATE attempts SET resolve_at = now() WHERE status = 'open'")
            if not await resolve(self.till):
                return
        raise AssertionError("something stays in doubt")


@asynccontextmanager
async def audited(room: Room, bank_url: str, database_url: str, budget_s: float = 8.0) -> AsyncIterator[Audited]:
    bank, world = Tampered(bank_url), World(clock=SystemClock())  # type: ignore[arg-type]
    guard = Guard(
        {"bank": bank, "internal": Internal()},
        in_flight=64,
        failures=10_000,
        open_s=1,
        breakers=None,
        watch=world.watch,
        clock=SystemClock(),
    )
    till = replace(
        till_on(room, world), providers=guard, provider_names=frozenset({"bank", "internal"}), budget_s=budget_s
    )
    try:
        yield Audited(till, bank, Steps(till), database_url)
    finally:
        await bank.close()


def card(name: str) -> Card:
    return Card(Pan(CARDS[name]), 12, 2040, Cvv("123"), Secret("Ada"))


async def lives(steps: Steps, number: int) -> None:
    """`number` rounds of eleven payments, of every fate that comes without waiting."""
    for turn in range(number):
        key = f"key-{turn}"
        await asyncio.gather(
            steps.charge(f"{key}-a"),
            steps.charge(f"{key}-b", card=card("card_declined")),
            steps.charge(f"{key}-c", card=None),
            steps.charge(f"{key}-d", currency="JPY", amount_minor=500 + turn),
            _doubtful(steps, f"{key}-e", "reset"),
            _doubtful(steps, f"{key}-f", "malformed"),
            _doubtful(steps, f"{key}-g", "bank_500"),
            _refunded(steps, f"{key}-h"),
            _captured(steps, f"{key}-i"),
            _voided(steps, f"{key}-j"),
            steps.charge(f"{key}-k", card=card("three_d_secure")),
        )


async def _doubtful(steps: Steps, key: str, name: str) -> None:
    await steps.charge(key, card=card(name))


async def _refunded(steps: Steps, key: str) -> None:
    paid = await steps.charge(key)
    await steps.refund(paid, "30.00", f"{key}-1")
    await steps.refund(paid, "20.50")
    if key.endswith("0-h"):
        await steps.refund(paid, None, f"{key}-2")


async def _captured(steps: Steps, key: str) -> None:
    held = await steps.hold()
    await steps.capture(held, "60.00", f"{key}-1")
    await steps.refund(held, "10.00")


async def _voided(steps: Steps, key: str) -> None:
    await steps.void(await steps.hold(), f"{key}-1")
