"""Slow money: a transfer is accepted at once, settled seconds later, and reported by a signed callback."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from cleartill.simulator.acquirer import Acquirer, Entry
from cleartill.simulator.conduct import Conduct

log = logging.getLogger(__name__)

Post = Callable[[str, bytes], Awaitable[None]]
"""Sends a JSON body to a URL, raises if it did not arrive. Handed in: the simulator has no HTTP client."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the bank reports the end of a transfer, and the secret it signs with."""

    post: Post
    url: str
    secret: bytes = field(repr=False)

    def body(self, settled: dict[str, Any]) -> bytes:
        """The report. `signature`: HMAC-SHA256 in hex over its canonical JSON (sorted keys, no blanks)."""
        succeeded = settled["status"] == "succeeded"
        report = {
            "transaction_id": settled["reference"],
            "bank_reference": settled["operation_id"],
            "status": "success" if succeeded else "failed",
            "error_message": None if succeeded else "the bank could not make the transfer",
            "event_id": f"{settled['operation_id']}:{settled['status']}",
            "occurred_at": datetime.now(UTC).isoformat(),
            "amount_minor": settled["amount_minor"],
            "currency": settled["currency"],
        }
        canonical = orjson.dumps(report, option=orjson.OPT_SORT_KEYS)
        signature = hmac.new(self.secret, canonical, hashlib.sha256).hexdigest()
        return orjson.dumps(report | {"signature": signature}, option=orjson.OPT_SORT_KEYS)


class Transfers:
    """Settles pending transfers in the background, those of an earlier life of the bank too."""

    def __init__(self, acquirer: Acquirer, conduct: Conduct, callback: Callback | None = None) -> None:
        self._acquirer = acquirer
        self._conduct = conduct
        self._callback = callback
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Take up what was pending in the book."""
        for reference in tuple(self._acquirer.pending_transfers):
            self.settle_later(reference)

    def settle_later(self, reference: str) -> None:
        """Settle one pending transfer after its delay; asked twice, it happens once."""
        if reference in self._acquirer.pending_transfers and reference not in self._running:
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
        entry = await self._acquirer.settle_transfer(reference, succeeds)
        if self._callback is not None:
            await self._report(self._callback, entry)

    async def _report(self, callback: Callback, entry: Entry) -> None:
        try:
            await callback.post(callback.url, callback.body(orjson.loads(entry.answer)))
        except Exception as error:  # whatever the caller's network does, the bank's book stands
            log.warning("callback for %s did not arrive: %s", entry.reference, type(error).__name__)
