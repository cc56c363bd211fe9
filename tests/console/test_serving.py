"""How the console is served: every file, with its headers; nothing else, whatever is asked for."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from cleartill import console
from cleartill.api.app import create_app
from cleartill.console import ASSETS, CSP, MEDIA_TYPES, add_console
from fakes import World

FILES = sorted(path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file())
SERVED = [name for name in FILES if name != "index.html"]
PAGES = [
    "/console",
    "/console/",
    "/console/payments",
    "/console/payments/pay_01kabcdefghjkmnpqrstvwxyz0",
    "/console/x/y/z",
]
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.fixture
def console_app() -> FastAPI:
    app = create_app(World().till, environment="test", version="0.1.0", drain_s=0.05)
    add_console(app)
    return app


@pytest.fixture
async def visitor(console_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """With no key and no cookie."""
    transport = httpx.ASGITransport(console_app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://till.example") as client:
        yield client


async def get(app: FastAPI, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """The path as it is written: clients would take its dots out, an attacker's would not."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = path.encode()
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": raw,
        "query_string": b"",
        "headers": [],
    }
    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_the_one_document(visitor: httpx.AsyncClient, path: str) -> None:
    answer = await visitor.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES["html"])
    assert answer.content == (ASSETS / "index.html").read_bytes()
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert "camera=()" in answer.headers["permissions-policy"]


async def test_every_file_is_served_as_what_it_is(visitor: httpx.AsyncClient) -> None:
    assert {Path(name).suffix for name in SERVED} == {".js", ".css", ".svg"}
    for name in SERVED:
        answer = await visitor.get(f"/console/assets/{name}")
        assert answer.status_code == 200, name
        assert answer.content == (ASSETS / name).read_bytes()
        assert answer.headers["content-type"] == MEDIA_TYPES[name.rpartition(".")[2]]
        for header, value in HEADERS.items():
            assert answer.headers.get_list(header) == [value], name


@pytest.mark.parametrize(
    "name",
    [
        "css",
        "none.js",
        "index.html",
        "../__init__.py",
        "../../asgi.py",
        "../assets/app.js",
        "%2e%2e/__init__.py",
        "js/..%2f..%2f__init__.py",
        "js/../../__init__.py",
        "js/../app.js",
        "./app.js",
        "//etc/passwd",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "/app.js",
        "app.js%00",
        "app.js%20",
        "app.js/x.js",
        "App.js",
        "..%5c__init__.py",
        "app.js.map",
        "js/parts/ünïcode.js",
        "%ff%fe.js",
        "a" * 300 + ".js",
    ],
)
async def test_nothing_else_is_a_file(console_app: FastAPI, name: str) -> None:
    status, headers, body = await get(console_app, f"/console/assets/{name}")
    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert json.loads(body)["code"] == "not_found"


@pytest.mark.parametrize(
    "path", ["/console/../asgi.py", "/console/%2e%2e/settings.py", "/console/..", "/console/assets/"]
)
async def test_what_looks_like_a_way_out_is_a_page_that_is_not_there(console_app: FastAPI, path: str) -> None:
    status, _, body = await get(console_app, path)
    assert (status, body) == (200, (ASSETS / "index.html").read_bytes())


@pytest.mark.parametrize("path", ["/console", "/console/payments", "/console/assets/app.js"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_files_are_only_read(visitor: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await visitor.request(method, path)
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize("path", ["/console", "/console/assets/app.js"])
async def test_head_tells_all_but_the_body(console_app: FastAPI, path: str) -> None:
    (_, whole, sent), (status, head, nothing) = await get(console_app, path), await get(console_app, path, "HEAD")
    assert (status, nothing) == (200, b"")
    for name in ("etag", "content-length", "content-type", "content-security-policy", "cache-control"):
        assert head[name] == whole[name]
    assert int(head["content-length"]) == len(sent)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("sent", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
async def test_what_one_has_is_not_sent_again(visitor: httpx.AsyncClient, method: str, sent: str) -> None:
    etag = (await visitor.get("/console/assets/app.js")).headers["etag"]
    again = await visitor.request(
        method, "/console/assets/app.js", headers={"If-None-Match": sent.replace("{etag}", etag)}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers.get_list("cache-control")) == (etag, ["no-cache"])
    assert "content-length" not in again.headers
    assert "content-type" not in again.headers


@pytest.mark.parametrize("sent", ['"other"', "", '"', "W/", ","])
async def test_what_one_has_not_is_sent(visitor: httpx.AsyncClient, sent: str) -> None:
    answer = await visitor.get("/console/assets/app.js", headers={"If-None-Match": sent})
    assert (answer.status_code, answer.content) == (200, (ASSETS / "app.js").read_bytes())


async def test_a_file_that_changed_is_read_anew(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "ASSETS", tmp_path)
    assert (await visitor.get("/console/assets/a.js")).status_code == 404
    (tmp_path / "a.js").write_text("// one")
    one = await visitor.get("/console/assets/a.js")
    (tmp_path / "a.js").write_text("// another")
    other = await visitor.get("/console/assets/a.js", headers={"If-None-Match": one.headers["etag"]})
    assert (one.text, other.text) == ("// one", "// another")
    assert one.headers["etag"] != other.headers["etag"]


async def test_a_folder_is_not_a_file(
    visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "ASSETS", tmp_path)
    (tmp_path / "a.js").mkdir()
    (tmp_path / "b.js").write_text("// a file, and no folder")
    for name in ("a.js", "b.js/c.js"):
        assert (await visitor.get(f"/console/assets/{name}")).status_code == 404


async def test_the_policy_lets_nothing_in_but_our_own_files() -> None:
    rules = dict(re.findall(r"([a-z-]+) ([^;]+)", CSP))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "'self' data:"
    assert rules.pop("require-trusted-types-for") == "'script'"
    assert set(rules.values()) == {"'self'", "'none'"}
    assert {"base-uri", "form-action", "frame-ancestors", "trusted-types"} <= rules.keys()
