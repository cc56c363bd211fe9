"""Headers too large, sent twice, or an idempotency key that is none."""

import json

import httpx
import pytest

from fakes import World
from fakes.requests import CHARGE, PAN, PROCESS, problem_of

JSON = {"Content-Type": "application/json"}
WHOLE = json.dumps(CHARGE).encode()


async def test_headers_over_16_kib_are_431(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(PROCESS, content=WHOLE, headers={**JSON, "X-Padding": "x" * 16 * 1024})
    assert answer.status_code == 431
    assert problem_of(answer, world)["code"] == "headers_too_large"


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "Idempotency-Key", "X-Request-ID", "Content-Type"])
async def test_a_header_sent_twice_is_400(client: httpx.AsyncClient, world: World, name: str) -> None:
    kept = {**client.headers, **JSON, "Idempotency-Key": "k", "X-API-Key": "x", "X-Request-ID": "r"}
    value = httpx.Headers(kept)[name]
    headers = [(n, v) for n, v in kept.items() if n.lower() != name.lower()] + [(name, value), (name.upper(), value)]
    client.headers = httpx.Headers()
    answer = await client.post(PROCESS, content=WHOLE, headers=headers)
    assert answer.status_code == 400
    assert problem_of(answer, world)["code"] == "malformed_request"


@pytest.mark.parametrize(
    "key",
    [b"", b"x" * 256, b"caf\xc3\xa9", b"a\tb", b"a\x7fb", b"a\x01b", b"\xff", PAN.encode(), b"try 4111-1111-1111-1111"],
)
async def test_an_idempotency_key_that_is_none_is_400(client: httpx.AsyncClient, world: World, key: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key)]
    answer = await client.post(PROCESS, content=WHOLE, headers=headers)
    assert answer.status_code == 400
    assert problem_of(answer, world)["code"] == "invalid_idempotency_key"


@pytest.mark.parametrize("key", ["a", "x" * 255, "order 4711 / try #2 ~!", "{}"])
async def test_any_printable_key_is_taken(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post(PROCESS, content=WHOLE, headers={**JSON, "Idempotency-Key": key})
    assert answer.status_code == 201
