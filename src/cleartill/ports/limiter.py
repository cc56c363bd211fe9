"""How often somebody may ask."""

from dataclasses import dataclass
from typing import Protocol

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Quota:
    """`most` requests within any 60 seconds, counted for each caller by itself; 0: as many as there are."""

    name: str
    most: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands right after asking. `left`: how many more fit now; `reset_s`: seconds until the oldest
    request that counts is forgotten, and one more fits."""

    quota: Quota
    allowed: bool
    left: int
    reset_s: float


class Limiter(Protocol):
    async def take(self, quota: Quota, whose: str) -> Standing:
        """Count one request of `whose`, unless there have been too many: then it is not allowed and does not count.
        Never raises, and keeps nobody waiting longer than 50 ms."""
        ...


class NoLimiter:
    """Everybody may, always."""

    async def take(self, quota: Quota, whose: str) -> Standing:
        return Standing(quota, True, quota.most, 0.0)
