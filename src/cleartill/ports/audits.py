"""The books as an auditor reads them: all of them, a page at a time, in the order of their keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from cleartill.domain.invariants import AccountSums, JournalSums, NumberedFacts, PaymentSums, TransferSums
from cleartill.domain.key_invariants import Claimed, StoredAnswer
from cleartill.domain.reconciliation import Discrepancy, Kind, Line, Operation
from cleartill.domain.report import Report
from cleartill.ports.backlog import Depth
from cleartill.ports.work import Origin

Place = tuple[str, ...]
"""Where a page ended, for the adapter to go on from; empty: before the first."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Run:
    """The right to reconcile, one process at a time. `began_at`: the database's clock, as all times here.
    `resume_from`: from when on the last run left something to be looked at again; None: there was none."""

    number: int
    owner: str
    began_at: datetime
    resume_from: datetime | None


@dataclass(frozen=True, slots=True)
class Looked(Generic[_T]):
    """What a page has for the auditor, of so many rows looked at. `end`: where to go on; None: that was the last."""

    found: list[_T]
    looked_at: int
    end: Place | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A line of a provider's book, and our own operation of that name, if there is one."""

    line: Line
    ours: Operation | None


@dataclass(frozen=True, slots=True)
class Own:
    """An operation of ours that deserves a look. `alone`: the provider's book has no line of it. `claimed`: it was
    approved, or taken on, under an idempotency key that it does not hold."""

    operation: Operation
    alone: bool
    claimed: Claimed | None


@dataclass(frozen=True, slots=True)
class Noted:
    """A discrepancy as it is remembered. `new`: it was not known, or thought to be gone. `reviewed`: its payment was
    marked for it."""

    id: str
    discrepancy: Discrepancy
    new: bool
    reviewed: bool


class Audits(Protocol):
    """Reads for reconciliation, and its memory. No page holds more than some 1,000 rows or takes long, however many
    there are; each is of one moment. `since` leaves out what has not changed since then; None: nothing.
    Raises BooksUnavailable."""

    async def begin(self, owner: str, unless_within_s: float) -> Run | None:
        """Take the right to reconcile for a minute; None if another process has it, or a run ended within the last
        `unless_within_s` seconds (0: never too early)."""
        ...

    async def renew(self, run: Run) -> None:
        """For another minute. Raises Unavailable if another process has it by now."""
        ...

    async def keep(self, run: Run, provider: str, place: int, lines: Sequence[Line]) -> None:
        """Remember lines of a provider's book for this run, one per reference, `latest` of their page. `place`: how
        many lines were read before; the later word counts. The same page again has no effect."""
        ...

    async def lines(self, run: Run, after: Place) -> Looked[Compared]:
        """All that was kept, each with our own operation at that provider."""
        ...

    async def operations(self, run: Run, providers: Sequence[str], since: datetime | None, after: Place) -> Looked[Own]:
        """Of all of our operations those that deserve a look. `providers`: whose book was kept."""
        ...

    async def transfers(self, run: Run, providers: Sequence[str], since: datetime | None, after: Place) -> Looked[Own]:
        """The same of transfers."""
        ...

    async def answers(self, since: datetime | None, after: Place) -> Looked[StoredAnswer]:
        """The 2xx answers of payments and refunds, which are final, and of transfers."""
        ...

    async def journals(self, since: datetime | None, after: Place) -> Looked[JournalSums]:
        """The journals with something wrong about them."""
        ...

    async def accounts(self, after: Place) -> Looked[AccountSums]:
        """Every account of every merchant that has entries, or stands at something, by merchant. Each is of one moment,
        however many pages its merchant's entries take and whatever is written meanwhile."""
        ...

    async def payments(self, since: datetime | None, after: Place) -> Looked[PaymentSums]: ...

    async def transfer_sums(self, since: datetime | None, after: Place) -> Looked[TransferSums]: ...

    async def subjects(self, after: Place) -> Looked[NumberedFacts]:
        """The other subjects that number their facts."""
        ...

    async def late_events(self, after_s: float) -> tuple[int, float]:
        """How many events (100,000 at most) have waited for longer than `after_s`, and the age of the oldest."""
        ...

    async def note(self, run: Run, found: Sequence[Discrepancy], origin: Origin) -> list[Noted]:
        """Remember discrepancies; those that are new with their fact, in one transaction."""
        ...

    async def reviewed(self, ids: Sequence[str]) -> None:
        """Their payments were marked for a person to look at."""
        ...

    async def end(self, run: Run, report: Report | None, cleared: Collection[Kind] = ()) -> None:
        """Give the right back. With a `report` the run has come to its end: it is stored, and what was known of the
        kinds in `cleared` and not found again is gone."""
        ...

    async def depths(self) -> Sequence[Depth]:
        """How long ago the last run came to its end (before the first: since there are books), and how many
        discrepancies still stand."""
        ...

    async def last_report(self) -> dict[str, Any] | None:
        """Of the last run that came to its end."""
        ...
