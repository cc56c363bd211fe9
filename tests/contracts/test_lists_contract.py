"""How lists are walked through, page by page, while others write: one suite, on the fakes and on PostgreSQL."""

import asyncio
from datetime import timedelta

from cleartill.domain.outcome import Approved
from cleartill.domain.payment import Payment
from cleartill.domain.states import PaymentStatus
from cleartill.ports import Listed, PaymentQuery, RefundQuery
from real import MERCHANT
from real.house import House
from real.listing import CARD, START, follow, give_back, put, settled


async def test_newest_first_in_pages(house: House) -> None:
    made = [(await put(house.books, seconds)).payment for seconds in (3, 1, 4, 0, 2)]
    newest_first = sorted((one.id for one in made), reverse=True)

    pages = await follow(lambda before: house.reads.payments(MERCHANT, PaymentQuery(before=before, limit=2)))

    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert await follow(lambda before: house.reads.payments(MERCHANT, PaymentQuery(before=before, limit=5))) == [
        newest_first
    ]


async def test_what_is_listed_is_what_is_read(house: House) -> None:
    made = await settled(house.books, 1, order_id=17, metadata={"a": [1, "ü"]}, card=CARD)
    refund = await give_back(house.books, made, 2, Approved("bnk_2", "REF2"))

    assert (await house.reads.payments(MERCHANT, PaymentQuery())).items == [
        await house.reads.payment(MERCHANT, made.id)
    ]
    assert (await house.reads.refunds(MERCHANT, RefundQuery())).items == [await house.reads.refund(MERCHANT, refund.id)]


async def test_a_crowd_that_writes_hides_and_repeats_nothing(house: House) -> None:
    """Payments go on being made, some of them by slow writers whose ids lie among those already listed."""
    old = [(await put(house.books, seconds)).payment.id for seconds in range(0, 60, 2)]
    done = asyncio.Event()
    numbers = iter(range(300))

    async def write() -> None:
        for number in numbers:
            if done.is_set():
                break
            await asyncio.gather(put(house.books, 100 + number), put(house.books, number % 30 * 2 + 1 + number / 1000))

    async def page(before: str | None) -> Listed[Payment]:
        return await house.reads.payments(MERCHANT, PaymentQuery(before=before, limit=4))

    writing = [asyncio.create_task(write()) for _ in range(2)]
    for _ in range(5):
        listed = [id for ids in await follow(page) for id in ids]
        assert len(listed) == len(set(listed))
        assert listed == sorted(listed, reverse=True)
        assert set(old) <= set(listed)
    done.set()
    await asyncio.gather(*writing)


async def test_a_time_range_in_pages(house: House) -> None:
    made = [(await put(house.books, seconds)).payment.id for seconds in range(0, 100, 5)]
    between = {"created_from": START + timedelta(seconds=20), "created_to": START + timedelta(seconds=80)}

    pages = await follow(
        lambda before: house.reads.payments(MERCHANT, PaymentQuery(before=before, limit=5, **between))  # type: ignore[arg-type]
    )

    assert [id for page in pages for id in page] == made[4:16][::-1]
    assert [len(page) for page in pages] == [5, 5, 2]


async def test_no_more_is_looked_at_than_allowed(house: House) -> None:
    """Few that fit among many: pages come short, and nothing is missed."""
    wanted = [(await put(house.books, seconds)).payment.id for seconds in (3, 17, 28)]
    for seconds in range(30):
        if seconds not in (3, 17, 28):
            await settled(house.books, seconds)
    processing = frozenset({PaymentStatus.PROCESSING})

    pages = await follow(
        lambda before: house.reads.payments(MERCHANT, PaymentQuery(processing, before=before, limit=2, look_at=8))
    )

    assert pages == [[wanted[2]], [wanted[1]], [], [wanted[0]]]


async def test_two_kinds_of_order_id_are_looked_at_evenly(house: House) -> None:
    """The strings that fit lie lower than the integers may be looked at: the integer between them is not skipped."""
    wanted = [(await put(house.books, seconds, order_id="17")).payment.id for seconds in (2, 3, 4, 5, 20)]
    for seconds in range(10, 20):
        if seconds != 11:
            await settled(house.books, seconds, order_id=17)
    wanted.append((await put(house.books, 11, order_id=17)).payment.id)
    processing = frozenset({PaymentStatus.PROCESSING})

    pages = await follow(
        lambda before: house.reads.payments(
            MERCHANT, PaymentQuery(processing, order_id="17", before=before, limit=4, look_at=5)
        )
    )

    assert [id for page in pages for id in page] == sorted(wanted, reverse=True)
