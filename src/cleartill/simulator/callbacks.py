"""Reports of what ended after its request was answered: signed, sent until they arrive, and again after a restart."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from cleartill.domain import signature
from cleartill.simulator.acquirer import Acquirer, event_id
from cleartill.simulator.book import BookError
from cleartill.simulator.orders import Kind

log = logging.getLogger(__name__)

GAPS_S = (1, 2, 4, 8, 15, 30, 30, 30, 30, 30, 30, 30, 30)
"""Seconds between tries: about five minutes in all. What nobody took by then waits for the bank's next start."""
AGAIN_WITHIN = timedelta(days=1)
"""What ended longer ago is not reported by a later life of the bank."""
AT_ONCE = 16

Post = Callable[[str, bytes], Awaitable[None]]
"""Sends a JSON body to a URL, raises if it did not arrive. Handed in: see `post`."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the bank reports how a transfer or a challenge ended, and the secret it signs with."""

    post: Post
    url: str
    secret: bytes = field(repr=False)

    def body(self, settled: dict[str, Any]) -> bytes:
        """The report, signed now: `occurred_at` is the time of the signature, so that a late try is no stale one.
        `event_id` is the same in every try."""
        report = {
            "transaction_id": settled["reference"],
            "bank_reference": settled["operation_id"],
            "status": "failed" if (error := _error(settled)) else "success",
            "error_message": error,
            "event_id": event_id(settled),
            "occurred_at": datetime.now(UTC).isoformat(),
            "amount_minor": settled["amount_minor"],
            "currency": settled["currency"],
        }
        return orjson.dumps(report | {"signature": signature.sign(report, self.secret)}, option=orjson.OPT_SORT_KEYS)


def _error(settled: dict[str, Any]) -> str | None:
    if settled["status"] in ("succeeded", "approved"):
        return None
    if settled["kind"] == Kind.TRANSFER:
        return "the bank could not make the transfer"
    return "the payer refused"


class Callbacks:
    """Sends what the book says is unreported, each in its own task, at least once; without a callback, nothing."""

    def __init__(self, acquirer: Acquirer, callback: Callback | None, gaps_s: Sequence[float] = GAPS_S) -> None:
        self._acquirer = acquirer
        self._callback = callback
        self._gaps_s = gaps_s
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Take up what an earlier life of the bank could not report."""
        since = datetime.now(UTC) - AGAIN_WITHIN
        for event, entry in tuple(self._acquirer.unreported.items()):
            if entry.created_at >= since:
                self.report(event)

    def report(self, event: str) -> None:
        """Begin to report an end; reported before, or asked twice: it happens once."""
        if self._callback is not None and event in self._acquirer.unreported and event not in self._tasks:
            self._tasks[event] = asyncio.create_task(self._deliver(self._callback, event), name=f"callback {event}")

    async def arrived(self, event: str, within_s: float) -> None:
        """Wait until the report has arrived, for a while."""
        if task := self._tasks.get(event):
            await asyncio.wait((task,), timeout=within_s)

    async def stop(self) -> None:
        """Leave what has not arrived to the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _deliver(self, callback: Callback, event: str) -> None:
        """Try until it arrives, or patience ends; then this life of the bank does not try again."""
        settled = orjson.loads(self._acquirer.unreported[event].answer)
        for gap_s in (*self._gaps_s, None):
            if await self._arrives(callback, settled):
                try:
                    self._acquirer.reported(event)
                except BookError:
                    log.warning("callback %s will be sent again: the book cannot be written", event)
                self._tasks.pop(event, None)
                return
            if gap_s is not None:
                await asyncio.sleep(gap_s)
        log.warning("callback %s is given up until the next start", event)

    async def _arrives(self, callback: Callback, settled: dict[str, Any]) -> bool:
        try:
            async with self._places:
                await callback.post(callback.url, callback.body(settled))
        except Exception as error:  # whatever the caller's network does, the bank's book stands
            log.warning("callback for %s did not arrive: %s", settled["reference"], type(error).__name__)
            return False
        return True
