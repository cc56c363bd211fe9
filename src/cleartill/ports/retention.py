"""Letting go of what is old."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cleartill.domain.retention import Perishable


@dataclass(frozen=True, slots=True)
class Purged:
    """One batch: how many rows are `gone`, and where to go on; `beyond` None: there is nothing left that is old."""

    gone: int
    beyond: datetime | None


class Retention(Protocol):
    async def purge(self, what: Perishable, kept: timedelta, beyond: datetime | None, limit: int) -> Purged:
        """Delete what is older than `kept`, on the database's clock, oldest first. Of `limit` rows that are looked at,
        from `beyond` on (None: from the oldest), those go that may; what somebody else holds is passed over, so any
        number may do this at once. Waits for nobody, and nobody waits for it longer than a batch takes.
        Raises BooksUnavailable."""
        ...


class NoRetention:
    """Everything is kept."""

    async def purge(self, what: Perishable, kept: timedelta, beyond: datetime | None, limit: int) -> Purged:
        return Purged(0, None)
