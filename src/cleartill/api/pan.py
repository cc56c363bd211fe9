"""Does a text hold a card number? Card numbers are let in through one field only (PCI DSS 3.2)."""

import re

from cleartill.domain.card import Pan
from cleartill.domain.errors import InvalidCard

_RUN = re.compile(r"[0-9](?:[ \u00a0._/-]?[0-9]){13,}")
_GROUP = re.compile(r"[0-9]+")
_NAME = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32,}")
"""UUIDs and digests: in one of some ten thousand the digits happen to look like a card number."""
_LENGTHS = {
    "visa": (16, 19),
    "mastercard": (16,),
    "amex": (15,),
    "discover": (16, 19),
    "diners": (14, 16, 19),
    "jcb": (16, 19),
    "unionpay": (16, 17, 18, 19),
    "maestro": (16, 18, 19),
}
"""How long the numbers are that issuers give out: a timestamp or an order number of 13 digits is no card."""


def holds_pan(text: str) -> bool:
    """Whether some groups of digits, one after another, make a number that passes Luhn, lies in a known issuer's range
    and is as long as that issuer's numbers are. (Luhn alone would refuse every tenth order number.)"""
    if len(text) < 14:
        return False
    return any(_any_window(_GROUP.findall(run)) for run in _RUN.findall(_NAME.sub(" x ", text)))


def _any_window(groups: list[str]) -> bool:
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > 19:
                break
            if len(digits) >= 14 and _is_pan(digits):
                return True
    return False


def _is_pan(digits: str) -> bool:
    try:
        pan = Pan(digits)
    except InvalidCard:
        return False
    return len(digits) in _LENGTHS.get(pan.brand, ())
