"""The audit chain as its sealer and its auditor see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cleartill.domain.audit_chain import AuditRow, Head, SealedRow, genesis
from cleartill.ports.backlog import Depth


@dataclass(frozen=True, slots=True)
class SealLease:
    """The right to seal, one process at a time, behind this head. A newer `epoch` makes an older one powerless; time is
    the database's."""

    owner: str
    epoch: int
    head: Head


@dataclass(frozen=True, slots=True)
class Chain:
    """How far a chain goes, and since when it is there."""

    head: Head
    began_at: datetime


class AuditChain(Protocol):
    """Rows of the audit log in the one line that their seals make. Raises BooksUnavailable."""

    async def lease(self, owner: str) -> SealLease | None:
        """Take or renew the right to seal, for half a minute; None: another process has it."""
        ...

    async def unsealed(self, limit: int) -> list[AuditRow]:
        """Committed rows without a seal, about the oldest first, those of one subject in order. A row that commits
        later than younger ones comes when it is there."""
        ...

    async def seal(self, lease: SealLease, rows: Sequence[SealedRow]) -> bool:
        """Write the seals of rows that stand behind the lease's head, and the new head, all of it or nothing. False:
        nothing was written, for the lease was lost or the chain has gone on."""
        ...

    async def chain(self) -> Chain: ...

    async def sealed(self, after: int, upto: int) -> list[SealedRow]:
        """Rows numbered above `after` and not above `upto`, by number: the next of them and what lies within a page's
        length behind it; empty: there are none."""
        ...

    async def strays(self) -> list[int]:
        """Numbers (a few) that rows bear although the sealer has not come to them, or could not give them; 0 for a row
        with half a seal."""
        ...

    async def anchor_due(self, every_s: float) -> Head | None:
        """The head, if it is to be told elsewhere now: it has moved since it last was, and nobody tried within the last
        `every_s` seconds. Whoever is given it has that time to himself."""
        ...

    async def anchored(self, head: Head) -> None:
        """It was told elsewhere."""
        ...

    async def depths(self) -> Sequence[Depth]:
        """How many rows have no seal yet, how long the oldest of them has waited, and how far the chain goes."""
        ...


class NoAuditChain:
    """There is no chain, and nothing to seal."""

    async def lease(self, owner: str) -> SealLease | None:
        return None

    async def unsealed(self, limit: int) -> list[AuditRow]:
        return []

    async def seal(self, lease: SealLease, rows: Sequence[SealedRow]) -> bool:
        return False

    async def chain(self) -> Chain:
        return Chain(Head("", 0, genesis("")), datetime.min.replace(tzinfo=UTC))

    async def sealed(self, after: int, upto: int) -> list[SealedRow]:
        return []

    async def strays(self) -> list[int]:
        return []

    async def anchor_due(self, every_s: float) -> Head | None:
        return None

    async def anchored(self, head: Head) -> None: ...

    async def depths(self) -> Sequence[Depth]:
        return []
