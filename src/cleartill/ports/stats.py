"""A merchant's payments and refunds, counted."""

from datetime import datetime
from typing import Protocol

from cleartill.domain.stats import Step, Tally

COUNT_MAX = 1_000_000
"""Payments (and refunds) counted for one question at most: a second's work with all of it in memory."""


class TooMany(Exception):
    """There are more than COUNT_MAX in that time. Nothing was counted: a part would be a wrong number."""


class Stats(Protocol):
    async def tallies(self, merchant_id: str, since: datetime, until: datetime, step: Step) -> list[Tally]:
        """Every payment and refund made from `since` until before `until`, as of one moment, by point, state, currency
        and decline. Raises TooMany, BooksUnavailable."""
        ...


class NoStats:
    """Counts nothing."""

    async def tallies(self, merchant_id: str, since: datetime, until: datetime, step: Step) -> list[Tally]:
        return []
