"""Books that grow old at once, on the fakes or on PostgreSQL, and what retention leaves of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from cleartill.domain.retention import KEPT, Perishable
from cleartill.ports import SystemClock, Till
from cleartill.usecases.publish_outbox import publish_outbox
from fakes import World
from fakes.steps import Steps
from fakes.transfers_desk import TransferDesk
from real.room import Room, rows, till_on
from real.units import MERCHANT

DAY = timedelta(days=1)
_AGE = """
UPDATE idempotency_keys SET created_at = created_at - %(by)s, answered_at = answered_at - %(by)s;
UPDATE outbox SET created_at = created_at - %(by)s, published_at = published_at - %(by)s;
UPDATE webhook_deliveries SET created_at = created_at - %(by)s, delivered_at = delivered_at - %(by)s,
    next_at = CASE WHEN status = 'pending' THEN next_at ELSE next_at - %(by)s END;
UPDATE attempts SET created_at = created_at - %(by)s, settled_at = settled_at - %(by)s,
    resolve_at = resolve_at - %(by)s;
UPDATE sessions SET created_at = created_at - %(by)s, used_at = used_at - %(by)s, expires_at = expires_at - %(by)s;
UPDATE transfers SET next_at = next_at - %(by)s, lease_until = lease_until - %(by)s;
"""
_MERCHANT = "INSERT INTO merchants (id, name, email, created_at) VALUES (%s, 'M', 'm@merchant.example', now())"


@dataclass
class Keeping:
    """`age`: lets so much time pass, and brings the time of all that waits."""

    till: Till
    world: World
    age: Callable[[timedelta], Awaitable[None]]

    @property
    def steps(self) -> Steps:
        return Steps(self.till)

    @property
    def desk(self) -> TransferDesk:
        return TransferDesk(self.till)

    async def publish(self) -> None:
        while await publish_outbox(self.till, "publisher"):
            pass

    async def purge(self, what: Perishable, kept: timedelta | None = None, limit: int = 500) -> int:
        """A whole sweep; how many rows it took."""
        gone, beyond = 0, None
        for _ in range(10_000):
            purged = await self.till.retention.purge(what, kept or KEPT[what], beyond, limit)
            gone, beyond = gone + purged.gone, purged.beyond
            if beyond is None:
                return gone
        raise AssertionError("the sweep does not end")


@asynccontextmanager
async def fake_keeping() -> AsyncIterator[Keeping]:
    world = World()

    async def age(by: timedelta) -> None:
        world.clock.advance(by.total_seconds())

    yield Keeping(world.till, world, age)


@asynccontextmanager
async def postgres_keeping(room: Room, url: str) -> AsyncIterator[Keeping]:
    world = World(clock=SystemClock())  # type: ignore[arg-type]
    await asyncio.to_thread(rows, url, _MERCHANT, MERCHANT)
    yield Keeping(till_on(room, world), world, lambda by: asyncio.to_thread(grow_old, url, by))


def grow_old(url: str, by: timedelta) -> None:
    rows(url, _AGE.replace("%(by)s", f"interval '{by.total_seconds()} seconds'"))


def keys_of(url: str) -> set[str]:
    return {key for (key,) in rows(url, "SELECT key FROM idempotency_keys")}
