"""The kinds of field that request bodies are made of: each checks one value and says how OpenAPI shows it."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NoReturn

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from cleartill.api.body import Number
from cleartill.api.pan import holds_pan
from cleartill.domain.card import Cvv, Pan, Secret
from cleartill.domain.errors import InvalidCard

MAX_METADATA_KEYS = 50
MAX_METADATA_DEPTH = 3
MAX_METADATA_BYTES = 8 * 1024
_SAFE_INTEGER = 2**53 - 1
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(eq=False, slots=True)
class Kind:
    """For `Annotated`: `check` makes the field's value of what was parsed, `schema` is what OpenAPI shows."""

    check: Callable[[Any], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def _refuse(reason: str) -> NoReturn:
    raise PydanticCustomError("field", "{reason}", {"reason": reason})


def _text(value: object, most: int) -> str:
    """A string that PostgreSQL can hold and that hides no card number (TRUST 16, I10)."""
    if not isinstance(value, str):
        _refuse("must be a string")
    if not 0 < len(value) <= most:
        _refuse(f"must have 1 to {most} characters")
    _storable(value)
    return value


def _storable(value: str) -> None:
    if "\0" in value:
        _refuse("must not hold NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            _refuse("must not hold a lone surrogate")
    if holds_pan(value):
        _refuse("must not hold a card number")


def text(most: int, pattern: str | None = None, **schema: Any) -> Kind:
    """A string of 1 to `most` characters, matching `pattern` as a whole."""
    matcher = re.compile(pattern) if pattern else None

    def check(value: object) -> str:
        found = _text(value, most)
        if matcher and not matcher.fullmatch(found):
            _refuse("has characters or a form that is not allowed")
        return found

    shown: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": most, **schema}
    if pattern:
        shown["pattern"] = f"^{pattern}$"
    return Kind(check, shown)


# ── money and orders ──────────────────────────────────────────────────────────────────────────────────────────────────


def _amount(value: object) -> str:
    """As written; what it is worth is decided against the currency (domain.money)."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    _refuse("must be a number or a string")


def _order_id(value: object) -> str | int:
    if isinstance(value, Number):
        if not _INTEGER.fullmatch(value.text):
            _refuse("must be a string or an integer of at most 18 digits")
        _storable(value.text)
        return int(value.text)
    return _text(value, 255)


Amount = Annotated[
    str,
    Kind(
        _amount,
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^[0-9]{1,13}(\.[0-9]+)?$"},
            ],
            "description": "Major units, exact: at most the currency's own number of decimals, no exponent.",
            "examples": [99.99, "99.99", 500],
        },
    ),
]
OrderId = Annotated[
    str | int,
    Kind(
        _order_id,
        {
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "integer"}],
            "description": "Yours; it comes back as given.",
            "examples": ["order-4711", 4711],
        },
    ),
]

# ── cards ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pan(value: object) -> Pan:
    if not isinstance(value, str) or len(value) > 40:
        _refuse("must be a string of 12 to 19 digits")
    try:
        return Pan(value)
    except InvalidCard as error:
        reason = str(error)
    _refuse(reason)


def _cvv(value: object) -> Cvv:
    if not isinstance(value, str):
        _refuse("must be a string of three or four digits")
    try:
        return Cvv(value)
    except InvalidCard as error:
        reason = str(error)
    _refuse(reason)


def _whole(value: object, pattern: str) -> int | None:
    written = value.text if isinstance(value, Number) else value
    return int(written) if isinstance(written, str) and re.fullmatch(pattern, written) else None


def _month(value: object) -> int:
    month = _whole(value, "[0-9]{1,2}")
    if month is None or not 1 <= month <= 12:
        _refuse("must be 1 to 12")
    return month


def _year(value: object) -> int:
    """Two digits mean 20xx. A year that is past is no mistake of form: the card is declined as expired."""
    year = _whole(value, "[0-9]{2}|(19|20)[0-9]{2}")
    if year is None:
        _refuse("must be a year of four digits, at most 2099")
    return year + 2000 if year < 100 else year


CardNumber = Annotated[
    Pan,
    Kind(
        _pan,
        {
            "type": "string",
            "pattern": "^[0-9][0-9 -]{10,38}[0-9]$",
            "description": "Spaces and dashes are dropped.",
            "examples": ["4242424242424242"],
            "writeOnly": True,
        },
    ),
]
CardCvv = Annotated[
    Cvv, Kind(_cvv, {"type": "string", "pattern": "^[0-9]{3,4}$", "examples": ["123"], "writeOnly": True})
]
CardHolder = Annotated[
    Secret,
    Kind(
        lambda value: Secret(_text(value, 100)),
        {"type": "string", "minLength": 1, "maxLength": 100, "examples": ["Ada Lovelace"], "writeOnly": True},
    ),
]
Month = Annotated[
    int,
    Kind(
        _month,
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 12},
                {"type": "string", "pattern": "^(0?[1-9]|1[0-2])$"},
            ],
            "examples": [12],
        },
    ),
]
Year = Annotated[
    int,
    Kind(
        _year,
        {
            "anyOf": [
                {"type": "integer", "minimum": 10, "maximum": 99},
                {"type": "integer", "minimum": 1900, "maximum": 2099},
                {"type": "string", "pattern": "^([0-9]{2}|(19|20)[0-9]{2})$"},
            ],
            "description": "Four digits; two mean 20xx.",
            "examples": [2030],
        },
    ),
]

# ── metadata ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _metadata(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse("must be an object")
    keys = 0

    def plain(one: Any, depth: int) -> Any:
        nonlocal keys
        match one:
            case None | bool():
                return one
            case str():
                _storable(one)
                return one
            case Number():
                return _exact(one.text)
        if depth > MAX_METADATA_DEPTH:
            _refuse(f"must not be nested deeper than {MAX_METADATA_DEPTH}")
        if isinstance(one, list):
            return [plain(item, depth + 1) for item in one]
        keys += len(one)
        if keys > MAX_METADATA_KEYS:
            _refuse(f"must not have more than {MAX_METADATA_KEYS} keys")
        for key in one:
            _storable(key)
        return {key: plain(item, depth + 1) for key, item in one.items()}

    made: dict[str, Any] = plain(value, 1)
    if len(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_METADATA_BYTES:
        _refuse(f"must not take more than {MAX_METADATA_BYTES} bytes")
    return made


def _exact(written: str) -> int | float:
    """A number that every JSON reader gives back as it was written (RFC 7493, 2.2)."""
    _storable(written)
    if len(written) <= 40:
        if _INTEGER.fullmatch(written):
            if abs(whole := int(written)) <= _SAFE_INTEGER:
                return whole
        else:
            number = float(written)
            if math.isfinite(number) and Decimal(repr(number)) == Decimal(written):
                return number
    _refuse("holds a number that cannot be kept exactly; send a string")


Metadata = Annotated[
    dict[str, Any],
    Kind(
        _metadata,
        {
            "type": "object",
            "maxProperties": MAX_METADATA_KEYS,
            "description": "Yours; at most 50 keys, 3 levels, 8 KiB, and nothing that looks like a card number.",
            "examples": [{"cart": "c-17", "items": 3}],
        },
    ),
]
