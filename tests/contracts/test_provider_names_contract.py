"""Payments found by what their provider calls them: one suite, on the fakes and on PostgreSQL."""

import pytest

from cleartill.domain.errors import NotFound
from cleartill.domain.outcome import Approved, Declined
from real import MERCHANT, outcome, refund_intent
from real.house import House
from real.listing import settled

OTHER = "merchant_456"


async def test_a_payment_is_found_by_its_providers_name(house: House) -> None:
    made = await settled(house.books, 1, Approved("bnk_77"))
    declined = await settled(house.books, 2, Declined("do_not_honor", "05", "bnk_78"))

    assert await house.reads.payment_at_provider(MERCHANT, "bank", "bnk_77") == made
    assert await house.reads.payment_at_provider(MERCHANT, "bank", "bnk_78") == declined
    for merchant_id, provider, name in (
        (OTHER, "bank", "bnk_77"),
        (MERCHANT, "stripe", "bnk_77"),
        (MERCHANT, "bank", "bnk_7"),
        (MERCHANT, "bank", "BNK_77"),
        (MERCHANT, "bank", ""),
    ):
        with pytest.raises(NotFound):
            await house.reads.payment_at_provider(merchant_id, provider, name)


async def test_the_name_of_a_refund_is_no_payments(house: House) -> None:
    made = await settled(house.books, 1, Approved("bnk_77"))
    asked = refund_intent(made, 10)
    await house.books.record(asked)
    await house.books.record(outcome(asked, Approved("bnk_99")))

    with pytest.raises(NotFound):
        await house.reads.payment_at_provider(MERCHANT, "bank", "bnk_99")


async def test_of_two_with_one_name_the_newest_is_found(house: House) -> None:
    newest = await settled(house.books, 3, Approved("bnk_77"))
    await settled(house.books, 1, Approved("bnk_77"))
    await settled(house.books, 2, Approved("bnk_77"))

    assert (await house.reads.payment_at_provider(MERCHANT, "bank", "bnk_77")).id == newest.id
