"""Background work: one bounded loop, and the table of what runs in it. Any number of processes may run it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import Unavailable
from cleartill.ports import Till
from cleartill.usecases.anchor_audit import EVERY_S, anchor_audit
from cleartill.usecases.deliver_webhook import UnderWay, deliver_webhook
from cleartill.usecases.execute_transfer import execute_transfer
from cleartill.usecases.expire import expire
from cleartill.usecases.publish_outbox import publish_outbox
from cleartill.usecases.purge import Sweep, purge
from cleartill.usecases.reconcile import reconcile
from cleartill.usecases.resolve import resolve
from cleartill.usecases.seal_audit import BATCH, seal_audit

log = logging.getLogger(__name__)

FAILURE_CAP_S = 10.0
FAN_OUT = 500
"""Events made into deliveries in one transaction."""
ACCOUNTS = 64
"""Whose entries are added to their balances in one round."""
MINUTES_KEPT_S, MINUTES_AT_ONCE = 14 * 86_400, 500
"""How long the processes' minutes are kept, and how many are deleted in one round."""


@dataclass(frozen=True, slots=True)
class Worker:
    """`round` does what is due and says how much that was; less than `full` means a pause of `interval_s`."""

    name: str
    round: Callable[[Till, str], Awaitable[int]]
    interval_s: float
    full: int = 1


async def _depths(till: Till, _owner: str) -> int:
    for waits in (till.backlog, till.webhooks, till.transfers, till.audits, till.chain):
        for depth in await waits.depths():
            till.watch.gauge(depth.name, depth.value, **depth.tags)
    return 0


WORKERS = (
    Worker("publish_outbox", publish_outbox, 0.2),
    Worker("resolve", lambda till, _owner: resolve(till), 1.0),
    Worker("expire", lambda till, _owner: expire(till), 15.0),
    Worker("fan_out", lambda till, _owner: till.webhooks.fan_out(FAN_OUT), 0.2),
    Worker("execute_transfer", execute_transfer, 0.5),
    Worker("roll_up", lambda till, _owner: till.ledger.roll_up(ACCOUNTS), 1.0),
    Worker("seal_audit", seal_audit, 1.0, full=BATCH),  # what a second brings, at once
    Worker("anchor_audit", anchor_audit, EVERY_S),
    Worker("depths", _depths, 10.0),
    Worker("forget_minutes", lambda till, _owner: till.minutes.forget(MINUTES_KEPT_S, MINUTES_AT_ONCE), 300.0),
)


async def work(till: Till, owner: str, stop: asyncio.Event, drain_s: float = 25.0) -> None:
    """Run every worker until told to stop. A round under way is finished first, for `drain_s` seconds; then it is
    dropped, as if the process had been killed: its leases end, and another worker goes on."""
    under_way, sweep = UnderWay(), Sweep()
    deliver = Worker("deliver_webhook", lambda till, owner: deliver_webhook(till, owner, under_way), 0.2)
    nightly = Worker("reconcile", lambda till, owner: _reconcile(till, owner, stop), 300.0)
    purging = Worker("purge", lambda till, _owner: purge(till, sweep), 60.0)
    rounds = asyncio.gather(*(_loop(worker, till, owner, stop) for worker in (*WORKERS, deliver, nightly, purging)))
    told = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {rounds, told}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    try:
        async with asyncio.timeout(drain_s):
            await rounds
            await under_way.finish(till)
    except TimeoutError:
        log.warning("what was under way did not end in %.0f s; another worker goes on with it", drain_s)


async def _reconcile(till: Till, owner: str, stop: asyncio.Event) -> int:
    """A night's run may take minutes, and is the only round that is not finished when told to stop: it has moved
    nothing, and another worker begins it anew. Nor is it tried again every few seconds while a bank is away."""
    running = asyncio.ensure_future(reconcile(till, owner, nightly=True))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    try:
        report = await running
    except asyncio.CancelledError:
        return 0
    except Unavailable as away:
        log.warning("no reconciliation: %s", away)
        return 0
    if report is not None and not report.clean:
        log.error("reconciliation %d found %d discrepancies, %d of them new", report.run, report.total, report.new)
    return 0


async def _loop(worker: Worker, till: Till, owner: str, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        done, began = 0, till.clock.monotonic()
        try:
            done = await worker.round(till, owner)
            failures = 0
            pause_s = 0.0 if done >= worker.full else worker.interval_s
        except Exception as error:  # a worker outlives whatever is away: it says so and tries again
            failures += 1
            pause_s = delay_s(failures, base_s=worker.interval_s, cap_s=FAILURE_CAP_S)
            log.warning("worker %s failed: %s, again in %.1f s", worker.name, type(error).__name__, pause_s)
        _tell(till, worker.name, done, failures, pause_s, till.clock.monotonic() - began)
        if pause_s:
            try:
                await asyncio.wait_for(stop.wait(), pause_s)
            except TimeoutError:
                continue


def _tell(till: Till, worker: str, done: int, failures: int, next_s: float, took_s: float) -> None:
    """What became of a round. How long it took is of interest unless it found nothing to do."""
    outcome = "failed" if failures else "done" if done else "idle"
    till.watch.count("worker.round", worker=worker, outcome=outcome)
    if done:
        till.watch.count("worker.done", done, worker=worker)
    if outcome != "idle":
        till.watch.observe("worker.latency", took_s * 1000, worker=worker)
    till.watch.observe("worker.failing", failures, worker=worker)
    till.watch.observe("worker.next_s", next_s, worker=worker)
