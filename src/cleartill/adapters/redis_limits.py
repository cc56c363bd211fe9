"""Rate limits in Redis (or Valkey), shared by all processes: moving windows, by the `limits` package.

Decisions. Whoever asks while a question is on its way goes with the next one: all of them in one pipeline, those of one
caller as one entry with a count. That is exact (nobody is let in on credit) and costs the less for each request the
more of them there are: 185 µs of CPU for one alone, 30 with 8 in flight, 7 with 64. Counting and looking are limits'
own two scripts, called in one round trip: a pipeline of redis-py's script objects would ask before each whether Redis
still knows them.

Redis away, or silent for 50 ms: those who wait are counted in this process, and so is everybody until a ping is
answered. What was counted there is unknown here, and the other way round: at each such change a caller may get as much
again, in each process.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from limits.aio.storage import MemoryStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from cleartill.adapters.redis import TIMEOUT_S
from cleartill.ports import NoWatch, Quota, Standing, Watch
from cleartill.ports.limiter import WINDOW_S

AT_ONCE = 512
"""Requests that go to Redis in one question."""
TRIES = 3
"""For the last free places, when another process takes some of them in between."""
PING_EVERY_S = 0.5
PREFIX = "cleartill:limit"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asker:
    quota: Quota
    whose: str
    answer: asyncio.Future[Standing]


_Window = tuple[Quota, str]
"""One caller's requests of the last minute: under which quota, and whose."""
_Look = tuple[bool, int, float]
"""Whether the entries were made, how many there are now, and when the oldest was made (Unix time)."""
_Enter = Callable[[list[tuple[_Window, int]]], Awaitable[list[_Look]]]
"""Makes entries in windows, all of a window's or none, and looks at them."""


class RedisLimiter:
    """Implements `ports.Limiter`."""

    def __init__(self, url: str, watch: Watch | None = None) -> None:
        self._watch = watch or NoWatch()
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._scripts = [
            self._redis.register_script(script)
            for script in (RedispyBridge.SCRIPT_ACQUIRE_MOVING_WINDOW, RedispyBridge.SCRIPT_MOVING_WINDOW)
        ]
        self._memory = MemoryStorage()
        self._waiting: deque[_Asker] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._away: asyncio.Task[None] | None = None
        """Pings Redis while it is away."""

    async def take(self, quota: Quota, whose: str) -> Standing:
        answer: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asker(quota, whose, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all())
        return await answer

    async def close(self) -> None:
        for task in (self._asking, self._away):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._redis.aclose()

    # ── all who wait ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask_for_all(self) -> None:
        try:
            while self._waiting:
                askers: dict[_Window, list[_Asker]] = defaultdict(list)
                for _ in range(min(AT_ONCE, len(self._waiting))):
                    asker = self._waiting.popleft()
                    if not asker.answer.done():  # who has hung up is not counted
                        askers[asker.quota, asker.whose].append(asker)
                if askers:
                    await self._ask(askers)
        finally:
            self._asking = None

    async def _ask(self, askers: dict[_Window, list[_Asker]]) -> None:
        if self._away is None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await _answer(askers, self._enter)
                return
            except Exception as error:  # whatever it is, nobody may be left waiting
                log.warning("limits are kept by this process alone: %s", type(error).__name__)
                self._away = asyncio.create_task(self._until_it_answers())
        unanswered = {
            window: left
            for window, those in askers.items()
            if (left := [asker for asker in those if not asker.answer.done()])
        }
        self._watch.count("ratelimit.degraded", sum(map(len, unanswered.values())))
        await _answer(unanswered, self._enter_here)

    async def _until_it_answers(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY_S)
            with suppress(RedisError, OSError):
                async with asyncio.timeout(TIMEOUT_S):
                    await self._redis.ping()
                self._away = None
                return

    # ── in Redis, and here ────────────────────────────────────────────────────────────────────────────────────────

    async def _enter(self, entries: list[tuple[_Window, int]]) -> list[_Look]:
        try:
            said = await self._run(entries)
        except NoScriptError:  # a new Redis, or one that was told to forget
            for script in self._scripts:
                await self._redis.script_load(script.script)
            said = await self._run(entries)
        now = time.time()
        return [
            (bool(made), int(window[1]) if window else 0, float(window[0]) if window else now)
            for made, window in zip(said[::2], said[1::2], strict=True)
        ]

    async def _run(self, entries: list[tuple[_Window, int]]) -> list[Any]:
        acquire, look = self._scripts
        now = time.time()
        pipeline = self._redis.pipeline(transaction=False)
        for window, count in entries:
            key, most = _key(window), window[0].most
            pipeline.execute_command("EVALSHA", acquire.sha, 1, key, now, most, WINDOW_S, count)
            pipeline.execute_command("EVALSHA", look.sha, 1, key, now - WINDOW_S, most)
        said: list[Any] = await pipeline.execute()
        return said

    async def _enter_here(self, entries: list[tuple[_Window, int]]) -> list[_Look]:
        looks = []
        for window, count in entries:
            key, most = _key(window), window[0].most
            made = await self._memory.acquire_entry(key, most, WINDOW_S, count)
            oldest, held = await self._memory.get_moving_window(key, most, WINDOW_S)
            looks.append((made, held, oldest))
        return looks


def _key(window: _Window) -> str:
    """Another number is another window: the entries of the old one would not be as many as its scripts expect."""
    quota, whose = window
    return f"{PREFIX}:{quota.name}:{quota.most}:{whose}"


async def _answer(askers: dict[_Window, list[_Asker]], enter: _Enter) -> None:
    """Enter all of them; where there is no room for all, as many as there is room for, first come first served."""
    wanted = [(window, len(those)) for window, those in askers.items()]
    for tried in range(1, TRIES + 1):
        looks = await enter(wanted)
        again = []
        for (window, count), (made, held, oldest) in zip(wanted, looks, strict=True):
            those = [asker for asker in askers[window] if not asker.answer.done()]
            quota = window[0]
            room = quota.most - held
            if made:
                _let_in(those[:count], quota, held, oldest)
                those = those[count:]
            elif room > 0 and tried < TRIES:
                again.append((window, min(count, room)))
                continue
            _turn_away(those, quota, held, oldest)
        if not again:
            return
        wanted = again


def _let_in(askers: list[_Asker], quota: Quota, held: int, oldest: float) -> None:
    reset_s = _reset_s(oldest)
    for behind, asker in enumerate(reversed(askers)):
        if not asker.answer.done():
            asker.answer.set_result(Standing(quota, True, max(0, quota.most - held + behind), reset_s))


def _turn_away(askers: list[_Asker], quota: Quota, held: int, oldest: float) -> None:
    reset_s = _reset_s(oldest)
    for asker in askers:
        if not asker.answer.done():
            asker.answer.set_result(Standing(quota, False, 0, reset_s))


def _reset_s(oldest: float) -> float:
    return max(0.0, oldest + WINDOW_S - time.time())
