"""What another site's page may make a browser do under our cookie: nothing."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from fakes import World
from fakes.browser import EMAIL, LOGIN, log_in
from fakes.requests import CHARGE, PROCESS

SESSION, LOGOUT = "/api/v1/auth/session", "/api/v1/auth/logout"
ENDPOINTS = "/api/v1/webhook-endpoints"


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.till, environment="test", version="1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example:8443") as client:
        client.headers["Cookie"] = f"__Host-cleartill={(await log_in(client)).headers['set-cookie'][17:60]}"
        yield client


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json().get("code")) == (403, "csrf_failed")


@pytest.mark.parametrize("wrong", [None, "", "x", "0" * 64, "TOKEN", "é"])
async def test_nothing_is_changed_without_the_sessions_token(
    browser: httpx.AsyncClient, world: World, wrong: str | None
) -> None:
    own = browser.headers.pop("X-CSRF-Token")
    made = await browser.post(ENDPOINTS, json={"url": "https://shop.example/"}, headers={"X-CSRF-Token": own})
    assert made.status_code == 201
    at = f"{ENDPOINTS}/{made.json()['id']}"
    token = {} if wrong is None else {b"X-CSRF-Token": wrong.replace("TOKEN", own[:-1]).encode()}
    facts = len(world.memory.facts)
    for method, path, body in (
        ("POST", PROCESS, CHARGE), ("PATCH", at, {"enabled": False}), ("DELETE", at, None), ("POST", LOGOUT, None),
    ):  # fmt: skip
        assert refused(await browser.request(method, path, json=body, headers=token)), (method, path)
    assert (world.memory.rows, len(world.memory.facts)) == (facts, facts)
    assert (await browser.get(at)).json()["status"] == "enabled", "reading needs none"
    assert (await browser.request("POST", PROCESS, json=CHARGE, headers={"X-CSRF-Token": own})).status_code == 201


async def test_a_token_sent_twice_or_of_another_session_is_none(browser: httpx.AsyncClient, world: World) -> None:
    own = browser.headers.pop("X-CSRF-Token")
    assert refused(await browser.post(LOGOUT, headers=[("X-CSRF-Token", own), ("X-CSRF-Token", own)]))
    app = create_app(world.till, environment="test", version="1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example:8443") as other:
        await log_in(other)
        assert refused(await browser.post(LOGOUT, headers={"X-CSRF-Token": other.headers["X-CSRF-Token"]}))


FROM: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://till.example"}, True),  # a front has rewritten Host
    ({"Origin": "http://till.example:8443"}, True),
    ({"Origin": "https://till.example:8443"}, True),
    ({"Origin": "https://TILL.example:8443"}, True),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://till.example:8443"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "https://till.example"}, False),
    ({"Origin": "https://till.example:8443.evil.example"}, False),
    ({"Origin": "https://evil.example/till.example:8443"}, False),
    ({"Origin": "https://["}, False),
    ({"Origin": "ftp://till.example:8443"}, False),
]


@pytest.mark.parametrize(("headers", "own"), FROM, ids=[" ".join(map(str, headers.items())) for headers, _ in FROM])
async def test_only_our_own_page_asks_under_a_cookie(
    browser: httpx.AsyncClient, headers: dict[str, str], own: bool
) -> None:
    for method, path in (("GET", SESSION), ("GET", "/api/v1/payments"), ("POST", PROCESS)):
        answer = await browser.request(method, path, json=CHARGE if method == "POST" else None, headers=headers)
        assert answer.is_success if own else refused(answer), (method, path)


@pytest.mark.parametrize(("headers", "own"), FROM, ids=[" ".join(map(str, headers.items())) for headers, _ in FROM])
async def test_nobody_is_logged_in_by_another_sites_page(
    browser: httpx.AsyncClient, world: World, headers: dict[str, str], own: bool
) -> None:
    sessions = dict(world.memory.sessions)
    answer = await browser.post(LOGIN, json={"email": EMAIL, "api_key": "wrong"}, headers=headers)
    assert answer.status_code == 401 if own else refused(answer)
    assert world.memory.sessions == sessions


async def test_a_header_sent_twice_is_nobodys(browser: httpx.AsyncClient) -> None:
    for name, value in (("Sec-Fetch-Site", "same-origin"), ("Origin", "http://till.example:8443")):
        assert refused(await browser.get(SESSION, headers=[(name, value), (name, value)]))
    assert refused(await browser.get(SESSION, headers=[("Host", ""), ("Origin", "http://")]))
