"""The processes' minutes: written by each for itself, read for pictures and for operators."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cleartill.domain.minute import Minute

MINUTES_MAX = 5_000
"""Rows read at once."""


class Minutes(Protocol):
    """Raises BooksUnavailable."""

    async def write(self, minutes: Sequence[Minute]) -> None:
        """Keep them: a row that is there is replaced, unless by an earlier revision of itself. So writing again what
        may or may not have been written counts nothing twice."""
        ...

    async def since(self, at: datetime, latencies_from: datetime) -> list[Minute]:
        """All minutes that begin at or after `at`, newest first, MINUTES_MAX at most; those before `latencies_from`
        come without latencies."""
        ...

    async def forget(self, older_than_s: float, limit: int) -> int:
        """Delete what was written longer ago; how many went. Rows that another process is deleting are left to it."""
        ...


class NoMinutes:
    """Keeps nothing."""

    async def write(self, minutes: Sequence[Minute]) -> None: ...

    async def since(self, at: datetime, latencies_from: datetime) -> list[Minute]:
        return []

    async def forget(self, older_than_s: float, limit: int) -> int:
        return 0
