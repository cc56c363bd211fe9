"""Every body of the OpenAPI document, made bad in every way that does not depend on what it says; and fields that the
service alone decides, sent by the caller. Refused, with the documented problem and no row."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.docs import describe
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_MERCHANT_ID
from fakes import World
from fakes.requests import PAN

JSON = "application/json"
Sent = tuple[str, str, dict[str, Any]]
"""Method, path, and the first example of its body."""


def _bodies() -> list[Sent]:
    found = []
    for path, operations in describe(create_app(World().till, environment="test", version="1"), "1")["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get(JSON)
            if content and path.startswith("/api/"):
                found.append((method.upper(), path, next(iter(content["examples"].values()))["value"]))
    return found


BODIES = _bodies()
EACH_BODY = pytest.mark.parametrize("sent", BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])


def whole(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def with_more(literal: str) -> Callable[[dict[str, Any]], bytes]:
    """The example with one field more, written literally."""
    return lambda body: (json.dumps(body)[:-1] + (", " if body else "") + literal + "}").encode()


# name, status, code, media type, the body made of the example
BAD: list[tuple[str, int, str, str, Callable[[dict[str, Any]], bytes]]] = [
    ("text", 400, "malformed_request", JSON, lambda _: b"hello"),
    ("truncated", 400, "malformed_request", JSON, lambda body: whole(body)[:-1]),
    ("trailing", 400, "malformed_request", JSON, lambda body: whole(body) + b"]"),
    ("twice", 400, "malformed_request", JSON, lambda body: whole(body) * 2),
    ("not_utf8", 400, "malformed_request", JSON, lambda _: b'{"a": "\xff"}'),
    ("utf16", 400, "malformed_request", JSON, lambda body: json.dumps(body).encode("utf-16")),
    ("key_twice", 400, "malformed_request", JSON, with_more('"a": 1, "a": 1')),
    ("key_twice_inside", 400, "malformed_request", JSON, with_more('"a": {"b": 1, "b": 2}')),
    ("bottomless", 400, "malformed_request", JSON, lambda _: b'{"a":' * 12_000),
    ("array", 422, "invalid_body", JSON, lambda body: json.dumps([body]).encode()),
    ("null", 422, "invalid_body", JSON, lambda _: b"null"),
    ("number", 422, "invalid_body", JSON, lambda _: b"1e999999"),
    ("string", 422, "invalid_body", JSON, lambda _: b'"{}"'),
    ("unknown_field", 422, "invalid_body", JSON, with_more('"amuont": 1')),
    ("unknown_nan", 422, "invalid_body", JSON, with_more('"a": NaN')),
    ("unknown_card_number", 422, "invalid_body", JSON, with_more(f'"{PAN}": "{PAN}"')),
    ("prototype", 422, "invalid_body", JSON, with_more('"__proto__": {"admin": true}')),
    ("form", 415, "unsupported_media_type", "application/x-www-form-urlencoded", whole),
    ("plain", 415, "unsupported_media_type", "text/plain", whole),
    ("latin1", 415, "unsupported_media_type", "application/json; charset=latin-1", whole),
    ("too_large", 413, "body_too_large", JSON, lambda body: whole(body) + b" " * 65_536),
]


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Whom nothing is refused for want of a scope."""
    app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
    headers = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}", "Idempotency-Key": "bad"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://till.example", headers=headers) as client:
        yield client


async def refused(client: httpx.AsyncClient, world: World, sent: Sent, body: bytes, media_type: str) -> dict[str, Any]:
    """The problem that it is answered with, once it is sure that nothing else came of it."""
    method, path, _ = sent
    at = path.replace("{id}", DEMO_MERCHANT_ID if "/merchants/" in path else "pay_1")
    rows, facts, asked = world.memory.rows, len(world.memory.facts), len(world.bank.asked)
    answer = await client.request(method, at, content=body, headers={"Content-Type": media_type})
    assert (world.memory.rows, len(world.memory.facts), len(world.bank.asked)) == (rows, facts, asked)
    assert answer.headers["content-type"] == "application/problem+json"
    assert PAN not in answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == answer.status_code
    return found


@EACH_BODY
@pytest.mark.parametrize("bad", BAD, ids=[name for name, *_ in BAD])
async def test_a_bad_body_is_refused_on_every_route(
    admin: httpx.AsyncClient, world: World, sent: Sent, bad: Any
) -> None:
    _, status, code, media_type, made = bad
    problem = await refused(admin, world, sent, made(sent[2]), media_type)
    assert (problem["status"], problem["code"]) == (status, code)


DECIDED_HERE = {
    "id": "pay_01kabcdefghjkmnpqrstvwxyz0", "status": "captured", "amount_minor": 1, "amount_captured": 1,
    "amount_refunded_minor": 0, "bank_reference": "x", "decline": None, "needs_review": None, "balance": 1_000_000,
    "merchant": "merchant_456", "admin": True, "is_admin": True, "secret": "x", "api_key": "x", "version": 1,
    "created_at": "2026-01-15T12:00:00Z", "trace_id": "x",
}  # fmt: skip
"""What views show, and what attackers try."""


@EACH_BODY
async def test_mass_assignment_is_422_on_every_route(admin: httpx.AsyncClient, world: World, sent: Sent) -> None:
    for name, value in DECIDED_HERE.items():
        if name in sent[2]:  # a login's own
            continue
        problem = await refused(admin, world, sent, whole({**sent[2], name: value}), JSON)
        assert (problem["status"], problem["errors"]) == (422, [{"field": name, "reason": "is not a known field"}])


IN_ANOTHERS_CURRENCY = {"/api/v1/refunds", "/api/v1/payments/{id}/refund", "/api/v1/payments/{id}/capture"}
"""Where an amount is read once it is known which payment it is about."""
OF_NO_FIELD: list[Any] = [[[]], {"a": {"b": {}}}, "a\0b", "\ud800", PAN, "x" * 20_000]


@EACH_BODY
@pytest.mark.parametrize("value", OF_NO_FIELD, ids=["list", "object", "nul", "surrogate", "card_number", "long"])
async def test_a_value_that_fits_no_field_is_422_and_named(
    admin: httpx.AsyncClient, world: World, sent: Sent, value: Any
) -> None:
    for name in sent[2]:
        if name == "card_data" or (name == "amount" and sent[1] in IN_ANOTHERS_CURRENCY):
            continue  # they have tables of their own
        problem = await refused(admin, world, sent, whole({**sent[2], name: value}), JSON)
        assert problem["status"] == 422
        assert name in [error["field"].partition(".")[0] for error in problem["errors"]]


def test_every_route_with_a_body_is_among_them() -> None:
    assert len(BODIES) * len(BAD) >= 150
    paths = {path for _, path, _ in BODIES}
    assert paths >= {"/api/v1/deposits", "/api/v1/withdrawals", "/api/v1/merchants", "/api/v1/webhook-endpoints"}
