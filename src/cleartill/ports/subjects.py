"""Whose is it, and what is it about? For operators, who are handed an id and nothing else."""

from dataclasses import dataclass
from typing import Protocol

from cleartill.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class Subject:
    """`id`: whose timeline tells of it; a refund's is its payment's."""

    merchant_id: str
    id: str


class Subjects(Protocol):
    async def of(self, id: str) -> Subject:
        """Of a payment, refund, deposit or withdrawal of any merchant. Raises NotFound, BooksUnavailable."""
        ...


class NoSubjects:
    """Knows none."""

    async def of(self, id: str) -> Subject:
        raise NotFound
