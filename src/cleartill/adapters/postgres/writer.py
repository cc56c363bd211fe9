"""The writer: one task, one connection, one queue; whatever waits is written together.

Outcomes go before intents, first in first out per key, and one unit per key in a batch (an UPDATE … FROM would silently
drop the second). The queue is bounded for intents; an intent older than its deadline is dropped unwritten, an outcome
is not. When PostgreSQL goes away in mid-commit the writer first makes sure that the old session is dead, then looks
whose marks are on disk, and only then writes the rest again.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg2

from cleartill.adapters.postgres import faults
from cleartill.adapters.postgres.batch import already_written, write_batch
from cleartill.adapters.postgres.comments import OfUnit, no_comment
from cleartill.adapters.postgres.link import Link
from cleartill.adapters.postgres.pace import Pace
from cleartill.adapters.postgres.plans import Plans
from cleartill.adapters.postgres.statements import PREPARE
from cleartill.adapters.postgres.waiting import Done, Waiting, tell
from cleartill.domain.errors import BooksUnavailable, CleartillError
from cleartill.domain.ids import new_id
from cleartill.ports import Unit, Verdict, Watch

BATCH_MAX = 128
WAITING_MAX = 2048
PATIENCE_S = 5.0
"""How long an outcome waits for a PostgreSQL that is away; then its caller hears 202 and the resolver finishes."""
SCAN_MAX = 4 * BATCH_MAX
TOLD_A_TURN = 16
_NO_PROGRESS_S = 0.002

log = logging.getLogger(__name__)


class Writer:
    """One per process. `connect` opens its connection."""

    def __init__(self, connect: Callable[[], Awaitable[Link]], watch: Watch, comment: OfUnit = no_comment) -> None:
        self._connect, self._watch, self._comment = connect, watch, comment
        self._outcomes: deque[Waiting] = deque()
        self._intents: deque[Waiting] = deque()
        self._verdicts: deque[tuple[Waiting, Verdict | Exception]] = deque()
        self._ready = asyncio.Event()
        self._closing = False
        self._link: Link | None = None
        self._backend: tuple[int, str] | None = None
        self._plans, self._pace = Plans(), Pace()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="books-writer")

    async def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then end."""
        self._closing = True
        self._ready.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, timeout_s)

    @property
    def waiting(self) -> int:
        """Units that wait to be written."""
        return len(self._outcomes) + len(self._intents)

    async def record(self, unit: Unit) -> Verdict:
        """Raises BooksUnavailable: an intent came too late or found the queue full, or PostgreSQL is away."""
        now = time.monotonic()
        waiting = Waiting(
            unit,
            asyncio.get_running_loop().create_future(),
            now + PATIENCE_S if unit.deadline is None else unit.deadline,
        )
        unit.stamps["queued_ns"] = time.time_ns()
        if self._closing or (unit.is_intent and len(self._intents) >= WAITING_MAX):
            raise BooksUnavailable("The books are busy; nothing was sent")
        (self._intents if unit.is_intent else self._outcomes).append(waiting)
        self._ready.set()
        return await waiting.future

    # ── the task ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        try:
            while (batch := await self._next_batch()) is not None:
                if not batch:
                    continue
                try:
                    done = await self._write(batch)
                except Exception as error:  # the task must outlive anything; its units learn of it
                    log.exception("a batch failed")
                    done = [(waiting, error) for waiting in batch]
                self._deliver(done)
                told = {waiting for waiting, _ in done}
                if left := [waiting for waiting in batch if waiting not in told]:
                    await self._requeue(left, progressed=bool(done))
        finally:
            self._hang_up()

    def _deliver(self, done: Done) -> None:
        """A few at each turn of the loop: told all at once, a hundred callers would go on in one turn, and whoever else
        is there, a health check or one who is to be refused, would wait for all of them."""
        if not self._verdicts:
            asyncio.get_running_loop().call_soon(self._tell_some)
        self._verdicts.extend(done)

    def _tell_some(self) -> None:
        tell([self._verdicts.popleft() for _ in range(min(TOLD_A_TURN, len(self._verdicts)))])
        if self._verdicts:
            asyncio.get_running_loop().call_soon(self._tell_some)

    async def _next_batch(self) -> list[Waiting] | None:
        """The units to write next; None when closed and empty."""
        while not (self._outcomes or self._intents):
            if self._closing:
                return None
            self._ready.clear()
            await self._ready.wait()
        if rest_s := self._pace.rest_s(self.waiting):
            await asyncio.sleep(rest_s)
        batch: list[Waiting] = []
        taken: set[tuple[str, ...]] = set()
        for queue in (self._outcomes, self._intents):
            self._take(queue, batch, taken)
        now = time.monotonic()
        fresh: list[Waiting] = []
        late: list[Waiting] = []
        for waiting in batch:
            (late if self._not_worth_writing(waiting, now) and not waiting.unsure else fresh).append(waiting)
        tell([(w, BooksUnavailable("The books are too busy; nothing was sent")) for w in late])
        return fresh

    @staticmethod
    def _not_worth_writing(waiting: Waiting, now: float) -> bool:
        """An intent that is too late, or that nobody waits for any more: nothing would be sent."""
        return waiting.unit.is_intent and (waiting.give_up < now or waiting.future.cancelled())

    @staticmethod
    def _take(queue: deque[Waiting], batch: list[Waiting], taken: set[tuple[str, ...]]) -> None:
        passed_over: list[Waiting] = []
        for _ in range(min(len(queue), SCAN_MAX)):
            if len(batch) >= BATCH_MAX:
                break
            waiting = queue.popleft()
            (passed_over if taken.intersection(waiting.keys) else batch).append(waiting)
            taken.update(waiting.keys)
        queue.extendleft(reversed(passed_over))

    async def _requeue(self, left: list[Waiting], *, progressed: bool) -> None:
        """Another writer held their rows: once more, in their order, until their patience ends."""
        now = time.monotonic()
        tired = [waiting for waiting in left if waiting.given_up(now)]
        tell([(waiting, BooksUnavailable("The payment is held by another writer")) for waiting in tired])
        for waiting in reversed(left):
            if not waiting.given_up(now):
                (self._intents if waiting.unit.is_intent else self._outcomes).appendleft(waiting)
        self._watch.count("books.requeued", len(left))
        if not progressed:
            await asyncio.sleep(_NO_PROGRESS_S)

    # ── writing, and what can go wrong ────────────────────────────────────────────────────────────────────────────

    async def _write(self, batch: list[Waiting]) -> Done:
        """Verdicts for the units that got one; the others must come again."""
        done: Done = []
        rest = batch
        try:
            if any(waiting.unsure for waiting in batch):
                done = await self._recall(batch)
                known = {waiting for waiting, _ in done}
                rest = [waiting for waiting in batch if waiting not in known]
            return done + (await self._once(rest) if rest else [])
        except Exception as error:  # not PostgreSQL's alone: a unit may hold what JSON cannot
            return done + await self._mend(rest, error)

    async def _once(self, batch: list[Waiting]) -> Done:
        batch_id, began = new_id("bat"), time.monotonic()
        link = await self._connected()
        link.comment = self._comment(batch[0].unit)
        if self._plans.outgrown(len(batch)):
            await link.run("DISCARD PLANS")
        verdicts = await write_batch(link, [waiting.unit for waiting in batch], batch_id)
        took_s = time.monotonic() - began
        self._pace.wrote(len(batch), took_s)
        self._watch.observe("books.commit", took_s * 1000)
        self._watch.observe("books.batch.size", len(batch))
        return [(waiting, verdicts[waiting.unit.id]) for waiting in batch if waiting.unit.id in verdicts]

    async def _mend(self, batch: list[Waiting], error: Exception) -> Done:
        """Never let one unit fail its neighbours, never guess about a commit."""
        kind = faults.kind_of(error)
        log.warning("a batch of %d met %s: %s", len(batch), kind, faults.describe(error))
        if kind in (faults.Kind.LOST, faults.Kind.UNSURE):
            self._hang_up()
            self._watch.count("books.lost", part="writer")
            for waiting in batch:
                waiting.unsure |= kind is faults.Kind.UNSURE
            return await self._wait_for_postgres(batch)
        await self._roll_back()
        if kind is faults.Kind.UNAVAILABLE:
            away = BooksUnavailable("The books cannot be written now; nothing was sent")
            return [(w, away) for w in batch if w.unit.is_intent] + await self._wait_for_postgres(
                [w for w in batch if not w.unit.is_intent]
            )
        if len(batch) == 1:
            if kind is faults.Kind.AGAIN:
                return self._give_up_late(batch)
            self._watch.count("invariant.breach", name="unit_rejected")
            return [(batch[0], CleartillError(f"The books refused a unit: {faults.describe(error)}"))]
        half = len(batch) // 2
        return await self._write(batch[:half]) + await self._write(batch[half:])

    async def _wait_for_postgres(self, batch: list[Waiting]) -> Done:
        await asyncio.sleep(0.05)
        return self._give_up_late(batch)

    @staticmethod
    def _give_up_late(batch: list[Waiting]) -> Done:
        now = time.monotonic()
        away = BooksUnavailable("The books cannot be reached now; nothing was sent")
        return [(waiting, away) for waiting in batch if waiting.given_up(now)]

    async def _recall(self, batch: list[Waiting]) -> Done:
        """After a lost acknowledgement: the old session must be dead before "absent" means anything."""
        written = await already_written(await self._connected(), [waiting.unit for waiting in batch])
        done: Done = [(waiting, Verdict.RECORDED) for waiting in batch if waiting.unit.id in written]
        now = time.monotonic()
        too_late = BooksUnavailable("The books were away for too long; nothing was sent")
        for waiting in batch:
            waiting.unsure = False
            if waiting.unit.id not in written and self._not_worth_writing(waiting, now):
                done.append((waiting, too_late))
        return done

    # ── the connection ────────────────────────────────────────────────────────────────────────────────────────────

    async def _connected(self) -> Link:
        if self._link is None or self._link.closed:
            link = await self._connect()
            try:
                if self._backend is not None:
                    await faults.make_sure_it_is_dead(link, *self._backend)
                await link.run("; ".join(PREPARE))
                self._backend = await faults.backend_of(link)
            except BaseException:
                link.close()
                raise
            self._link = link
        return self._link

    async def _roll_back(self) -> None:
        if self._link is not None:
            try:
                await self._link.run("ROLLBACK")
            except psycopg2.Error:
                self._hang_up()

    def _hang_up(self) -> None:
        """Throw the connection away; `_backend` stays, to be buried by the next one."""
        if self._link is not None:
            self._link.close()
            self._link = None
