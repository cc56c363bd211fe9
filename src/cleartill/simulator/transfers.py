"""Slow money: a transfer is accepted at once, settled seconds later, and reported by a callback."""

import asyncio

import orjson

from cleartill.simulator.acquirer import Acquirer, event_id
from cleartill.simulator.callbacks import Callbacks
from cleartill.simulator.cards import APPROVED
from cleartill.simulator.conduct import Conduct
from cleartill.simulator.holds import INVALID_TRANSACTION
from cleartill.simulator.orders import Kind


class Transfers:
    """Settles pending transfers in the background, those of an earlier life of the bank too."""

    def __init__(self, acquirer: Acquirer, conduct: Conduct, callbacks: Callbacks) -> None:
        self._acquirer = acquirer
        self._conduct = conduct
        self._callbacks = callbacks
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Take up what was pending in the book."""
        for reference, answer in tuple(self._acquirer.pending.items()):
            if answer["kind"] == Kind.TRANSFER:
                self.settle_later(reference)

    def settle_later(self, reference: str) -> None:
        """Settle one pending transfer after its delay; asked twice, it happens once."""
        if reference in self._acquirer.pending and reference not in self._running:
            task = asyncio.create_task(self._settle(reference), name=f"transfer {reference}")
            self._running[reference] = task
            task.add_done_callback(lambda _: self._running.pop(reference, None))

    async def stop(self) -> None:
        """Leave what is still pending to the next start."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _settle(self, reference: str) -> None:
        delay_s, succeeds = self._conduct.transfer_end()
        await asyncio.sleep(delay_s)
        status, code = ("succeeded", APPROVED) if succeeds else ("failed", INVALID_TRANSACTION)
        entry = await self._acquirer.settle(reference, status, code)
        self._callbacks.report(event_id(orjson.loads(entry.answer)))
