"""What an amount is called at Stripe."""

import pytest

from cleartill.domain.money import EXPONENTS
from cleartill.providers.stripe.amounts import FACTORS, Inexpressible, from_stripe, to_stripe


@pytest.mark.parametrize(
    ("amount_minor", "currency", "amount"),
    [
        (9999, "USD", 9999),
        (1, "EUR", 1),
        (500, "JPY", 500),
        (5, "UGX", 500),
        (5, "ISK", 500),
        (1045, "HUF", 1045),
        (1045, "TWD", 1045),
        (12300, "MGA", 123),
        (5120, "KWD", 5120),
        (10, "BHD", 10),
        (999_999_999_999, "UGX", 99_999_999_999_900),
    ],
)
def test_the_same_money_both_ways(amount_minor: int, currency: str, amount: int) -> None:
    assert to_stripe(amount_minor, currency) == amount
    assert from_stripe(amount, currency) == amount_minor


@pytest.mark.parametrize(("amount_minor", "currency"), [(5124, "KWD"), (1, "TND"), (12345, "MGA"), (99, "MGA")])
def test_what_stripe_has_no_number_for_is_not_rounded(amount_minor: int, currency: str) -> None:
    with pytest.raises(Inexpressible):
        to_stripe(amount_minor, currency)


@pytest.mark.parametrize(("amount", "currency"), [(550, "UGX"), (1, "ISK")])
def test_fractions_of_our_smallest_unit_are_nothing(amount: int, currency: str) -> None:
    with pytest.raises(Inexpressible):
        from_stripe(amount, currency)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_every_other_currency_is_called_the_same(currency: str) -> None:
    assert (to_stripe(12300, currency) == 12300) is (currency not in FACTORS)
    assert from_stripe(to_stripe(12300, currency), currency) == 12300
