"""Cards: the PAN and CVV as secrets that cannot be printed, and the part of a card that may be shown."""

import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from cleartill.domain.errors import InvalidCard
from cleartill.domain.events import CardErased, Fact, timestamp


class Secret:
    """A string that shows itself only when asked to. Printing, formatting and pickling give nothing away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(****)"

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")


_BRANDS = (  # ISO/IEC 7812 issuer ranges; the first that matches
    ("amex", re.compile(r"3[47]")),
    ("visa", re.compile(r"4")),
    ("mastercard", re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720")),
    ("discover", re.compile(r"6011|64[4-9]|65")),
    ("diners", re.compile(r"30[0-5]|3095|36|3[89]")),
    ("jcb", re.compile(r"35(2[89]|[3-8])")),
    ("unionpay", re.compile(r"62")),
    ("maestro", re.compile(r"5[06789]|6")),
)
BRANDS = (*(name for name, _ in _BRANDS), "unknown")


def passes_luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for index, char in enumerate(reversed(digits)):
        digit = ord(char) - 48
        total += digit if index % 2 == 0 else (digit * 2 - 9 if digit > 4 else digit * 2)
    return total % 10 == 0


class Pan(Secret):
    """A primary account number: 12 to 19 digits that pass Luhn. Blanks and dashes are dropped. Raises InvalidCard."""

    __slots__ = ()

    def __init__(self, written: str) -> None:
        digits = written.replace(" ", "").replace("-", "")
        if not (12 <= len(digits) <= 19 and digits.isascii() and digits.isdigit() and passes_luhn(digits)):
            raise InvalidCard("is not a card number")
        super().__init__(digits)

    @property
    def last4(self) -> str:
        return self._value[-4:]

    @property
    def bin(self) -> str:
        """The first six digits, which PCI DSS 3.4.1 lets be shown."""
        return self._value[:6]

    @property
    def brand(self) -> str:
        return next((name for name, start in _BRANDS if start.match(self._value)), "unknown")


class Cvv(Secret):
    """A card verification value: three or four digits. It lives in memory for one request and is never stored
    (PCI DSS 3.3.1). Raises InvalidCard."""

    __slots__ = ()

    def __init__(self, written: str) -> None:
        if not (len(written) in (3, 4) and written.isascii() and written.isdigit()):
            raise InvalidCard("must be three or four digits")
        super().__init__(written)


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the cardholder typed it."""

    pan: Pan
    expiry_month: int
    expiry_year: int
    cvv: Cvv | None
    holder: Secret

    def expired(self, now: datetime) -> bool:
        """A card is good until the last day of the month printed on it."""
        return (self.expiry_year, self.expiry_month) < (now.year, now.month)


@dataclass(frozen=True, slots=True)
class CardSummary:
    """What may be shown and stored of a card. `fingerprint` is a keyed HMAC: equal for one PAN within a merchant."""

    brand: str
    last4: str
    bin: str
    expiry_month: int
    expiry_year: int
    fingerprint: str
    card_token: str
    avs_result: str | None = None
    cvc_result: str | None = None

    def checked(self, avs_result: str | None, cvc_result: str | None) -> "CardSummary":
        return replace(self, avs_result=avs_result, cvc_result=cvc_result)

    def view(self) -> dict[str, Any]:
        return {
            "brand": self.brand,
            "last4": self.last4,
            "bin": self.bin,
            "expiry_month": self.expiry_month,
            "expiry_year": self.expiry_year,
            "fingerprint": self.fingerprint,
            "card_token": self.card_token,
            "avs_result": self.avs_result,
            "cvc_result": self.cvc_result,
        }


@dataclass(frozen=True, slots=True)
class StoredCard:
    """What may be shown of a card that the vault keeps, and since when it is there."""

    summary: CardSummary
    created_at: datetime

    def view(self) -> dict[str, Any]:
        """The card as its merchant sees it."""
        summary = self.summary
        return {
            "id": summary.card_token,
            "brand": summary.brand,
            "last4": summary.last4,
            "bin": summary.bin,
            "expiry_month": summary.expiry_month,
            "expiry_year": summary.expiry_year,
            "fingerprint": summary.fingerprint,
            "created_at": timestamp(self.created_at),
        }


@dataclass(frozen=True, slots=True)
class SealedCard:
    """A card as the vault keeps it: ciphertext under a data key, the data key under a key-encryption key."""

    token: str
    merchant_id: str
    key_version: int
    sealed: bytes
    summary: CardSummary

    def erased(self, at: datetime) -> Fact:
        """The only fact of a card: what it was is told by the payments that were made with it."""
        return CardErased(self.merchant_id, self.token, 1, at, {"id": self.token, "last4": self.summary.last4})
