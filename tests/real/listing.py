"""Payments and refunds put into the books as if made at a given time, and lists read to their end."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cleartill.domain.card import CardSummary
from cleartill.domain.ids import first_id
from cleartill.domain.outcome import Approved, Declined, Outcome
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.ports import Books, Listed, Unit
from real.units import intent, outcome, payment, refund_intent

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
CARD = CardSummary("visa", "4242", "424242", 12, 2030, "f" * 64, "card_1")
YES, NO = Approved("bnk_1"), Declined("do_not_honor", "05")
PAGES_MAX = 200


async def put(books: Books, seconds: float = 0, **fields: Any) -> Unit:
    """A payment under way, made so many seconds after START."""
    at = START + timedelta(seconds=seconds)
    unit = intent(replace(payment(), **{"id": first_id("pay", at), "created_at": at, **fields}))
    assert unit.attempt is not None
    unit.attempt.merchant_id, unit.attempt.provider = unit.payment.merchant_id, unit.payment.provider
    await books.record(unit)
    return unit


async def settled(books: Books, seconds: float, said: Outcome = YES, **fields: Any) -> Payment:
    """The same, and what the provider said to it."""
    unit = await put(books, seconds, **fields)
    assert unit.attempt is not None
    unit.attempt.provider_id = getattr(said, "provider_id", None)
    await books.record(outcome(unit, said))
    return unit.payment


async def give_back(books: Books, of: Payment, seconds: float, said: Outcome | None = None, **fields: Any) -> Refund:
    """A refund made at that time, and what the provider said to it, if anything."""
    unit = refund_intent(of, 10)
    assert unit.refund is not None
    at = START + timedelta(seconds=seconds)
    unit.refund.id, unit.refund.created_at, unit.attempt = first_id("ref", at), at, None
    for name, value in fields.items():
        setattr(unit.refund, name, value)
    await books.record(unit)
    if said:
        facts = of.settle_refund(unit.refund, said, at)
        assert facts is not None
        await books.record(Unit(of, of.version, unit.origin, facts, refund=unit.refund))
    return unit.refund


async def follow(page: Callable[[str | None], Awaitable[Listed[Any]]]) -> list[list[str]]:
    """The pages to the end, by the ids on them."""
    pages: list[list[str]] = []
    before = None
    for _ in range(PAGES_MAX):
        listed = await page(before)
        pages.append([one.id for one in listed.items])
        if listed.next is None:
            return pages
        assert before is None or listed.next < before, "it goes on"
        before = listed.next
    raise AssertionError("a list without end")
