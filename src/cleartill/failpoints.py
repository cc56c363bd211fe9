"""Failpoints: a process that dies, stops or refuses at the worst moment, on purpose. For the chaos harness alone.

`CHAOS_FAILPOINTS` names them: `before_send:kill@57,after_bank:stop@12` kills the process at its 57th passage between
intent and send, and stops it (SIGSTOP) the 12th time a provider has said yes; `before_intent:ahead_90@5` and
`:behind_90@5` set its wall clock 90 s ahead or back from there on (the monotonic one goes on). Empty, as it is unless
somebody sets it, nothing is wrapped at all; production refuses it. They stand around ports, as telemetry does, so that
no line of the business knows of them.

    before_intent   a unit that opens an attempt is about to be written
    before_send     the intent is on disk, the provider is about to be asked
    after_bank      the provider has answered, nobody has written it down
    before_produce  events were read from the outbox, Kafka is about to get them
    after_produce   Kafka has them, the outbox does not know it
"""

import os
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from cleartill.domain.outcome import NotSent
from cleartill.ports import Books, Clock, OutboxRow, Provider, Providers, Published, Publisher, Till, Unit, Verdict

POINTS = ("before_intent", "before_send", "after_bank", "before_produce", "after_produce")
ACTIONS = re.compile(r"kill|stop|unsent|(ahead|behind)_[1-9]\d{0,5}")
"""`unsent`, of before_send only: the provider is not asked, as by a breaker that has opened since the permit."""
ASKING = frozenset({"authorize", "capture", "void", "refund", "transfer"})
_WRITTEN = re.compile(r"(?P<point>\w+):(?P<action>\w+)@(?P<passage>[1-9]\d{0,8})")
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class Failpoint:
    """What happens at which passage of a point, counted from 1."""

    point: str
    action: str
    passage: int


def parse(written: str) -> tuple[Failpoint, ...]:
    """The failpoints of a setting. Raises ValueError."""
    found = []
    for one in filter(None, written.replace(" ", "").split(",")):
        match = _WRITTEN.fullmatch(one)
        if match is None or match["point"] not in POINTS or not ACTIONS.fullmatch(match["action"]):
            raise ValueError("CHAOS_FAILPOINTS is point:action@passage, comma-separated")
        if match["action"] == "unsent" and match["point"] != "before_send":
            raise ValueError("CHAOS_FAILPOINTS: unsent is an action of before_send")
        found.append(Failpoint(match["point"], match["action"], int(match["passage"])))
    return tuple(found)


class Trip:
    """Counts passages, and does what was asked for. `strike` sends the signal to this process."""

    def __init__(self, failpoints: Sequence[Failpoint], strike: Callable[[signal.Signals], None] | None = None) -> None:
        self._failpoints = {(one.point, one.passage): one.action for one in failpoints}
        self._passages: Counter[str] = Counter()
        self._strike = strike or (lambda number: os.kill(os.getpid(), number))
        self.ahead = timedelta()
        """Of the wall clock."""

    def __call__(self, point: str) -> bool:
        """Whether to go on as if the provider could not be asked."""
        self._passages[point] += 1
        action = self._failpoints.get((point, self._passages[point]))
        if action in _SIGNALS:
            self._strike(_SIGNALS[action])
        elif action and "_" in action:
            where, _, seconds = action.partition("_")
            self.ahead = timedelta(seconds=int(seconds)) * (1 if where == "ahead" else -1)
        return action == "unsent"


def armed(till: Till, written: str, trip: Trip | None = None) -> Till:
    """The till with the failpoints that are named; the same till if none is."""
    failpoints = parse(written)
    if not failpoints:
        return till
    trip = trip or Trip(failpoints)
    return replace(
        till,
        books=cast(Books, _Books(till.books, trip)),
        providers=_Providers(till.providers, trip),
        publisher=_Publisher(till.publisher, trip),
        clock=_Clock(till.clock, trip),
    )


class _Clock:
    def __init__(self, clock: Clock, trip: Trip) -> None:
        self._clock, self._trip = clock, trip

    def now(self) -> datetime:
        return self._clock.now() + self._trip.ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()


class _Books:
    def __init__(self, books: Books, trip: Trip) -> None:
        self._books, self._trip = books, trip

    def __getattr__(self, name: str) -> Any:
        return getattr(self._books, name)

    async def record(self, unit: Unit) -> Verdict:
        if unit.is_intent:
            self._trip("before_intent")
        return await self._books.record(unit)


class _Providers:
    def __init__(self, providers: Providers, trip: Trip) -> None:
        self._providers, self._trip = providers, trip

    def permit(self, name: str, deadline: float) -> AbstractAsyncContextManager[Provider]:
        return self._permitted(name, deadline)

    @asynccontextmanager
    async def _permitted(self, name: str, deadline: float) -> AsyncIterator[Provider]:
        async with self._providers.permit(name, deadline) as provider:
            yield cast(Provider, _Provider(provider, self._trip))


class _Provider:
    def __init__(self, provider: Provider, trip: Trip) -> None:
        self._provider, self._trip = provider, trip

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        return self._asking(found) if name in ASKING else found

    def _asking(self, ask: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def asked(what: Any) -> Any:
            if self._trip("before_send"):
                return NotSent("breaker_open")
            outcome = await ask(what)
            self._trip("after_bank")
            return outcome

        return asked


class _Publisher:
    def __init__(self, publisher: Publisher, trip: Trip) -> None:
        self._publisher, self._trip = publisher, trip

    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        self._trip("before_produce")
        reports = await self._publisher.publish(rows)
        if reports:
            self._trip("after_produce")
        return reports

    async def ping(self) -> None:
        await self._publisher.ping()
