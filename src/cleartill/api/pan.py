"""Does a text hold a card number? Card numbers are let in through one field only (PCI DSS 3.2)."""

import re

from cleartill.domain.card import Pan
from cleartill.domain.errors import InvalidCard

_RUN = re.compile(r"[0-9](?:[ \u00a0._/-]?[0-9]){11,}")
_GROUP = re.compile(r"[0-9]+")


def holds_pan(text: str) -> bool:
    """Whether some groups of digits, one after another, make a number of 12 to 19 digits that passes Luhn and lies in
    a known issuer's range. (Luhn alone would refuse every tenth order number.)"""
    if len(text) < 12:
        return False
    return any(_any_window(_GROUP.findall(run)) for run in _RUN.findall(text))


def _any_window(groups: list[str]) -> bool:
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if len(digits) > 19:
                break
            if len(digits) >= 12 and _is_pan(digits):
                return True
    return False


def _is_pan(digits: str) -> bool:
    try:
        return Pan(digits).brand != "unknown"
    except InvalidCard:
        return False
