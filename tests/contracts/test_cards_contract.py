"""What is shown of a stored card, and how it is erased: one suite, on the fakes and on PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.card import SealedCard
from cleartill.domain.errors import NotFound
from real import MERCHANT, intent, origin
from real.house import House
from real.listing import CARD

OTHER = "merchant_456"


async def stored(house: House) -> SealedCard:
    unit = intent()
    unit.card = SealedCard(CARD.card_token, MERCHANT, 1, b"\x00\xffsealed", CARD)
    await house.books.record(unit)
    return unit.card


async def erase(house: House, card: SealedCard, merchant_id: str = MERCHANT) -> bool:
    return await house.books.erase_card(merchant_id, card.token, card.erased(datetime.now(UTC)), origin())


async def test_what_may_be_shown_of_a_card(house: House) -> None:
    card = await stored(house)

    shown = await house.reads.card(MERCHANT, card.token)

    assert shown.summary == card.summary
    assert abs(datetime.now(UTC) - shown.created_at) < timedelta(minutes=1)
    for merchant_id, token in ((OTHER, card.token), (MERCHANT, "card_0")):
        with pytest.raises(NotFound):
            await house.reads.card(merchant_id, token)


async def test_an_erased_card_is_nowhere(house: House) -> None:
    card = await stored(house)

    assert await erase(house, card) is True
    assert await erase(house, card) is False

    for find in (house.books.card, house.reads.card):
        with pytest.raises(NotFound):
            await find(MERCHANT, card.token)
    assert await house.backlog.cards_not_under(2, 10) == []


async def test_another_merchants_card_stays(house: House) -> None:
    card = await stored(house)

    assert await erase(house, card, OTHER) is False

    assert await house.books.card(MERCHANT, card.token) == card


async def test_it_is_told_once(house: House) -> None:
    card = await stored(house)

    assert sorted(await asyncio.gather(*(erase(house, card) for _ in range(8)))) == [False] * 7 + [True]

    lease = await house.backlog.lease_outbox("a", 16)
    told = [row for row in await house.backlog.unpublished(lease, 100) if row.subject_id == card.token]
    assert [(row.merchant_id, row.seq, row.type) for row in told] == [(MERCHANT, 1, "card.erased")]
    assert told[0].traceparent == origin().traceparent
