"""Purge: let go of what is final and old, a little at a time."""

import asyncio
from datetime import datetime

from cleartill.domain.errors import CleartillError
from cleartill.domain.retention import Perishable
from cleartill.ports import Purged, Till

BATCH = 500
"""Rows looked at in one transaction: some milliseconds."""
BATCHES = 20
"""In one round, which a worker finishes before it stops."""
PAUSE_S = 0.02
"""After each batch, and never less than the batch took: payments have the database to themselves half of the time, and
more of it when it is slow."""
PAUSE_MAX_S = 2.0


class Sweep:
    """How far one process has come: `beyond`, by kind, where its next batch begins (None: with the oldest). Without it
    every batch would walk again past all that lies there in doubt, or was deleted a moment ago."""

    def __init__(self) -> None:
        self.beyond: dict[Perishable, datetime | None] = dict.fromkeys(Perishable)

    def went(self, what: Perishable, purged: Purged) -> None:
        if purged.beyond is None:
            del self.beyond[what]
        else:
            self.beyond[what] = purged.beyond


async def purge(till: Till, sweep: Sweep) -> int:
    """One round of a sweep over everything perishable; how many kinds it has not come to the end of. At the end of all
    of them it is 0, and the next round begins anew.

    Raises what kept a kind from being purged, once the others had their turn; that kind is tried again in the next
    sweep.
    """
    failed: CleartillError | None = None
    with till.flights.background("books.purge"):
        for _ in range(BATCHES):
            if not sweep.beyond:
                break
            what = next(iter(sweep.beyond))
            try:
                await _batch(till, sweep, what)
            except CleartillError as error:
                failed = error
                del sweep.beyond[what]
        if failed is not None:
            raise failed
    left = len(sweep.beyond)
    if not left:
        sweep.beyond = dict.fromkeys(Perishable)
    return left


async def _batch(till: Till, sweep: Sweep, what: Perishable) -> None:
    began = till.clock.monotonic()
    purged = await till.retention.purge(what, till.kept[what], sweep.beyond[what], BATCH)
    sweep.went(what, purged)
    if purged.gone:
        till.watch.count("retention.purged", purged.gone, what=str(what))
    if purged.beyond is not None:
        await asyncio.sleep(min(PAUSE_MAX_S, max(PAUSE_S, till.clock.monotonic() - began)))
