"""A run: whose turn it is, what it reads, what it tells of, once; and when it cannot be brought to its end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, ProviderUnavailable, Unavailable
from cleartill.domain.invariants import JournalSums, NumberedFacts
from cleartill.domain.outcome import NotSent, Unknown
from cleartill.domain.reconciliation import Done, Kind, Line, Operation, latest
from cleartill.ports import Compared, Own, StatementPage, Verdict
from cleartill.usecases import reconcile as module
from cleartill.usecases.reconcile import SKEW_S, reconcile
from fakes import World
from fakes.steps import Steps, id_of

DAY_S = 24 * 3600.0
EARLY = datetime(2026, 1, 15, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "delay_s", lambda *_, **__: 0.0)


def line(number: int, **other: Any) -> Line:
    return Line(f"pay_{number}.authorize.1", "authorization", Done.YES, 100, "USD", EARLY, times=1)


def operation(subject_id: str = "pay_1", status: str = "approved", at: datetime = EARLY) -> Operation:
    reference = f"{subject_id}.authorize.1"
    return Operation("merchant_123", reference, subject_id, "authorize", status, 100, "USD", at, at)


def alone(subject_id: str = "pay_1", **other: Any) -> Own:
    return Own(operation(subject_id, **other), True, None)


async def test_every_page_of_a_statement_is_kept(world: World) -> None:
    first, second = [line(1), line(2), line(1)], [line(3)]
    world.bank.book += [StatementPage(first, "3"), StatementPage(second, None)]
    report = await reconcile(world.till, "me")

    assert report is not None
    assert world.audits.kept == [("bank", 0, latest(first)), ("bank", 3, second)]
    assert world.bank.read_from == [datetime(1970, 1, 1, tzinfo=UTC), "3"]
    assert report.statements == {"bank": 4, "internal": None, "mock": None, "stripe": None}
    assert (report.clean, report.compared_with_banks) == (True, True)
    assert world.audits.ended == [(report, frozenset(Kind))]
    assert ("reconcile.unmatched", 0, {}) in world.watch.seen


async def test_a_bank_that_shows_no_book_leaves_the_first_invariant_unchecked(world: World) -> None:
    report = await reconcile(world.till, "me")
    assert report is not None
    assert (report.compared_with_banks, report.view()["invariants"]["I1"]["holds"]) == (False, None)
    ((_, cleared),) = world.audits.ended
    assert (Kind.STATE in cleared, Kind.LEDGER_SUM in cleared) == (False, True)


async def test_a_page_that_does_not_come_is_asked_for_again(world: World) -> None:
    world.bank.book += [Unknown("timeout"), NotSent("connect"), Unknown("reset"), StatementPage([line(1)], None)]
    report = await reconcile(world.till, "me")
    assert report is not None
    assert report.statements["bank"] == 1


@pytest.mark.parametrize(
    "book",
    [
        [Unknown("timeout")] * 4,
        [StatementPage([line(1)], "1"), StatementPage([line(2)], "1")],
        [StatementPage([], "1")],
        [StatementPage([line(1)], "1")],
    ],
    ids=["silence", "circle", "empty page", "gone in the middle"],
)
async def test_without_the_whole_statement_nothing_is_said(world: World, book: list[Any]) -> None:
    world.bank.book += book
    world.audits.pages["journals"] = [[JournalSums("merchant_123", "evt_1", "pay_1", {"USD": 1}, True)]]
    with pytest.raises(ProviderUnavailable):
        await reconcile(world.till, "me")
    assert world.audits.ended == [(None, frozenset())]
    assert world.audits.known == {}


async def test_an_open_breaker_ends_it(world: World) -> None:
    world.providers.refused.add("bank")
    with pytest.raises(ProviderUnavailable):
        await reconcile(world.till, "me")
    assert world.audits.ended == [(None, frozenset())]


async def test_one_process_at_a_time(world: World) -> None:
    world.audits.busy = True
    assert await reconcile(world.till, "me") is None
    assert (world.bank.read_from, world.audits.ended) == ([], [])


async def test_who_was_taken_over_says_nothing_more(world: World) -> None:
    world.audits.pages["payments"] = [[], []]
    world.audits.lost_after = 0
    with pytest.raises(Unavailable):
        await reconcile(world.till, "me")
    assert world.audits.ended == [(None, frozenset())]


async def test_every_page_is_looked_at(world: World) -> None:
    wrong = [JournalSums("merchant_123", f"evt_{number}", "x", {"USD": 1}, True) for number in range(3)]
    world.audits.pages["journals"] = [[wrong[0]], [], wrong[1:]]
    heard: list[tuple[str, int]] = []
    report = await reconcile(world.till, "me", progress=lambda what, count: heard.append((what, count)))
    assert report is not None
    assert (report.looked_at["journals"], report.found) == (30, {Kind.LEDGER_UNBALANCED: 3})
    assert [one for one in heard if one[0] == "journals"] == [("journals", 10), ("journals", 20), ("journals", 30)]


async def test_a_mismatch_is_told_of_once_and_its_payment_marked_once(world: World, steps: Steps) -> None:
    payment_id = id_of(await steps.charge())
    world.audits.pages["operations"] = [[alone(payment_id)]]
    for turn in range(3):
        world.bank.book.append(StatementPage([], None))
        report = await reconcile(world.till, "me")
        assert report is not None
        assert (report.total, report.new) == (1, 1 if turn == 0 else 0)
        assert report.listed[0].subject_id == payment_id

    payment = world.memory.payments[("merchant_123", payment_id)]
    assert payment.needs_review == "missing_at_bank: we: authorize of 1.00 USD, done; the bank: nothing"
    assert (payment.status, payment.amount_captured_minor) == ("captured", 10_000)
    assert [fact.type for fact, _ in world.memory.facts].count("payment.needs_review") == 1
    counts = [(name, tags) for name, _, tags in world.watch.seen if "reconcile.mismatch" in name or "breach" in name]
    assert counts == [("reconcile.mismatch", {"kind": "missing_at_bank"}), ("invariant.breach", {"name": "I1"})]


async def test_a_payment_that_moves_meanwhile_is_marked_all_the_same(world: World, steps: Steps) -> None:
    payment_id = id_of(await steps.charge())
    world.audits.pages["operations"] = [[alone(payment_id)]]
    record, conflicts = world.books.record, [Verdict.CONFLICT, Verdict.CONFLICT]

    async def moved(unit: Any) -> Verdict:
        return conflicts.pop() if conflicts else await record(unit)

    world.books.record = moved  # type: ignore[method-assign]
    await reconcile(world.till, "me")
    assert world.memory.payments[("merchant_123", payment_id)].needs_review is not None


async def test_what_cannot_be_marked_now_is_marked_by_the_next_run(world: World, steps: Steps) -> None:
    payment_id = id_of(await steps.charge())
    world.audits.pages["operations"] = [[alone(payment_id), alone("pay_gone"), alone("elsewhere_1")]]
    load = world.books.load

    async def away(*_: Any) -> Any:
        raise BooksUnavailable("for now")

    world.books.load = away  # type: ignore[method-assign]
    report = await reconcile(world.till, "me")
    assert report is not None
    assert (report.total, len(world.audits.reviews)) == (3, 1)
    world.books.load = load  # type: ignore[method-assign]
    await reconcile(world.till, "me")
    assert len(world.audits.reviews) == 3
    assert world.memory.payments[("merchant_123", payment_id)].needs_review is not None


async def test_when_everything_is_wrong_only_so_many_are_acted_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACT_MAX", 5)
    monkeypatch.setattr(module, "LISTED_MAX", 3)
    world.audits.pages["operations"] = [[alone(f"x_{turn}_{one}") for one in range(4)] for turn in range(4)]
    report = await reconcile(world.till, "me")
    assert report is not None
    assert (report.total, report.new, len(report.listed), len(world.audits.known)) == (16, 5, 3, 5)
    assert world.audits.ended[-1][1] == frozenset()


async def test_what_waits_is_looked_at_again(world: World) -> None:
    now = world.clock.now()
    long_ago, fresh = now - timedelta(days=3), now - timedelta(seconds=10)
    world.audits.pages["operations"] = [[alone(status="open", at=long_ago), alone(at=fresh)]]
    world.audits.pages["lines"] = [[Compared(line(2), operation("pay_2")), Compared(line(1), None)]]
    report = await reconcile(world.till, "me", grace_s=60)
    assert report is not None
    assert (report.waiting, report.matched, report.found) == (2, 1, {Kind.MISSING_HERE: 1})
    assert report.resume_from == long_ago
    assert ("reconcile.unmatched", 2, {}) in world.watch.seen


async def test_a_night_goes_on_where_the_last_run_ended(world: World) -> None:
    began = world.clock.now()
    assert await reconcile(world.till, "me", nightly=True, grace_s=60) is not None
    assert world.audits.since == [None]

    world.clock.advance(DAY_S - 1)
    assert await reconcile(world.till, "me", nightly=True) is None
    world.clock.advance(1)
    report = await reconcile(world.till, "me", nightly=True)

    resumed = began - timedelta(seconds=60)
    assert report is not None
    assert (report.since, world.audits.since[-1]) == (resumed, resumed)
    assert world.bank.read_from[-1] == resumed - timedelta(seconds=SKEW_S)
    assert world.audits.ended[-1][1] == {Kind.UNPUBLISHED, Kind.BALANCE_SUM, Kind.AUDIT_CHAIN}


async def test_who_asks_by_hand_may_ask_again_at_once(world: World) -> None:
    for _ in range(2):
        assert await reconcile(world.till, "me") is not None


async def test_what_names_no_payment_is_told_of_too(world: World) -> None:
    world.audits.pages["subjects"] = [[NumberedFacts("merchant_123", "merchant_123", 2, 1, 1, 1)]]
    world.audits.late = (7, 100.0)
    report = await reconcile(world.till, "me")
    assert report is not None
    assert report.found == {Kind.SEQ_GAP: 1, Kind.UNPUBLISHED: 1}
    assert report.breaches() == {"I1": 0, "I2": 0, "I3": 0, "I4": 0, "I5": 0, "I6": 0, "I7": 2, "I9": 0}


async def test_a_payment_with_two_faults_is_marked_for_the_first(world: World, steps: Steps) -> None:
    payment_id = id_of(await steps.charge())
    world.audits.pages["operations"] = [[alone(payment_id)]]
    world.audits.pages["journals"] = [[JournalSums("merchant_123", "evt_1", payment_id, {"USD": 1}, True)]]
    report = await reconcile(world.till, "me")
    assert report is not None
    assert (report.new, len(world.audits.reviews)) == (2, 2)
    assert [fact.type for fact, _ in world.memory.facts].count("payment.needs_review") == 1
    marked = world.memory.payments[("merchant_123", payment_id)].needs_review or ""
    assert marked.startswith("missing_at_bank: ")
