"""Books, Reads and Backlog as one suite sees them, on the fakes or on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cleartill.ports import Backlog, Books, Merchants, Reads, SystemClock, Webhooks
from fakes import World
from real.room import open_room, rows


@dataclass
class House:
    books: Books
    reads: Reads
    merchants: Merchants
    backlog: Backlog
    webhooks: Webhooks
    make_due: Callable[[], Awaitable[None]]
    """Brings the time of every open attempt."""


@asynccontextmanager
async def fake_house() -> AsyncIterator[House]:
    world = World(clock=SystemClock())  # type: ignore[arg-type]

    async def make_due() -> None:
        for key in world.memory.resolve_at:
            world.memory.resolve_at[key] = world.clock.now()

    yield House(world.books, world.reads, world.merchants, world.backlog, world.webhooks, make_due)


@asynccontextmanager
async def postgres_house(url: str) -> AsyncIterator[House]:
    async with open_room(url) as room:

        async def make_due() -> None:
            await asyncio.to_thread(rows, url, "UPDATE attempts SET resolve_at = now() WHERE status = 'open'")

        yield House(room.books, room.reads, room.merchants, room.backlog, room.webhooks, make_due)
