"""Problems: the one table that maps what was refused to HTTP, and their RFC 9457 rendering."""

import json
import logging
import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from cleartill.api.pan import holds_pan
from cleartill.domain import errors as domain
from cleartill.ports import Visit

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("cleartill.api")


# ── what only HTTP refuses ────────────────────────────────────────────────────────────────────────────────────────────


class MalformedRequest(domain.CleartillError):
    code = "malformed_request"


class InvalidIdempotencyKey(domain.CleartillError):
    code = "invalid_idempotency_key"


class RequestTooSlow(domain.CleartillError):
    code = "request_timeout"


class BodyTooLarge(domain.CleartillError):
    code = "body_too_large"


class HeadersTooLarge(domain.CleartillError):
    code = "headers_too_large"


class UnsupportedMediaType(domain.CleartillError):
    code = "unsupported_media_type"


class RateLimited(domain.CleartillError):
    code = "rate_limited"

    def __init__(self, rule: str, most: int, retry_after_s: float) -> None:
        super().__init__(f"More than {most} requests a minute ({rule})")
        self.retry_after_s = retry_after_s


class CsrfFailed(domain.CleartillError):
    code = "csrf_failed"


class ShuttingDown(domain.Unavailable):
    code = "shutting_down"


@dataclass(frozen=True, slots=True)
class FieldError:
    """`field`: its path with dots. `reason`: for people; never the value."""

    field: str
    reason: str


class InvalidBody(domain.Invalid):
    code = "invalid_body"
    where = "body"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(f"The {self.where} is not valid; see errors")
        self.errors = errors


class InvalidQuery(InvalidBody):
    code = "invalid_query"
    where = "query"


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    title: str
    retryable: bool = False
    headers: Mapping[str, str] | None = None
    field: str | None = None
    """For a 422 that the domain found: the field it is about."""


_CLOSE = {"Connection": "close"}
_TABLE: dict[type[Exception], _Row] = {
    MalformedRequest: _Row(400, "Malformed request"),
    InvalidIdempotencyKey: _Row(400, "Invalid idempotency key"),
    domain.Unauthenticated: _Row(401, "Not authenticated", headers={"WWW-Authenticate": 'Bearer realm="cleartill"'}),
    domain.BadSignature: _Row(401, "Not authentic"),
    domain.LoginFailed: _Row(401, "Login failed", headers={"WWW-Authenticate": 'Bearer realm="cleartill"'}),
    CsrfFailed: _Row(403, "Not from our own page"),
    domain.MissingScope: _Row(403, "Missing scope"),
    domain.NotYourMerchant: _Row(403, "Not your merchant"),
    domain.NotFound: _Row(404, "Not found"),
    RequestTooSlow: _Row(408, "Request too slow", retryable=True, headers=_CLOSE),
    domain.Refused: _Row(409, "Not possible now"),
    domain.InsufficientFunds: _Row(409, "Insufficient funds"),
    domain.InDoubtNow: _Row(409, "In doubt", retryable=True),
    domain.IdempotencyInProgress: _Row(409, "In progress", retryable=True),
    domain.IdempotencyKeyReused: _Row(409, "Idempotency key reused"),
    domain.EmailTaken: _Row(409, "E-mail address taken"),
    BodyTooLarge: _Row(413, "Body too large", headers=_CLOSE),
    UnsupportedMediaType: _Row(415, "Unsupported media type"),
    domain.Invalid: _Row(422, "Invalid"),
    domain.InvalidAmount: _Row(422, "Invalid", field="amount"),
    domain.UnknownCurrency: _Row(422, "Invalid", field="currency"),
    domain.InvalidCard: _Row(422, "Invalid", field="card_data"),
    domain.InvalidUrl: _Row(422, "Invalid", field="url"),
    RateLimited: _Row(429, "Too many requests", retryable=True),
    HeadersTooLarge: _Row(431, "Headers too large", headers=_CLOSE),
    domain.Unavailable: _Row(503, "Nothing was sent; try again", retryable=True),
}
_UNEXPECTED = _Row(500, "Internal error")
_ROUTERS_OWN = {
    404: ("not_found", "There is nothing at this address"),
    405: ("method_not_allowed", "This address does not take this method; see Allow"),
}


