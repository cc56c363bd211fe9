"""Reconcile: hold the banks' books against ours, ours against themselves, and say what is wrong, once."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cleartill.domain.backoff import delay_s
from cleartill.domain.errors import CleartillError, NotFound, ProviderUnavailable, Unavailable
from cleartill.domain.invariants import (
    check_account,
    check_journal,
    check_outbox,
    check_payment,
    check_seq,
    check_transfer,
)
from cleartill.domain.key_invariants import check_answer, check_claim
from cleartill.domain.outcome import NotSent, Unknown
from cleartill.domain.reconciliation import INVARIANTS, Discrepancy, Kind, Waiting, compare, latest
from cleartill.domain.report import Report
from cleartill.ports import Compared, Fate, Looked, Noted, Origin, Own, Run, StatementPage, Till, Turn, Unit, Verdict
from cleartill.usecases.verify_audit import verify_audit

GRACE_S = 120.0
"""A request's budget, the resolver's first questions, and some skew of clocks."""
NIGHT_S = 24 * 3600.0
SKEW_S = 300.0
"""A bank's clock may be off by so much: so much earlier its book is read from."""
PUBLISHED_WITHIN_S = 60.0
PAGE_BUDGET_S, PAGE_TRIES = 10.0, 4
MAX_PAGES = 10_000_000
LISTED_MAX = 100
ACT_MAX = 1_000
"""Discrepancies that a run remembers, tells of and has reviewed. More are only counted: then it is not single payments
that are wrong but everything, such as the address of the bank."""
MARK_TRIES = 20

_ALL_OF_IT = datetime(1970, 1, 1, tzinfo=UTC)
_Found = Iterable[Discrepancy | Waiting]
_T = TypeVar("_T")

log = logging.getLogger(__name__)


async def reconcile(
    till: Till,
    owner: str,
    *,
    since: datetime | None = None,
    grace_s: float = GRACE_S,
    nightly: bool = False,
    progress: Callable[[str, int], None] | None = None,
) -> Report | None:
    """One run over all that has changed since `since` (None: over everything); None if another process is at it.
    `nightly`: only if the last run is a day old, and from where that one ended. `progress` hears what is being looked
    at, and how much of it has been.

    What is found for the first time is an event, a metric and a mark on its payment; what was known already is only in
    the report. No money moves. Raises Unavailable if it cannot be brought to its end: then nothing is known.
    """
    run = await till.audits.begin(owner, NIGHT_S if nightly else 0.0)
    if run is None:
        return None
    report, cleared = None, frozenset[Kind]()
    try:
        with till.flights.background("books.reconcile") as here:
            audit = _Audit(till, run, run.resume_from if nightly else since, grace_s, here, progress)
            report = await audit.everything()
            cleared = audit.cleared
    finally:
        await till.audits.end(run, report, cleared)
    till.watch.gauge("reconcile.unmatched", report.waiting)
    return report


