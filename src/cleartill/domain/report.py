"""What a reconciliation says in the end: how much it looked at, what waits, what is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleartill.domain.events import timestamp
from cleartill.domain.reconciliation import INVARIANT_OF, INVARIANTS, Discrepancy, Kind


@dataclass(frozen=True, slots=True)
class Report:
    """`since`: what has not changed since then was left out; None: nothing was. `statements`: by provider the lines of
    its book that were read; None: it shows none, and I1 was not checked for it. `matched`: lines that say what we say.
    `waiting`: operations that nothing can be said of yet. `found`: how often, by kind; `listed`: the first of them;
    `new`: how many were not known before. `resume_from`: from when on the next run must look."""

    run: int
    began_at: datetime
    ended_at: datetime
    since: datetime | None
    grace_s: float
    statements: Mapping[str, int | None]
    looked_at: Mapping[str, int]
    matched: int
    waiting: int
    found: Mapping[Kind, int]
    new: int
    listed: Sequence[Discrepancy]
    resume_from: datetime

    @property
    def clean(self) -> bool:
        return not self.found

    @property
    def total(self) -> int:
        return sum(self.found.values())

    def breaches(self) -> dict[str, int]:
        """How many discrepancies by invariant, those without any included."""
        counts = dict.fromkeys(INVARIANTS, 0)
        for kind, count in self.found.items():
            counts[INVARIANT_OF[kind]] += count
        return counts

    @property
    def compared_with_banks(self) -> bool:
        """Whether any provider showed its book: without one I1 was not checked."""
        return any(lines is not None for lines in self.statements.values())

    def view(self) -> dict[str, Any]:
        """For programs; all of it is JSON."""
        return {
            "run": self.run,
            "clean": self.clean,
            "began_at": timestamp(self.began_at),
            "ended_at": timestamp(self.ended_at),
            "since": timestamp(self.since) if self.since else None,
            "grace_s": self.grace_s,
            "statements": dict(self.statements),
            "looked_at": dict(self.looked_at),
            "matched": self.matched,
            "waiting": self.waiting,
            "invariants": {
                name: {
                    "holds": None if name == "I1" and not self.compared_with_banks else not count,
                    "discrepancies": count,
                    "meaning": INVARIANTS[name][0],
                }
                for name, count in self.breaches().items()
            },
            "found": {str(kind): count for kind, count in sorted(self.found.items())},
            "discrepancies": self.total,
            "new": self.new,
            "listed": [discrepancy.view() for discrepancy in self.listed],
            "resume_from": timestamp(self.resume_from),
        }
