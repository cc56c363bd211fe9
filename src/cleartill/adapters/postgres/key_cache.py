"""API keys as every request asks for them: remembered for a moment, and only while we would hear of a change.

`listen` says when: from the moment it listens, until its connection is lost. A connection that died without a word is
found dead after 11 seconds, so what is remembered is never older than 5. While nobody listens every request asks the
database: that is slower, and a revoked key is still refused at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from cleartill.domain.merchant import ApiKey

REMEMBERED_S = 5.0
REMEMBERED_MAX = 10_000


class KeyCache:
    """In front of `ask`, which reads the key that begins with a prefix from the primary database."""

    def __init__(self, ask: Callable[[str], Awaitable[ApiKey | None]]) -> None:
        self._ask = ask
        self._keys: dict[str, tuple[float, asyncio.Future[ApiKey | None]]] = {}
        self._hears = False

    async def get(self, prefix: str) -> ApiKey | None:
        """When a key's moment is over, the first to ask asks for all."""
        if not self._hears:
            return await self._ask(prefix)
        now = time.monotonic()
        until, asked = self._keys.get(prefix, (0.0, None))
        if asked is None or until <= now:
            if len(self._keys) >= REMEMBERED_MAX:
                self._keys.clear()
            asked = asyncio.ensure_future(self._ask(prefix))
            asked.add_done_callback(lambda done: self._forget_failure(prefix, done))
            self._keys[prefix] = (now + REMEMBERED_S, asked)
        return asked.result() if asked.done() else await asyncio.shield(asked)

    def forget(self, prefix: str) -> None:
        """It has changed. A question under way may be too old to know: its answer is not remembered either."""
        self._keys.pop(prefix, None)

    def hears(self, hears: bool) -> None:
        """Whether we would be told of a change. What changed before is not known: nothing remembered outlives this."""
        self._keys.clear()
        self._hears = hears

    def _forget_failure(self, prefix: str, done: "asyncio.Future[ApiKey | None]") -> None:
        if (done.cancelled() or done.exception()) and self._keys.get(prefix, (0.0, None))[1] is done:
            del self._keys[prefix]
