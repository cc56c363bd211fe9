"""Walking the audit chain: where it breaks first, and by what: an edit, a deletion, a reordering, an insertion, a cut.

A row that does not fit where it stands may still tell where it came from: its seal is right for another number. Rows
that all belong one further on were moved up to hide a deletion; rows that belong one further back made room for an
insertion; two that belong in each other's place were exchanged. So what was done can be told although the seals alone
only say that something was. The kind is a finding for people, the number is what counts: no row before it was touched
(a row that was sealed anew by itself is found by the one behind it).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cleartill.domain.audit_chain import Head, SealedRow, contents, genesis, seal_of

NEAR = 64
"""How far a row is looked for from where it stands; so many rows from the first bad one on are kept for that, and as
many bad ones behind them."""


class FaultKind(StrEnum):
    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    INSERTED = "inserted"
    CUT = "tail_cut"
    """Rows that were sealed are gone from the end."""
    REWRITTEN = "rewritten"
    """Each row fits the one before it, but at this number another seal was told elsewhere: a row up to here was
    touched, and all that follow sealed anew."""
    REPLACED = "replaced"
    """A head that is kept elsewhere is of another chain."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`number`: the first bad one."""

    kind: FaultKind
    number: int
    details: str

    def view(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "number": self.number, "details": self.details}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rows`: how many were looked at; `bad`: of these, how many do not fit. `anchors`: heads known elsewhere that the
    chain was held against; `others`: heads of chains that were there before it. `faults`: by number."""

    head: Head
    rows: int
    bad: int
    anchors: int
    others: int
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        return not self.faults

    def view(self) -> dict[str, Any]:
        """For programs; all of it is JSON."""
        return {
            "sound": self.sound,
            "head": self.head.view(),
            "rows": self.rows,
            "bad": self.bad,
            "anchors": self.anchors,
            "others": self.others,
            "faults": [fault.view() for fault in self.faults],
        }


class Walk:
    """One walk over a chain up to `head`, page by page; what it holds does not grow with the chain.

    `kept`: heads that somebody kept elsewhere. `published`: heads found where they were published; those of chains that
    ended before this one began (`began_at`) are of books that were made anew, and only counted.
    """

    def __init__(
        self, head: Head, began_at: datetime, kept: Iterable[Head] = (), published: Iterable[Head] = ()
    ) -> None:
        self._head, self._began_at = head, began_at
        self._expected, self._last = 1, genesis(head.chain)
        self._anchors: dict[int, set[bytes]] = {}
        self._faults: list[Fault] = []
        self._first: _Break | None = None
        self._others, self._agreed = 0, 0
        self._missed: int | None = None
        self.rows = self.bad = 0
        for anchor in kept:
            self._anchor(anchor, strict=True)
        for anchor in published:
            self._anchor(anchor, strict=False)
        self._compare(0, self._last)

    def take(self, page: Sequence[SealedRow]) -> None:
        """The next rows, by number; all that bear one number are in one page."""
        for row in page:
            self.rows += 1
            fits = row.number == self._expected and row.previous == self._last and row.sound
            if not fits:
                self.bad += 1
                if self._first is None:
                    self._first = _Break(self._expected, self._last, [])
            if self._first is not None and len(self._first.rows) < (NEAR if fits else 2 * NEAR):
                self._first.rows.append(row)
            if row.number >= self._expected:
                self._compare(row.number, row.seal)
                self._expected, self._last = row.number + 1, row.seal

    def end(self, strays: Sequence[int] = ()) -> Verdict:
        """What it comes to. `strays`: numbers that the sealer never gave, of rows that bear them."""
        head, reached = self._head, self._expected - 1
        if self._first is not None:
            self._faults.append(_diagnosed(self._first))
        if reached < head.number:
            self._found(FaultKind.CUT, reached + 1, f"rows {reached + 1} to {head.number} are gone")
        elif self._last != head.seal and self._first is None:
            self._found(FaultKind.EDITED, head.number, "the last row is not the one that was sealed last")
        if strays:
            self._found(FaultKind.INSERTED, min(strays), "it bears a seal that was never given")
        if self._missed is not None:
            between = f"a row from {self._agreed + 1} to {self._missed} was touched, and what follows sealed anew"
            self._found(FaultKind.REWRITTEN, self._missed, f"another seal was told elsewhere: {between}")
        told = max(self._anchors, default=0)
        if told > max(reached, head.number):
            self._found(FaultKind.CUT, reached + 1, f"row {told} was told elsewhere, and the chain ends with {reached}")
        faults = tuple(sorted(self._faults, key=lambda fault: fault.number))
        return Verdict(head, self.rows, self.bad, sum(map(len, self._anchors.values())), self._others, faults)

    def _anchor(self, anchor: Head, *, strict: bool) -> None:
        if anchor.chain == self._head.chain:
            self._anchors.setdefault(anchor.number, set()).add(anchor.seal)
        elif strict or (anchor.at is not None and anchor.at > self._began_at):
            if not any(fault.kind is FaultKind.REPLACED for fault in self._faults):
                details = f"{anchor.chain} was told elsewhere up to {anchor.number}; here stands {self._head.chain}"
                self._found(FaultKind.REPLACED, 1, details)
        else:
            self._others += 1

    def _compare(self, number: int, seal: bytes) -> None:
        """With what was told elsewhere of this number."""
        told = self._anchors.get(number)
        if told and self._missed is None:
            if told == {seal}:
                self._agreed = number
            else:
                self._missed = number

    def _found(self, kind: FaultKind, number: int, details: str) -> None:
        self._faults.append(Fault(kind, number, details))


@dataclass(slots=True)
class _Break:
    """Where the chain breaks first: which number should have come, behind which seal, and the rows from there on."""

    number: int
    previous: bytes
    rows: list[SealedRow]

    def moved_here(self, candidate: SealedRow) -> bool:
        """Whether this row's own seal is right for the place of the break."""
        return candidate.previous == self.previous and _home(candidate, [self.number]) == self.number


def _diagnosed(broken: _Break) -> Fault:
    row, number = broken.rows[0], broken.number
    if row.number < number:
        return Fault(FaultKind.INSERTED, row.number, "there are two rows of this number")
    if row.number > number:
        if any(broken.moved_here(other) for other in broken.rows):
            return Fault(FaultKind.REORDERED, number, "its row stands elsewhere")
        last = row.number - 1
        return Fault(FaultKind.DELETED, number, "it is gone" if last == number else f"rows {number} to {last} are gone")
    if any(other.number == number and broken.moved_here(other) for other in broken.rows[1:]):
        return Fault(FaultKind.INSERTED, number, "there are two rows of this number")
    return _misplaced(broken) if not row.sound else _sealed_anew(broken)


def _sealed_anew(broken: _Break) -> Fault:
    """A row that fits its own seal, but not the row before it: one of the two was sealed anew."""
    following = broken.rows[1] if len(broken.rows) > 1 else None
    untouched = following is None or following.previous == broken.rows[0].seal
    number = broken.number - 1 if untouched and broken.number > 1 else broken.number
    return Fault(FaultKind.EDITED, number, "it was sealed anew, and the next row knows its former seal")


def _misplaced(broken: _Break) -> Fault:
    row, number = broken.rows[0], broken.number
    held = contents(row.row)
    if any(seal_of(held, other.number, other.previous) in (other.seal, row.seal) for other in broken.rows[1:]):
        return Fault(FaultKind.REORDERED, number, "it stands in another row's place")
    near = range(max(1, number - NEAR), number + NEAR)
    home = _home(row, [*near, *(other.number for other in broken.rows)])
    comes_later = any(broken.moved_here(other) for other in broken.rows[1:])
    if home is None:
        if comes_later:
            return Fault(FaultKind.INSERTED, number, "the row that belongs here stands further on")
        return Fault(FaultKind.EDITED, number, "its contents are not what was sealed")
    if home < number:
        return Fault(FaultKind.INSERTED, home, "the rows behind it belong further back")
    if comes_later:
        return Fault(FaultKind.REORDERED, number, f"its row stands elsewhere, and row {home} in its place")
    return Fault(FaultKind.DELETED, number, f"row {home} was moved here")


def _home(row: SealedRow, numbers: Iterable[int]) -> int | None:
    """The first of these numbers that the row's own seal is right for."""
    held = contents(row.row)
    return next((number for number in numbers if seal_of(held, number, row.previous) == row.seal), None)
