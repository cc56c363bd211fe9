"""What the routes share: the till, and the money operations under way, which outlive the requests that began them."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from starlette.requests import Request

from cleartill.api.admission import Admission
from cleartill.api.errors import ShuttingDown
from cleartill.api.kept import Kept
from cleartill.domain.idempotency import Answer
from cleartill.ports import Quota, Till, Visit

LAST_WORDS_S = 3.0
"""How long a cancelled operation may take to write down that it is in doubt."""


@dataclass(slots=True)
class Desk:
    """The end comes in two steps, taken by whoever gets the signal to stop. `leaving`: unready, and every answer ends
    its connection, but all is served: balancers need a moment to notice. `draining`: no money operation is begun."""

    till: Till
    environment: str
    version: str
    leaving: bool = False
    draining: bool = False
    leave_by: float | None = None
    """Monotonic seconds until which what is under way may take; set with `leaving`."""
    under_way: set[asyncio.Task[Answer]] = field(default_factory=set)
    checked: tuple[float, asyncio.Future[dict[str, dict[str, Any]]]] | None = None
    """The last health check, and until when (monotonic seconds) it is good enough."""
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """How many requests a minute, by rule (`limits`)."""
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    """Networks whose word about a caller's address is taken (`limits`)."""
    trace_url: str | None = None
    """Where people look at a trace: an address with `{trace_id}` in it."""
    kept: Kept = field(default_factory=Kept)
    """Answers of a moment ago."""
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.till.asking, self.till.watch)

    async def carry_out(self, visit: Visit, operation: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a money operation to its end: the caller who hangs up stops waiting, the operation goes on (TRUST 3)."""
        if self.draining:
            operation.close()
            raise ShuttingDown("This process is shutting down; nothing was sent")
        task = asyncio.create_task(operation)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        visit.work.append(task)
        return await asyncio.shield(task)

    def leave(self, within_s: float) -> None:
        """From now on unready; `drain` is to be over in `within_s`, however long the server takes before it."""
        self.leaving, self.leave_by = True, self.till.clock.monotonic() + within_s

    async def drain(self, within_s: float) -> None:
        """Wait for what is under way; cancel what is not done in time, which then notes its doubt for the resolver."""
        self.leaving = self.draining = True
        if self.leave_by is not None:
            within_s = max(0.0, self.leave_by - self.till.clock.monotonic())
        if self.under_way:
            await asyncio.wait(self.under_way, timeout=within_s)
        late = set(self.under_way)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=LAST_WORDS_S)


def desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found