def _row(exc: Exception) -> _Row:
    return next((_TABLE[kind] for kind in type(exc).__mro__ if kind in _TABLE), _UNEXPECTED)


def problem(scope: Scope, exc: Exception) -> Response:
    """The answer to a request that `exc` ended. An exception that nobody foresaw is logged, and tells nothing."""
    if isinstance(exc, HTTPException):  # the router's own
        code, detail = _ROUTERS_OWN.get(exc.status_code, ("http_error", None))
        return _render(scope, exc.status_code, code, exc.detail, detail, False, dict(exc.headers or {}), ())
    row = _row(exc)
    if row is _UNEXPECTED or not isinstance(exc, domain.CleartillError):
        _log_unexpected(scope, exc)
        return _render(scope, 500, "internal_error", _UNEXPECTED.title, None, False, {}, ())
    headers = dict(row.headers or {})
    retry_after_s = getattr(exc, "retry_after_s", None)
    if retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    detail = str(exc)
    errors: Sequence[FieldError] = ()
    if isinstance(exc, InvalidBody):
        errors = exc.errors
    elif row.field is not None:
        errors = [FieldError(row.field, detail)]
    return _render(scope, row.status, exc.code, row.title, detail, row.retryable, headers, errors)


def _render(
    scope: Scope,
    status: int,
    code: str,
    title: str,
    detail: str | None,
    retryable: bool,
    headers: dict[str, str],
    errors: Sequence[FieldError],
) -> Response:
    visit: Visit = scope["cleartill.visit"]
    visit.problem_code = code
    path = scope["path"]
    body: dict[str, Any] = {
        "type": f"urn:cleartill:problem:{code}",
        "title": title,
        "status": status,
        **({"detail": detail} if detail else {}),
        "instance": "/" if holds_pan(path) else path,
        "code": code,
        "request_id": visit.request_id,
        "trace_id": visit.trace_id,
        "retryable": retryable,
    }
    if status == 422:
        body["errors"] = [{"field": error.field, "reason": error.reason} for error in errors]
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def _log_unexpected(scope: Scope, exc: Exception) -> None:
    """Where it happened, and of which kind: no message and no locals, for either may hold what a caller sent."""
    visit: Visit = scope["cleartill.visit"]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)]
    log.error(
        "unexpected %s at %s",
        type(exc).__name__,
        " < ".join(reversed(where[-12:])),
        extra={"request_id": visit.request_id, "trace_id": visit.trace_id},
    )


# ── what OpenAPI says about them ──────────────────────────────────────────────────────────────────────────────────────


class ProblemField(BaseModel):
    field: str = Field(description="Path of the field, with dots.", examples=["card_data.card_number"])
    reason: str = Field(description="What is wrong with it; never the value.", examples=["is not a card number"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:cleartill:problem:invalid_body"])
    title: str = Field(examples=["Invalid"])
    status: int = Field(examples=[422])
    detail: str | None = Field(None, examples=["The body is not valid; see errors"])
    instance: str = Field(examples=["/api/v1/payments/process"])
    code: str = Field(description="For programs.", examples=["invalid_body"])
    request_id: str = Field(examples=["req_01kabcdefghjkmnpqrstvwxyz0"])
    trace_id: str = Field(examples=["4bf92f3577b34da6a3ce929d0e0e4736"])
    retryable: bool = Field(description="Whether the same request may succeed later.")
    errors: list[ProblemField] | None = Field(None, description="With 422 only.")


_MEANINGS = {
    400: "Malformed: not JSON, a repeated key or header, a bad Idempotency-Key",
    401: "No valid API key, and no session",
    403: "The key lacks the scope, or names another merchant; under a cookie: `X-CSRF-Token` is wrong",
    404: "No such object of this merchant's",
    405: "Not with this method",
    408: "The body did not arrive in time",
    409: "The state, the amount left or the idempotency key forbids it",
    413: "Body over 64 KiB",
    415: "The body must be application/json",
    422: "A field is missing, unknown or invalid",
    431: "Headers over 16 KiB",
    500: "Internal error",
    503: "Nothing was sent; try again",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route; those every route has are added."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _MEANINGS[status], "content": content} for status in sorted({*statuses, 400, 431, 500})
    }
