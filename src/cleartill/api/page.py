"""Lists: what may be asked of one (the query string), where its next page begins (the cursor), how a page looks."""

import base64
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, Protocol, TypeVar
from urllib.parse import parse_qsl

from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from cleartill.api.errors import FieldError, InvalidQuery, MalformedRequest
from cleartill.api.fields import Kind, text
from cleartill.api.pan import holds_pan
from cleartill.api.route import send_view
from cleartill.ports import Listed, Vault

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
MAX_PARAMETERS = 50
"""In one query string, repeated ones counted."""
_MARK_LENGTH = 32  # hex digits: 128 bits
_CURSOR = re.compile(r"([a-z]{1,8}_[0-9a-z]{1,32})~([0-9a-f]{32})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_FROM_YEAR, _TO_YEAR = 1970, 2999


class Shown(Protocol):
    """What a list is made of."""

    def view(self) -> dict[str, Any]: ...


_T = TypeVar("_T", bound=Shown)

# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parameter:
    """`several`: it may be sent more than once, or once with commas, and is read as a frozenset."""

    name: str
    kind: Kind
    description: str
    several: bool = False

    def described(self) -> dict[str, Any]:
        """What OpenAPI says about it."""
        schema = dict(self.kind.schema)
        (example,) = schema.pop("examples")
        if self.several:
            schema, example = {"type": "array", "items": schema}, [example]
        return {
            "name": self.name,
            "in": "query",
            "required": False,
            "description": self.description,
            "schema": schema,
            "example": example,
        }

    def read(self, sent: Sequence[str]) -> Any:
        """Raises PydanticCustomError, which says why and not what."""
        if self.several:
            return frozenset(self.kind.check(one) for part in sent for one in part.split(","))
        if len(sent) > 1:
            _refuse("must not be sent more than once")
        return self.kind.check(sent[0])


def _refuse(reason: str) -> NoReturn:
    raise PydanticCustomError("field", "{reason}", {"reason": reason})


def _limit(value: object) -> int:
    limit = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,3}", value) else 0
    if not 1 <= limit <= MAX_LIMIT:
        _refuse(f"must be 1 to {MAX_LIMIT}")
    return limit


def _time(value: object) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        _refuse("must be an RFC 3339 time, as 2026-01-15T12:00:00Z; in a URL, + is written %2B")
    try:
        at = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse("is not a time that there is")
    if not _FROM_YEAR <= at.year <= _TO_YEAR:
        _refuse(f"must lie between {_FROM_YEAR} and {_TO_YEAR}")
    return at


def one_of(words: type[StrEnum], example: StrEnum) -> Kind:
    """One of these words."""

    def check(value: object) -> StrEnum:
        found = next((word for word in words if word == value), None)
        if found is None:
            _refuse(f"must be one of {', '.join(words)}")
        return found

    return Kind(check, {"type": "string", "enum": [str(word) for word in words], "examples": [str(example)]})


_MOMENT = {"type": "string", "format": "date-time"}
PROVIDER = Parameter("provider", text(32, "[a-z][a-z0-9_]*", examples=["bank"]), "Who moved the money.")
PAGING = (
    Parameter(
        "created_from",
        Kind(_time, {**_MOMENT, "examples": ["2026-01-15T00:00:00Z"]}),
        "Made at this time or later (RFC 3339).",
    ),
    Parameter(
        "created_to",
        Kind(_time, {**_MOMENT, "examples": ["2026-01-16T00:00:00Z"]}),
        "Made before this time (RFC 3339), so that one day ends where the next begins.",
    ),
    Parameter(
        "limit",
        Kind(
            _limit,
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT, "examples": [50]},
        ),
        "How many at most.",
    ),
    Parameter(
        "cursor",
        text(128, "[A-Za-z0-9_-]+", examples=["cGF5XzAxa2FiY2RlZmdoamttbnBxcnN0dnd4eXowfjRiZjkyZjM1"]),
        "`next_cursor` of the page before, with the same filters.",
    ),
)
"""What every list takes."""


def read_query(request: Request, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """What was asked, by name, without what was not. Raises MalformedRequest; InvalidQuery for a parameter that is not
    known, makes no sense or comes twice."""
    asked: dict[str, list[str]] = {}
    for name, value in _pairs(request.scope["query_string"]):
        asked.setdefault(name, []).append(value)
    known = {parameter.name: parameter for parameter in parameters}
    errors, read = [], {}
    for name, sent in asked.items():
        if name not in known:
            shown = name if _NAME.fullmatch(name) and not holds_pan(name) else "?"
            errors.append(FieldError(shown, "is not a known parameter"))
            continue
        try:
            read[name] = known[name].read(sent)
        except PydanticCustomError as refusal:
            errors.append(FieldError(name, refusal.message()))
    created_from, created_to = read.get("created_from"), read.get("created_to")
    if created_from and created_to and created_from >= created_to:
        errors.append(FieldError("created_to", "must be later than created_from"))
    if errors:
        raise InvalidQuery(errors)
    return read


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        written = query.decode("ascii")
        if not _BAD_ESCAPE.search(written):
            pairs = parse_qsl(written, keep_blank_values=True, errors="strict")
            if len(pairs) <= MAX_PARAMETERS:
                return pairs
            raise InvalidQuery([FieldError("", f"must not have more than {MAX_PARAMETERS} parameters")])
    except UnicodeDecodeError:
        pass
    raise MalformedRequest("The query is not percent-encoded UTF-8")


# ── cursors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which list: a cursor is good for one merchant's list with one set of filters, and for nothing else. It
    tells the last id of its page, under a mark that only we can make."""

    vault: Vault
    merchant_id: str
    list: str
    filters: Mapping[str, Any]

    def cursor(self, id: str) -> str:
        """For the page that begins below this id."""
        return base64.urlsafe_b64encode(f"{id}~{self._mark(id)}".encode()).decode().rstrip("=")

    def id_in(self, cursor: str) -> str:
        """Raises InvalidQuery for a cursor that was not made by `cursor` of the same place."""
        try:
            found = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
        except ValueError:  # of which binascii's and Unicode's are kinds
            found = None
        if found is None or not hmac.compare_digest(found[2], self._mark(found[1])):
            raise InvalidQuery([FieldError("cursor", "is not a next_cursor of this list with these filters")])
        return found[1]

    def _mark(self, id: str) -> str:
        told = {name: sorted(map(str, value)) if isinstance(value, frozenset) else str(value)
                for name, value in self.filters.items() if name not in ("limit", "cursor")}  # fmt: skip
        about = json.dumps([self.merchant_id, self.list, told, id], sort_keys=True)
        return self.vault.mark("cursor", about)[:_MARK_LENGTH]


def send_page(place: Place, listed: Listed[_T]) -> Response:
    """A page, as `PaymentPage` describes it, and those of other lists."""
    return send_view(
        {
            "data": [one.view() for one in listed.items],
            "has_more": listed.next is not None,
            "next_cursor": None if listed.next is None else place.cursor(listed.next),
        }
    )
