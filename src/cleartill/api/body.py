"""Reading a request's JSON body: bounded in size (and in time, by `protocol`), parsed exactly, then checked against
its model."""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from cleartill.api.arrival import REFUSAL, arrival
from cleartill.api.errors import BodyTooLarge, FieldError, InvalidBody, MalformedRequest, UnsupportedMediaType
from cleartill.api.pan import holds_pan

MAX_BODY_BYTES = 64 * 1024
MAX_ERRORS = 20

_JSON_MEDIA_TYPE = re.compile(rb'application/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_REASONS = {"missing": "is required", "extra_forbidden": "is not a known field"}


class Number:
    """A JSON number as it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "Number(****)"


class Body(BaseModel):
    """The base of all request bodies: unknown fields are refused, and no value is ever part of an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


def body_of(model: type[Body], examples: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI says about a body that `read_body` reads; `docs` adds the schema itself."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": required, "content": {"application/json": content}}}


_B = TypeVar("_B", bound=Body)


async def read_body(request: Request, model: type[_B], *, may_be_absent: bool = False) -> _B:
    """The body as its model. Raises UnsupportedMediaType, BodyTooLarge, RequestTooSlow, MalformedRequest, InvalidBody.

    `may_be_absent`: no body is the empty object.
    """
    headers = arrival(request).headers
    media_type = headers.get(b"content-type")
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 9 or int(declared) > MAX_BODY_BYTES):
        raise BodyTooLarge(f"A body may take {MAX_BODY_BYTES} bytes")
    if media_type is None and may_be_absent and not await _read(request):
        return _check(model, {})
    if media_type is None or not _JSON_MEDIA_TYPE.fullmatch(media_type):
        raise UnsupportedMediaType("Content-Type must be application/json, in UTF-8")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Content-Encoding is not supported")
    read = await _read(request)
    return _check(model, {} if may_be_absent and not read else parse(read))


async def read_raw(request: Request) -> bytes:
    """A body whose very bytes are signed. Raises BodyTooLarge, RequestTooSlow, MalformedRequest."""
    return await _read(request)


async def _read(request: Request) -> bytes:
    """All of the body, or nothing: too large, it is not read to its end."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise request.scope.get(REFUSAL) or MalformedRequest("The request ended before its body did")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge(f"A body may take {MAX_BODY_BYTES} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def parse(raw: bytes) -> Any:
    """JSON (RFC 8259), numbers as written. Raises MalformedRequest; a key sent twice is malformed (RFC 7493, 2.3)."""
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise MalformedRequest("The body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"The body is not JSON, at character {error.pos}") from None
    except RecursionError:
        raise MalformedRequest("The body is nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedRequest("An object in the body has the same key twice")
    return made


# NaN and Infinity are taken for numbers here, so that the field which holds one can be named when it is refused.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Number, parse_int=Number, parse_constant=Number)


def _check(model: type[_B], value: Any) -> _B:
    if not isinstance(value, dict):
        raise InvalidBody([FieldError("", "must be an object")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    raise InvalidBody([_field_error(model, one) for one in found])


def _field_error(model: type[Body], error: ErrorDetails) -> FieldError:
    """A name is the caller's text too, and is shown only if it looks like one. An error that a check of the whole
    model raises has the field it is about as its type."""
    kind = error["type"]
    loc = error["loc"] or ((kind,) if kind in model.model_fields else ("?",))
    names = [str(name) for name in loc]
    shown = [name if _FIELD_NAME.fullmatch(name) and not holds_pan(name) else "?" for name in names]
    return FieldError(".".join(shown), _REASONS.get(kind, error["msg"]))
