"""What each filter of a list finds: one suite, on the fakes and on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleartill.domain.outcome import Approved
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.ports import PaymentQuery, RefundQuery
from real import MERCHANT
from real.house import House
from real.listing import CARD, NO, START, follow, give_back, put, settled

OTHER = "merchant_456"


async def ids(house: House, **asked: Any) -> list[str]:
    listed = await house.reads.payments(MERCHANT, PaymentQuery(**asked))
    return [one.id for one in listed.items]


async def refund_ids(house: House, **asked: Any) -> list[str]:
    listed = await house.reads.refunds(MERCHANT, RefundQuery(**asked))
    return [one.id for one in listed.items]


async def test_by_status(house: House) -> None:
    open_ = (await put(house.books, 1)).payment.id
    captured = (await settled(house.books, 2)).id
    failed = (await settled(house.books, 3, NO)).id

    assert await ids(house, statuses=frozenset({PaymentStatus.CAPTURED})) == [captured]
    assert await ids(house, statuses=frozenset({PaymentStatus.PROCESSING, PaymentStatus.FAILED})) == [failed, open_]
    assert await ids(house, statuses=frozenset({PaymentStatus.PENDING})) == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("17", {17, "17"}),
        ("-17", {-17, "-17"}),
        ("0", {0}),
        ("-0", set()),
        ("017", {"017"}),
        ("+17", {"+17"}),
        ("17.0", set()),
        ("1_7", set()),
        ("999999999999999999", {999999999999999999}),
        ("9" * 255, set()),
        ("true", set()),
        ("null", {"null"}),
        ('"17"', {'"17"'}),
        ("{}", set()),
        ("o'r%s:x\\", {"o'r%s:x\\"}),
        ("\u0661\u0667", set()),
        ("ü", {"ü"}),
    ],
)
async def test_by_order_id_as_integer_and_as_string(house: House, asked: str, found: set[str | int]) -> None:
    given = (17, "17", -17, "-17", 0, "017", "+17", "o'r%s:x\\", "null", '"17"', "ü", 999999999999999999, None)
    units = [await put(house.books, seconds, order_id=order_id) for seconds, order_id in enumerate(given)]

    listed = await house.reads.payments(MERCHANT, PaymentQuery(order_id=asked))

    assert {one.order_id for one in listed.items} == found
    assert [one.id for one in listed.items] == [
        unit.payment.id for unit in reversed(units) if unit.payment.order_id in found
    ]


async def test_an_order_of_both_kinds_is_one_list(house: House) -> None:
    made = [(await put(house.books, seconds, order_id=17 if seconds % 3 else "17")).payment.id for seconds in range(9)]
    await put(house.books, 20, order_id=170)

    pages = await follow(
        lambda before: house.reads.payments(MERCHANT, PaymentQuery(order_id="17", before=before, limit=4))
    )

    newest_first = made[::-1]
    assert pages == [newest_first[:4], newest_first[4:8], newest_first[8:]]


async def test_by_provider_and_last4(house: House) -> None:
    bank = (await put(house.books, 1, card=CARD)).payment.id
    mock = (await put(house.books, 2, card=replace(CARD, last4="0005"), provider="mock")).payment.id
    bare = (await put(house.books, 3, provider="internal")).payment.id

    assert await ids(house, provider="bank") == [bank]
    assert await ids(house, provider="nobody") == []
    assert await ids(house, last4="0005") == [mock]
    assert await ids(house, last4="4242", provider="mock") == []
    assert await ids(house) == [bare, mock, bank]


async def test_by_order_and_last4_together(house: House) -> None:
    both = (await put(house.books, 1, card=CARD, order_id="17")).payment.id
    await put(house.books, 2, card=replace(CARD, last4="0005"), order_id=17)
    await put(house.books, 3, card=CARD, order_id=18)

    assert await ids(house, order_id="17", last4="4242") == [both]


async def test_by_time_to_the_microsecond(house: House) -> None:
    micro = timedelta(microseconds=1)
    # Their ids lie a millisecond apart, or they would be equal.
    made = [(await put(house.books, n / 1000, created_at=START + n * micro)).payment.id for n in range(4)]

    assert await ids(house, created_from=START + 2 * micro) == made[:1:-1]
    assert await ids(house, created_to=START + 2 * micro) == made[1::-1]
    assert await ids(house, created_from=START + micro, created_to=START + 3 * micro) == made[2:0:-1]
    assert await ids(house, created_from=START + timedelta(days=1)) == []
    assert await ids(house, created_to=START - timedelta(days=1)) == []


async def test_others_are_not_listed(house: House) -> None:
    theirs = await put(house.books, 1, merchant_id=OTHER, order_id=17, card=CARD)
    for asked in ({}, {"order_id": "17"}, {"last4": "4242"}, {"provider": "bank"}):
        assert await ids(house, **asked) == []
        listed = await house.reads.payments(OTHER, PaymentQuery(**asked))  # type: ignore[arg-type]
        assert [one.id for one in listed.items] == [theirs.payment.id]


async def test_refunds(house: House) -> None:
    first, second = await settled(house.books, 1), await settled(house.books, 2, provider="mock")
    succeeded = (await give_back(house.books, first, 1, Approved("bnk_2"))).id
    failed = (await give_back(house.books, first, 2, NO)).id
    open_ = (await give_back(house.books, second, 3, provider="mock")).id
    theirs = await settled(house.books, 9, merchant_id=OTHER)
    await give_back(house.books, theirs, 4)

    assert await refund_ids(house) == [open_, failed, succeeded]
    assert await refund_ids(house, payment_id=first.id) == [failed, succeeded]
    assert await refund_ids(house, payment_id=theirs.id) == []
    assert await refund_ids(house, provider="mock") == [open_]
    assert await refund_ids(house, statuses=frozenset({RefundStatus.SUCCEEDED})) == [succeeded]
    assert await refund_ids(house, payment_id=first.id, statuses=frozenset({RefundStatus.FAILED})) == [failed]
    assert await refund_ids(house, created_from=START + timedelta(seconds=2)) == [open_, failed]
    assert await refund_ids(house, created_to=START + timedelta(seconds=2)) == [succeeded]
    pages = await follow(lambda before: house.reads.refunds(MERCHANT, RefundQuery(before=before, limit=2)))
    assert pages == [[open_, failed], [succeeded]]
    of_one = await follow(
        lambda before: house.reads.refunds(MERCHANT, RefundQuery(payment_id=first.id, before=before, limit=1))
    )
    assert of_one == [[failed], [succeeded]]
