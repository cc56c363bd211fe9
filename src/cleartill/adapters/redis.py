"""Redis (or Valkey) for what processes share and may lose: which breakers are open.

Away means: every process on its own. So nothing here raises, waits longer than 50 ms a step, or tries again.
"""

from collections.abc import Awaitable
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cleartill.ports import NoWatch, Watch

TIMEOUT_S = 0.05
T = TypeVar("T")


class RedisBreakers:
    """Implements `ports.Breakers`: one key per open breaker, which dies when the breaker may be tried again."""

    def __init__(self, url: str, watch: Watch | None = None) -> None:
        self._watch = watch or NoWatch()
        self._redis = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )

    async def open_until(self, name: str) -> float | None:
        left_ms = await self._try(self._redis.pttl(_key(name)))
        return left_ms / 1000 if left_ms is not None and left_ms > 0 else None

    async def opened(self, name: str, for_s: float) -> None:
        await self._try(self._redis.set(_key(name), b"open", px=max(1, round(for_s * 1000))))

    async def closed(self, name: str) -> None:
        await self._try(self._redis.delete(_key(name)))

    async def ping(self) -> None:
        """Raises RedisError or OSError if it cannot be reached."""
        await self._redis.ping()

    async def close(self) -> None:
        await self._redis.aclose()

    async def _try(self, command: Awaitable[T]) -> T | None:
        try:
            return await command
        except (RedisError, OSError):
            self._watch.count("breaker.degraded")
            return None


def _key(name: str) -> str:
    return f"cleartill:breaker:{name}"
