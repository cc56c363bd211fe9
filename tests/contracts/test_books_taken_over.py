"""Who may still call an attempt unsent: the request, until the resolver has taken it over. On fakes and PostgreSQL."""

import asyncio

from cleartill.domain.attempt import AttemptStatus
from cleartill.domain.outcome import Approved, NotSent
from cleartill.ports import Verdict
from real import MERCHANT, captured, claim, intent, outcome, refund_intent
from real.house import House

UNSENT, YES = NotSent("deadline"), Approved("bnk_9", "REF9", "00")


async def test_not_sent_is_refused_once_the_resolver_has_taken_over(house: House) -> None:
    """It may be sending the refund just now: a reservation given back could be spent twice."""
    asked = refund_intent(await captured(house.books), 6_000, under=claim("k"))
    await house.books.record(asked)
    await house.make_due()
    assert len(await house.backlog.due_attempts(10)) == 1

    assert asked.attempt is not None
    assert await house.books.record(outcome(asked, UNSENT)) is Verdict.CONFLICT

    now = await house.books.load_attempt(MERCHANT, asked.attempt.key)
    assert now.attempt is not None
    assert (now.attempt.status, now.payment.refund_reserved_minor) == (AttemptStatus.OPEN, 6_000)
    assert await house.books.claimed(claim("k")) is not None


async def test_an_answer_counts_whoever_brings_it(house: House) -> None:
    asked = refund_intent(await captured(house.books), 6_000)
    await house.books.record(asked)
    await house.make_due()
    await house.backlog.due_attempts(10)

    assert await house.books.record(outcome(asked, YES)) is Verdict.RECORDED


async def test_a_refused_one_keeps_no_other_from_it(house: House) -> None:
    """Units of one batch: one taken over, one not, one that says something else."""
    late = intent()
    await house.books.record(late)
    await house.make_due()
    await house.backlog.due_attempts(10)
    early, other = intent(), intent()
    await house.books.record(early)
    await house.books.record(other)

    units = [outcome(late, UNSENT), outcome(early, UNSENT), outcome(other, YES)]
    verdicts = await asyncio.gather(*(house.books.record(unit) for unit in units))

    assert verdicts == [Verdict.CONFLICT, Verdict.RECORDED, Verdict.RECORDED]