class _Audit:
    """One run, page by page; what it holds does not grow with the books."""

    def __init__(
        self,
        till: Till,
        run: Run,
        since: datetime | None,
        grace_s: float,
        here: Origin,
        progress: Callable[[str, int], None] | None,
    ) -> None:
        self._till, self._run, self._since, self._grace_s, self._here = till, run, since, grace_s, here
        self._progress = progress or (lambda what, count: None)
        self._began_s = till.clock.monotonic()
        self._fresh_after = run.began_at - timedelta(seconds=grace_s)
        self._resume_from = self._fresh_after
        self._statements: dict[str, int | None] = {}
        self._looked_at: Counter[str] = Counter()
        self._found: Counter[Kind] = Counter()
        self._listed: list[Discrepancy] = []
        self._matched = self._waiting = self._new = self._noted = 0

    @property
    def cleared(self) -> frozenset[Kind]:
        """The kinds of which this run has looked at everything there is, and remembered all that it found."""
        if self._noted < sum(self._found.values()):
            return frozenset()
        if self._since is not None:
            return frozenset({Kind.UNPUBLISHED, Kind.BALANCE_SUM, Kind.AUDIT_CHAIN})
        compared = any(lines is not None for lines in self._statements.values())
        return frozenset(Kind) if compared else frozenset(Kind) - INVARIANTS["I1"][1]

    async def everything(self) -> Report:
        """The banks' books first: what we write after they were read is too fresh to be missed there."""
        audits, run, since = self._till.audits, self._run, self._since
        for provider in sorted(self._till.provider_names):
            await self._read(provider)
        shown = [provider for provider, lines in self._statements.items() if lines is not None]
        await self._each("statement lines", lambda after: audits.lines(run, after), self._compared)
        await self._each("operations", lambda after: audits.operations(run, shown, since, after), self._own)
        await self._each("transfers", lambda after: audits.transfers(run, shown, since, after), self._own)
        await self._each("answers", lambda after: audits.answers(since, after), check_answer)
        await self._each("journals", lambda after: audits.journals(since, after), check_journal)
        await self._each("ledger entries", audits.accounts, check_account)
        await self._each("payments", lambda after: audits.payments(since, after), check_payment)
        await self._each("transfers' sums", lambda after: audits.transfer_sums(since, after), check_transfer)
        await self._each("subjects", audits.subjects, check_seq)
        await self._take(list(check_outbox(*await audits.late_events(PUBLISHED_WITHIN_S))))
        await self._take(await self._chain())
        return Report(
            run=run.number,
            began_at=run.began_at,
            ended_at=self._till.clock.now(),
            since=since,
            grace_s=self._grace_s,
            statements=self._statements,
            looked_at=self._looked_at,
            matched=self._matched,
            waiting=self._waiting,
            found=self._found,
            new=self._new,
            listed=self._listed,
            resume_from=self._resume_from,
        )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, provider: str) -> None:
        """Keep a provider's own book, if it shows one."""
        beyond: datetime | str = self._since - timedelta(seconds=SKEW_S) if self._since else _ALL_OF_IT
        place = 0
        for _ in range(MAX_PAGES):
            page = await self._statement(provider, beyond)
            if page is None and not place:
                self._statements[provider] = None
                return
            if page is None or (page.next is not None and (page.next == beyond or not page.lines)):
                raise ProviderUnavailable(f"The statement of {provider} leads nowhere")
            await self._till.audits.keep(self._run, provider, place, latest(page.lines))
            place += len(page.lines)
            self._progress(f"statement of {provider}", place)
            if page.next is None:
                self._statements[provider] = place
                return
            beyond = page.next
        raise ProviderUnavailable(f"The statement of {provider} does not end")

    async def _statement(self, provider: str, beyond: datetime | str) -> StatementPage | None:
        """A page of it, asked for again if it does not come. Raises ProviderUnavailable."""
        reason = ""
        for tries in range(PAGE_TRIES):
            if tries:
                await asyncio.sleep(delay_s(tries, base_s=0.2, cap_s=2.0))
            deadline = self._till.clock.monotonic() + PAGE_BUDGET_S
            async with self._till.providers.permit(provider, deadline) as asked:
                said = await asked.statement(beyond)
            if not isinstance(said, Unknown | NotSent):
                return said
            reason = said.reason
        raise ProviderUnavailable(f"The statement of {provider} cannot be read: {reason}")

    async def _each(
        self,
        what: str,
        page: Callable[[tuple[str, ...]], Awaitable[Looked[_T]]],
        check: Callable[[_T], _Found],
    ) -> None:
        after: tuple[str, ...] = ()
        for _ in range(MAX_PAGES):
            looked = await page(after)
            self._looked_at[what] += looked.looked_at
            await self._take([found for one in looked.found for found in check(one)])
            self._progress(what, self._looked_at[what])
            if looked.end is None:
                return
            after = looked.end
            await self._till.audits.renew(self._run)
        raise Unavailable(f"There is no end of {what}")

    async def _chain(self) -> list[Discrepancy]:
        """All of it, whatever `since` says: what was tampered with does not say when."""

        async def progress(rows: int) -> None:
            self._looked_at[what] = rows
            self._progress(what, rows)
            await self._till.audits.renew(self._run)

        what = "sealed audit rows"
        verdict = await verify_audit(self._till, progress=progress)
        return [
            Discrepancy(Kind.AUDIT_CHAIN, "", None, f"{fault.kind} {fault.number}", fault.details)
            for fault in verdict.faults
        ]

    def _compared(self, pair: Compared) -> _Found:
        said = compare(pair.line, pair.ours, self._fresh_after)
        if said is not None:
            return [said]
        self._matched += 1
        return []

    def _own(self, own: Own) -> _Found:
        said = compare(None, own.operation, self._fresh_after) if own.alone else None
        held = list(check_claim(own.claimed, self._now())) if own.claimed else []
        return [*held, said] if said is not None else held

    def _now(self) -> datetime:
        """By the database's clock: what was old enough to be purged during the run is not lost."""
        return self._run.began_at + timedelta(seconds=self._till.clock.monotonic() - self._began_s)

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, found: Sequence[Discrepancy | Waiting]) -> None:
        wrong = [one for one in found if isinstance(one, Discrepancy)]
        for one in found:
            if isinstance(one, Waiting):
                self._waiting += 1
                self._resume_from = min(self._resume_from, one.since)
        self._found.update(one.kind for one in wrong)
        self._listed += wrong[: LISTED_MAX - len(self._listed)]
        to_note = wrong[: ACT_MAX - self._noted]
        if not to_note:
            return
        self._noted += len(to_note)
        noted = await self._till.audits.note(self._run, to_note, self._here)
        for known in noted:
            if known.new:
                self._new += 1
                self._till.watch.count("reconcile.mismatch", kind=str(known.discrepancy.kind))
                self._till.watch.count("invariant.breach", name=known.discrepancy.invariant)
        marked = [known.id for known in noted if not known.reviewed and await self._marked(known)]
        if marked:
            await self._till.audits.reviewed(marked)

    async def _marked(self, known: Noted) -> bool:
        """Ask for a person to look at what it is about; whether that is done, or there is nothing to look at. What
        cannot be marked now keeps nobody from being told of the rest; the next run tries again."""
        wrong = known.discrepancy
        mark = _MARKS.get((wrong.subject_id or "")[:4])
        if mark is None or wrong.subject_id is None:
            return True
        try:
            for tries in range(MARK_TRIES):
                reason = f"{wrong.kind}: {wrong.details}"
                if await mark(self._till, wrong.merchant_id, wrong.subject_id, reason, self._here):
                    return True
                await asyncio.sleep(delay_s(tries, base_s=0.002, cap_s=0.05))
        except NotFound:
            return True
        except CleartillError as error:
            log.warning("%s could not be marked for review: %s", wrong.subject_id, error.code)
        return False


async def _mark_payment(till: Till, merchant_id: str, payment_id: str, reason: str, here: Origin) -> bool:
    """Whether it is marked; False if it moved meanwhile."""
    payment = (await till.books.load(merchant_id, payment_id)).payment
    if payment.needs_review is not None:
        return True
    expecting, fact = payment.version, payment.review(reason, till.clock.now())
    unit = Unit(payment=payment, expecting=expecting, origin=here, facts=[fact])
    return await till.books.record(unit) is not Verdict.CONFLICT


async def _mark_transfer(till: Till, merchant_id: str, transfer_id: str, reason: str, here: Origin) -> bool:
    transfer = await till.transfers.load(merchant_id, transfer_id)
    expecting, fact = transfer.version, transfer.review(reason, till.clock.now())
    if fact is None:
        return True
    return await till.transfers.record(Turn(transfer, expecting, here, [fact], goes_on=True)) is not Fate.CONFLICT


_MARKS = {"pay_": _mark_payment, "dep_": _mark_transfer, "wdr_": _mark_transfer}
"""By what an id begins with: how a person is asked to look."""
