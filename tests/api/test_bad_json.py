"""A body that is not JSON as RFC 8259 has it, too large, too deep or of another type is refused and leaves no row."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from fakes import World
from fakes.requests import CHARGE, PROCESS, problem_of, raw, raw_card

JSON = {"Content-Type": "application/json"}
WHOLE = json.dumps(CHARGE).encode()


# name, body as sent
NOT_JSON: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("blank", b"  \n"),
    ("truncated", WHOLE[:-1]),
    ("truncated_in_string", WHOLE[: WHOLE.index(b"USD") + 2]),
    ("truncated_in_number", b'{"amount": 99.'),
    ("trailing_text", WHOLE + b"x"),
    ("two_documents", WHOLE + WHOLE),
    ("trailing_comma", WHOLE[:-1] + b",}"),
    ("single_quotes", b"{'amount': 1}"),
    ("bare_word", b"hello"),
    ("comment", b"/* hi */" + WHOLE),
    ("form", b"amount=99.99&currency=USD"),
    ("xml", b"<amount>99.99</amount>"),
    ("not_utf8", b'{"description": "\xff\xfe"}'),
    ("latin1", '{"description": "caf\u00e9"}'.encode("latin-1")),
    ("utf16", WHOLE.decode().encode("utf-16")),
    ("utf8_bom", b"\xef\xbb\xbf" + WHOLE),
    ("overlong_utf8", b'{"description": "\xc0\x80"}'),
    ("utf8_surrogate", b'{"description": "\xed\xa0\x80"}'),
    ("raw_nul", raw("description", '"a\x00b"')),
    ("raw_newline_in_string", raw("description", '"a\nb"')),
    ("bad_escape", raw("description", r'"\x41"')),
    ("half_escape", raw("description", r'"\u12"')),
    ("leading_zero", raw("amount", "099.99")),
    ("leading_plus", raw("amount", "+99.99")),
    ("leading_point", raw("amount", ".99")),
    ("trailing_point", raw("amount", "99.")),
    ("hexadecimal", raw("amount", "0x10")),
    ("underscore", raw("amount", "1_000")),
    ("arabic_digits", raw("amount", "\u0669\u0669")),
    ("duplicate_amount", WHOLE[:-1] + b', "amount": 1}'),
    ("duplicate_same_value", WHOLE[:-1] + b', "currency": "USD"}'),
    ("duplicate_by_escape", WHOLE[:-1] + rb', "\u0061mount": 1}'),
    ("duplicate_in_card", raw_card("cvv", '"123", "cvv": "999"')),
    ("duplicate_in_metadata", raw("metadata", '{"a": 1, "a": 2}')),
    ("duplicate_deep", raw("metadata", '{"a": {"b": 1, "b": 1}}')),
    ("arrays_60000_deep", b"[" * 60_000),
    ("objects_10000_deep", b'{"a":' * 10_000),
    ("metadata_20000_deep", raw("metadata", "[" * 20_000 + "]" * 20_000)),
]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in NOT_JSON])
async def test_a_malformed_body_is_400(client: httpx.AsyncClient, world: World, body: bytes) -> None:
    answer = await client.post(PROCESS, content=body, headers=JSON)
    assert answer.status_code == 400
    assert problem_of(answer, world)["code"] == "malformed_request"


MEDIA_TYPES: list[str | None] = [
    None,
    "",
    "text/plain",
    "text/json",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    "application/json; charset=latin-1",
    "application/vnd.api+json",
]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_another_media_type_is_415(client: httpx.AsyncClient, world: World, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    answer = await client.post(PROCESS, content=WHOLE, headers=headers)
    assert answer.status_code == 415
    assert problem_of(answer, world)["code"] == "unsupported_media_type"


async def test_a_compressed_body_is_415(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(PROCESS, content=WHOLE, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert problem_of(answer, world)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json;charset=utf-8", 'APPLICATION/JSON ; charset="UTF-8"']
)
async def test_json_in_utf8_is_taken(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post(PROCESS, content=WHOLE, headers={"Content-Type": media_type})
    assert answer.status_code == 201


async def test_a_declared_body_over_64_kib_is_413_unread(client: httpx.AsyncClient, world: World) -> None:
    sent = []

    async def chunks() -> AsyncIterator[bytes]:
        sent.append(1)
        yield b" " * 1024

    answer = await client.post(PROCESS, content=chunks(), headers={**JSON, "Content-Length": str(64 * 1024 + 1)})
    assert sent == []
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert problem_of(answer, world)["code"] == "body_too_large"


async def test_a_chunked_body_over_64_kib_is_413_and_read_no_further(client: httpx.AsyncClient, world: World) -> None:
    sent = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 1024

    answer = await client.post(PROCESS, content=chunks(), headers=JSON)
    assert answer.status_code == 413
    assert problem_of(answer, world)["code"] == "body_too_large"
    assert len(sent) <= 66


async def test_a_body_of_exactly_64_kib_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROCESS, content=WHOLE + b" " * (64 * 1024 - len(WHOLE)), headers=JSON)
    assert answer.status_code == 201
