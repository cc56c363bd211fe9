"""What an amount is called at Stripe, whose minor units are not always those of ISO 4217.

(Stripe's documentation, "Supported currencies": zero-decimal currencies, special cases, three-decimal currencies.)
"""

from cleartill.domain.money import exponent

FACTORS = {"ISK": (100, 1), "UGX": (100, 1), "MGA": (1, 100)}
"""How many of Stripe's units make how many of ours, where they differ: ISK and UGX lost their decimals and keep them in
Stripe's API "for compatibility"; the ariary's fifths are not known there. (HUF and TWD lack decimals in payouts only.)
"""
SAME = (1, 1)
THREE_DECIMALS = 3
"""Of such currencies Stripe wants the last digit to be 0."""


class Inexpressible(ValueError):
    """Stripe has no number for this amount."""


def to_stripe(amount_minor: int, currency: str) -> int:
    """Our minor units in Stripe's. Raises Inexpressible, and rounds nothing."""
    theirs, ours = FACTORS.get(currency, SAME)
    amount, lost = divmod(amount_minor * theirs, ours)
    if lost or (exponent(currency) == THREE_DECIMALS and amount % 10):
        raise Inexpressible
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """The other way. Raises Inexpressible for a fraction of our smallest unit."""
    theirs, ours = FACTORS.get(currency, SAME)
    amount_minor, lost = divmod(amount * ours, theirs)
    if lost:
        raise Inexpressible
    return amount_minor
