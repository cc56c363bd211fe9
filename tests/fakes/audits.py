"""The Audits port as a script: each walk finds what the test says, and what is noted is remembered."""

from collections.abc import Collection, Sequence
from typing import Any

from cleartill.domain.errors import Unavailable
from cleartill.domain.ids import new_id
from cleartill.domain.reconciliation import Discrepancy, Kind, Line
from cleartill.domain.report import Report
from cleartill.ports import Depth, Looked, Noted, Origin, Run
from fakes.memory import FakeClock


class FakeAudits:
    """`pages`: by walk what each of its pages finds. `busy`: another process is at it. `lost_after`: renewals until
    another one has taken over. `kept`, `known`, `ended`: what the run has done."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.pages: dict[str, list[list[Any]]] = {}
        self.late = (0, 0.0)
        self.busy = False
        self.lost_after: int | None = None
        self.last_run: Run | None = None
        self.kept: list[tuple[str, int, list[Line]]] = []
        self.known: dict[tuple[Kind, str, str], str] = {}
        self.reviews: list[str] = []
        self.ended: list[tuple[Report | None, frozenset[Kind]]] = []
        self.since: list[Any] = []

    async def begin(self, owner: str, unless_within_s: float) -> Run | None:
        now = self._clock.now()
        last = self.last_run
        if self.busy or (last and unless_within_s and (now - last.began_at).total_seconds() < unless_within_s):
            return None
        resume_from = next((report.resume_from for report, _ in reversed(self.ended) if report), None)
        self.last_run = Run(last.number + 1 if last else 1, owner, now, resume_from)
        return self.last_run

    async def depths(self) -> list[Depth]:
        began_at = self.last_run.began_at if self.last_run else self._clock.now()
        age_s = (self._clock.now() - began_at).total_seconds()
        return [Depth("reconcile.age_s", age_s), Depth("reconcile.open", float(len(self.known)))]

    async def renew(self, run: Run) -> None:
        if self.lost_after is not None:
            if not self.lost_after:
                raise Unavailable("Another process reconciles now")
            self.lost_after -= 1

    async def keep(self, run: Run, provider: str, place: int, lines: Sequence[Line]) -> None:
        self.kept.append((provider, place, list(lines)))

    async def lines(self, run: Run, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("lines", after)

    async def operations(self, run: Run, providers: Sequence[str], since: Any, after: tuple[str, ...]) -> Looked[Any]:
        self.since.append(since)
        return self._page("operations", after)

    async def transfers(self, run: Run, providers: Sequence[str], since: Any, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("transfers", after)

    async def answers(self, since: Any, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("answers", after)

    async def journals(self, since: Any, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("journals", after)

    async def accounts(self, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("accounts", after)

    async def payments(self, since: Any, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("payments", after)

    async def transfer_sums(self, since: Any, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("transfer_sums", after)

    async def subjects(self, after: tuple[str, ...]) -> Looked[Any]:
        return self._page("subjects", after)

    def _page(self, walk: str, after: tuple[str, ...]) -> Looked[Any]:
        number = int(after[0]) if after else 0
        pages = self.pages.get(walk, [[]])
        return Looked(pages[number], 10, (str(number + 1),) if number + 1 < len(pages) else None)

    async def late_events(self, after_s: float) -> tuple[int, float]:
        return self.late

    async def note(self, run: Run, found: Sequence[Discrepancy], origin: Origin) -> list[Noted]:
        noted = []
        for one in found:
            key = (one.kind, one.merchant_id, one.reference)
            new = key not in self.known
            id = self.known.setdefault(key, new_id("dis"))
            noted.append(Noted(id, one, new, id in self.reviews))
        return noted

    async def reviewed(self, ids: Sequence[str]) -> None:
        self.reviews += ids

    async def end(self, run: Run, report: Report | None, cleared: Collection[Kind] = ()) -> None:
        self.ended.append((report, frozenset(cleared)))

    async def last_report(self) -> dict[str, Any] | None:
        return next((report.view() for report, _ in reversed(self.ended) if report), None)
