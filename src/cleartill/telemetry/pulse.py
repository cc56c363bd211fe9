"""The pulse of a process: how late its event loop is, and how full its own queues and pools are, twice a second.

Distributions, not gauges: several processes of one machine send them under the same tags, of which a gauge would keep
whoever spoke last. It costs some 20 µs a beat.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from cleartill.ports import Watch

EVERY_S = 0.5


class Level(NamedTuple):
    """What is asked for at every beat: a distribution of the catalogue, its tags, and how to know."""

    name: str
    tags: dict[str, str]
    read: Callable[[], float]


class Pulse:
    """Beats from `start` to `close`."""

    def __init__(self, watch: Watch, levels: Sequence[Level]) -> None:
        self._watch, self._levels = watch, levels
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._beating = asyncio.create_task(self._beat(), name="pulse")

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._watch.observe("loop.lag", max(0.0, loop.time() - due) * 1000)
            for level in self._levels:
                self._watch.observe(level.name, level.read(), **level.tags)
