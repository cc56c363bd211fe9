"""What a caller may ask of the acquirer: one order, read by hand from JSON and checked at the border."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

REFERENCE_MAX = 255
URL_MAX = 2048
AMOUNT_MAX = 10**15


class Kind(StrEnum):
    """What an operation does with money; `cancel` is the tombstone of one that must never happen."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    TRANSFER = "transfer"
    CANCEL = "cancel"


class OrderError(ValueError):
    """The request cannot be understood; names the field, never its value."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as sent by the merchant. Never printed: its repr shows nothing."""

    number: str = field(repr=False)
    expiry_month: int = field(repr=False)
    expiry_year: int = field(repr=False)

    @property
    def last4(self) -> str:
        return self.number[-4:]


@dataclass(frozen=True, slots=True)
class Order:
    """One request that would move money, to be done before `expires_at` or not at all.

    `amount_minor` and `currency` are 0 and "" for a void, which takes them from the authorization.
    """

    kind: Kind
    reference: str
    amount_minor: int = 0
    currency: str = ""
    expires_at: datetime | None = None
    authorization_id: str | None = None
    card: Card | None = None
    capture: bool = False
    direction: str | None = None
    return_url: str | None = None
    """Where the payer goes after a challenge."""
    public_url: str = ""
    """Where payers reach the bank; it stands before the path of a challenge."""

    @property
    def asked(self) -> str:
        """The order in one line, without secrets: equal for a true repeat of the same order."""
        if self.card is not None:
            return f"{self.kind} {self.amount_minor} {self.currency} {self.card.last4} {self.capture:d}"
        return f"{self.kind} {self.amount_minor} {self.currency} {self.authorization_id or self.direction}"


def read_order(kind: Kind, body: bytes, authorization_id: str | None = None, public_url: str = "") -> Order:
    """The order in a request's body; `authorization_id` is the path's, `public_url` the bank's own address.
    Raises `OrderError`."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise OrderError("the body is not JSON") from None
    if not isinstance(document, dict):
        raise OrderError("the body is not an object")
    expires_at = read_time(document["expires_at"]) if document.get("expires_at") is not None else None
    reference = read_reference(document.get("reference"))
    if kind is Kind.VOID:
        return Order(kind, reference, expires_at=expires_at, authorization_id=authorization_id)
    direction = None
    if kind is Kind.REFUND:
        authorization_id = _text(document, "authorization_id", REFERENCE_MAX)
    elif kind is Kind.TRANSFER:
        direction = _text(document, "direction", 10)
        if direction not in ("deposit", "withdrawal"):
            raise OrderError("direction is neither deposit nor withdrawal")
    return Order(
        kind,
        reference,
        _amount(document),
        _currency(document),
        expires_at,
        authorization_id,
        _card(document) if kind is Kind.AUTHORIZATION else None,
        document.get("capture") is True,
        direction,
        _return_url(document) if kind is Kind.AUTHORIZATION else None,
        public_url,
    )


def read_reference(value: Any) -> str:
    """An operation's reference: 1 to 255 printable ASCII characters. Raises `OrderError`."""
    if isinstance(value, str) and 0 < len(value) <= REFERENCE_MAX and value.isascii() and value.isprintable():
        return value
    raise OrderError("reference is not 1 to 255 printable ASCII characters")


def read_time(value: Any) -> datetime:
    """An ISO 8601 time with its zone, in UTC. Raises `OrderError`."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise OrderError("a time is not ISO 8601") from None
    if moment.tzinfo is None:
        raise OrderError("a time has no zone")
    return moment.astimezone(UTC)


def _text(document: Mapping[str, Any], name: str, longest: int) -> str:
    value = document.get(name)
    if isinstance(value, str) and 0 < len(value) <= longest:
        return value
    raise OrderError(f"{name} is not a text of 1 to {longest} characters")


def _return_url(document: Mapping[str, Any]) -> str | None:
    value = document.get("return_url")
    if value is None or is_web_address(value):
        return value
    raise OrderError("return_url is not an http or https address of at most 2048 characters")


def is_web_address(value: Any) -> bool:
    """Whether it can stand in a link: http or https and a host, printable ASCII without blanks, not too long."""
    if not (isinstance(value, str) and len(value) <= URL_MAX and value.isascii() and value.isprintable()):
        return False
    scheme, _, rest = value.partition("://")
    return scheme.lower() in ("http", "https") and bool(rest) and rest[0] not in "/?#" and " " not in value


def _amount(document: Mapping[str, Any]) -> int:
    value = document.get("amount_minor")
    if type(value) is int and 0 < value <= AMOUNT_MAX:
        return value
    raise OrderError("amount_minor is not a positive integer")


def _currency(document: Mapping[str, Any]) -> str:
    value = document.get("currency")
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper():
        return value
    raise OrderError("currency is not three capital letters")


def _card(document: Mapping[str, Any]) -> Card:
    card = document.get("card")
    if not isinstance(card, dict):
        raise OrderError("card is not an object")
    number, month, year, cvc = (card.get(name) for name in ("number", "expiry_month", "expiry_year", "cvc"))
    if not (isinstance(number, str) and 12 <= len(number) <= 19 and number.isascii() and number.isdigit()):
        raise OrderError("card.number is not 12 to 19 digits")
    if not (type(month) is int and 1 <= month <= 12):
        raise OrderError("card.expiry_month is not 1 to 12")
    if not (type(year) is int and 2000 <= year <= 2199):
        raise OrderError("card.expiry_year is not a year of four digits")
    if cvc is not None and not (isinstance(cvc, str) and 3 <= len(cvc) <= 4 and cvc.isascii() and cvc.isdigit()):
        raise OrderError("card.cvc is not 3 or 4 digits")
    return Card(number, month, year)
