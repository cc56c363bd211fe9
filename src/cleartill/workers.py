"""Background work: one bounded loop, and the table of what runs in it. Any number of processes may run it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cleartill.domain.backoff import delay_s
from cleartill.ports import Till
from cleartill.usecases.publish_outbox import publish_outbox
from cleartill.usecases.resolve import resolve

log = logging.getLogger(__name__)

FAILURE_CAP_S = 10.0


@dataclass(frozen=True, slots=True)
class Worker:
    """`round` does what is due and says how much that was; nothing due means a pause of `interval_s`."""

    name: str
    round: Callable[[Till, str], Awaitable[int]]
    interval_s: float


async def _depths(till: Till, _owner: str) -> int:
    for depth in await till.backlog.depths():
        till.watch.gauge(depth.name, depth.value, **depth.tags)
    return 0


WORKERS = (
    Worker("publish_outbox", publish_outbox, 0.2),
    Worker("resolve", lambda till, _owner: resolve(till), 1.0),
    Worker("depths", _depths, 10.0),
)


async def work(till: Till, owner: str, stop: asyncio.Event) -> None:
    """Run every worker until told to stop; a round under way is finished first."""
    await asyncio.gather(*(_loop(worker, till, owner, stop) for worker in WORKERS))


async def _loop(worker: Worker, till: Till, owner: str, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        try:
            done = await worker.round(till, owner)
            failures = 0
            pause_s = 0.0 if done else worker.interval_s
        except Exception as error:  # a worker outlives whatever is away: it says so and tries again
            failures += 1
            pause_s = delay_s(failures, base_s=worker.interval_s, cap_s=FAILURE_CAP_S)
            log.warning("worker %s failed: %s, again in %.1f s", worker.name, type(error).__name__, pause_s)
        if pause_s:
            try:
                await asyncio.wait_for(stop.wait(), pause_s)
            except TimeoutError:
                continue
