"""Sessions of the console over HTTP: login, what a cookie may do, how a session ends."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID, Scope, key_prefix
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, READ_ONLY_KEY, REVOKED_KEY, World
from fakes.browser import EMAIL, LOGIN, log_in
from fakes.requests import CHARGE, PROCESS

SESSION, LOGOUT = "/api/v1/auth/session", "/api/v1/auth/logout"
VOLATILE = ("request_id", "trace_id")
MINE = f"/api/v1/merchants/{DEMO_MERCHANT_ID}"
MINUTE, HOUR = 60.0, 3600.0


def at(world: World, origin: str = "https://till.example", **more: Any) -> httpx.AsyncClient:
    app = create_app(world.till, environment=more.pop("environment", "test"), version="1", **more)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin)


@pytest.fixture
async def browser(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Logged in as the demo merchant, by TLS."""
    async with at(world) as client:
        await log_in(client)
        yield client


def stable(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name not in VOLATILE}


def facts_of(world: World) -> list[tuple[str, str]]:
    return [(fact.type, fact.data["status"]) for fact, _ in world.memory.facts if fact.type.startswith("session.")]


# ── login ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_login_says_who_one_is_and_what_one_may(world: World) -> None:
    async with at(world, trace_url="https://apm.example/{trace_id}") as client:
        answer = await log_in(client, READ_ONLY_KEY)
        csrf = answer.json().pop("csrf_token")
        assert stable(answer) == {
            "merchant_id": DEMO_MERCHANT_ID,
            "merchant_name": "Demo",
            "email": EMAIL,
            "key_id": world.memory.api_keys[str(key_prefix(READ_ONLY_KEY))].id,
            "scopes": ["payments:read"],
            "expires_at": "2026-01-15T12:30:00.000000Z",
            "environment": "test",
            "links": {"trace": "https://apm.example/{trace_id}"},
            "csrf_token": csrf,
        }
        assert (await client.get(SESSION)).json() == answer.json()
    assert facts_of(world) == [("session.began", "began")]
    assert world.memory.facts[-1][1].actor == world.memory.api_keys[str(key_prefix(READ_ONLY_KEY))].id


async def test_without_a_page_for_traces_there_is_no_link(browser: httpx.AsyncClient) -> None:
    assert (await browser.get(SESSION)).json()["links"] == {}


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("nobody@merchant.example", DEMO_API_KEY),
        (f"{OTHER_MERCHANT_ID}@merchant.example", DEMO_API_KEY),
        (EMAIL, OTHER_API_KEY),
        (EMAIL, REVOKED_KEY),
        (EMAIL, DEMO_API_KEY[:-1] + "X"),
        (EMAIL, "sk_test_nobody00NobodyHasThisKeyNobodyHasThisKey"),
        (EMAIL, "hello"),
        ("hello", "hello"),
        (EMAIL, "ключ"),
        ("ключ", DEMO_API_KEY),
    ],
)
async def test_whatever_is_wrong_it_is_one_and_the_same_401(world: World, email: str, key: str) -> None:
    async with at(world) as client:
        answer = await client.post(LOGIN, json={"email": email, "api_key": key})
        usual = await client.post(LOGIN, json={"email": "x@y.example", "api_key": "wrong"})
    assert (answer.status_code, answer.json()["code"]) == (401, "login_failed")
    assert stable(answer) == stable(usual)
    assert "set-cookie" not in answer.headers
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert world.memory.sessions == {}


async def test_blanks_around_what_was_pasted_and_capitals_do_no_harm(world: World) -> None:
    async with at(world) as client:
        await log_in(client, f" {DEMO_API_KEY}\t", f" {EMAIL.upper()} ")


async def test_a_key_that_is_revoked_in_that_moment_logs_nobody_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = world.merchants.get

    async def slowly(merchant_id: str) -> Any:
        revoke(world)
        return await found(merchant_id)

    monkeypatch.setattr(world.merchants, "get", slowly)
    async with at(world) as client:
        answer = await client.post(LOGIN, json={"email": EMAIL, "api_key": DEMO_API_KEY})
    assert (answer.status_code, answer.json()["code"]) == (401, "login_failed")
    assert world.memory.sessions == {}


async def test_nothing_of_a_token_is_kept(world: World) -> None:
    async with at(world) as client:
        answer = await log_in(client)
        token = client.cookies["__Host-cleartill"]
        assert len(token) == 43
        for kept in (token, answer.json()["csrf_token"]):
            assert kept not in repr(world.memory)
        await log_in(client)
        assert client.cookies["__Host-cleartill"] != token


async def test_a_login_takes_the_place_of_the_session_before(browser: httpx.AsyncClient, world: World) -> None:
    before = browser.cookies["__Host-cleartill"]
    await log_in(browser)
    assert len(world.memory.sessions) == 1
    assert facts_of(world)[1:] == [("session.ended", "replaced"), ("session.began", "began")]
    browser.cookies.clear()
    assert (await browser.get(SESSION, headers={"Cookie": f"__Host-cleartill={before}"})).status_code == 401


async def test_a_cookie_that_was_planted_before_is_worth_nothing_after(world: World) -> None:
    """Session fixation."""
    planted = "A" * 43
    async with at(world) as client:
        client.headers["Cookie"] = f"__Host-cleartill={planted}"
        answer = await client.post(LOGIN, json={"email": EMAIL, "api_key": DEMO_API_KEY})
        assert planted not in answer.headers["set-cookie"]
        assert (await client.get(SESSION)).status_code == 401


# ── the cookie ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("origin", "environment", "secure"),
    [
        ("https://till.example", "production", True),
        ("https://localhost", "development", True),
        ("http://till.example", "development", True),  # behind a front that ends TLS
        ("http://localhost.evil.example", "development", True),
        ("http://localhost", "production", True),
        ("http://localhost", "development", False),
        ("http://LOCALHOST:8000", "development", False),
        ("http://127.0.0.1:8000", "test", False),
        ("http://[::1]:8000", "staging", False),
    ],
)
async def test_only_plain_localhost_has_the_lesser_cookie(
    world: World, origin: str, environment: str, secure: bool
) -> None:
    async with at(world, origin, environment=environment) as client:
        said = (await log_in(client)).headers["set-cookie"]
        name, _, rest = said.partition("=")
        attributes = set(rest.split("; ")[1:])
        assert name == ("__Host-cleartill" if secure else "cleartill_session")
        assert attributes == {"Path=/", "HttpOnly", "SameSite=Strict"} | ({"Secure"} if secure else set())
        other = "cleartill_session" if secure else "__Host-cleartill"
        token = rest.partition(";")[0]
        client.cookies.clear()
        assert (await client.get(SESSION, headers={"Cookie": f"{name}={token}"})).status_code == 200
        assert (await client.get(SESSION, headers={"Cookie": f"{other}={token}"})).status_code == 401


async def test_it_may_stand_among_others(browser: httpx.AsyncClient) -> None:
    token = browser.cookies["__Host-cleartill"]
    browser.cookies.clear()
    cookie = f"a=b;__Host-cleartill={token}; __host-cleartill=x; x__Host-cleartill=y;;z"
    assert (await browser.get(SESSION, headers={"Cookie": cookie})).status_code == 200


@pytest.mark.parametrize("second", ["", "A" * 43, None])
async def test_two_of_them_are_none(browser: httpx.AsyncClient, second: str | None) -> None:
    token = browser.cookies["__Host-cleartill"]
    one, two = f"__Host-cleartill={token}", f"__Host-cleartill={token if second is None else second}"
    browser.cookies.clear()
    for cookies in ([("Cookie", f"{one}; {two}")], [("Cookie", two), ("Cookie", one)]):
        answer = await browser.get(SESSION, headers=cookies)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    # One that is planted keeps nobody from logging in.
    login = await browser.post(
        LOGIN, json={"email": EMAIL, "api_key": DEMO_API_KEY}, headers=[("Cookie", one + ";" + two)]
    )
    assert login.status_code == 200


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 44, "é" * 43, '"' + "A" * 41 + '"', "A" * 5000])
async def test_what_is_no_session_is_401_like_no_key(world: World, token: str) -> None:
    async with at(world) as client:
        none = await client.get(MINE)
        answer = await client.get(MINE, headers={"Cookie": f"__Host-cleartill={token}".encode()})
    assert answer.status_code == 401
    assert stable(answer) == stable(none)


async def test_it_opens_what_its_key_opens_and_no_more(world: World) -> None:
    async with at(world) as client:
        await log_in(client, READ_ONLY_KEY)
        assert (await client.get("/api/v1/payments")).status_code == 200
        refused = await client.get(MINE)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert (await client.post(PROCESS, json=CHARGE)).json()["code"] == "missing_scope"


async def test_a_key_sets_the_cookie_aside(browser: httpx.AsyncClient, world: World) -> None:
    asked = world.sessions.asked
    theirs = await browser.get(f"/api/v1/merchants/{OTHER_MERCHANT_ID}", headers={"X-API-Key": OTHER_API_KEY})
    assert theirs.json()["id"] == OTHER_MERCHANT_ID
    for headers in ({"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"Authorization": ""}, {"Authorization": "Basic x"}):
        for path in (MINE, SESSION):
            assert (await browser.get(path, headers=headers)).status_code == 401
    paid = await browser.post(PROCESS, json=CHARGE, headers={"X-API-Key": DEMO_API_KEY, "X-CSRF-Token": "none"})
    assert paid.status_code == 201, "a key needs no token"
    assert world.sessions.asked == asked, "nor is the session looked for"


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_it_ends_when_nobody_has_asked_for_half_an_hour(browser: httpx.AsyncClient, world: World) -> None:
    for _ in range(4):
        world.clock.advance(29 * MINUTE)
        said = await browser.get(SESSION)
        assert said.status_code == 200
    assert said.json()["expires_at"] == "2026-01-15T14:26:00.000000Z"
    world.clock.advance(30 * MINUTE)
    assert (await browser.get(SESSION)).status_code == 401


async def test_it_ends_after_twelve_hours_whatever_is_done(browser: httpx.AsyncClient, world: World) -> None:
    for _ in range(12 * 60 // 20 - 1):
        world.clock.advance(20 * MINUTE)
        assert (await browser.get(MINE)).status_code == 200
    assert (await browser.get(SESSION)).json()["expires_at"] == "2026-01-16T00:00:00.000000Z"
    world.clock.advance(20 * MINUTE)
    assert (await browser.get(MINE)).status_code == 401


def revoke(world: World, key: str = DEMO_API_KEY) -> None:
    prefix = key_prefix(key)
    assert prefix is not None
    world.memory.api_keys[prefix] = replace(world.memory.api_keys[prefix], revoked_at=world.clock.now())


async def test_it_ends_with_its_key(browser: httpx.AsyncClient, world: World) -> None:
    async with at(world) as other:
        await log_in(other, DEMO_ADMIN_KEY)
        id = world.memory.api_keys[str(key_prefix(DEMO_API_KEY))].id
        assert (await other.delete(f"{MINE}/keys/{id}")).status_code == 200
        assert (await browser.get(SESSION)).status_code == 401
        assert (await other.get(SESSION)).status_code == 200


async def test_its_scopes_are_those_that_its_key_has_now(browser: httpx.AsyncClient, world: World) -> None:
    prefix = str(key_prefix(DEMO_API_KEY))
    world.memory.api_keys[prefix] = replace(world.memory.api_keys[prefix], scopes=(Scope.PAYMENTS_READ,))
    assert (await browser.get(SESSION)).json()["scopes"] == ["payments:read"]
    assert (await browser.get(MINE)).status_code == 403


async def test_logged_out_it_is_gone_and_so_is_the_cookie(browser: httpx.AsyncClient, world: World) -> None:
    token = browser.cookies["__Host-cleartill"]
    answer = await browser.post(LOGOUT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["set-cookie"] == "__Host-cleartill=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"
    assert facts_of(world)[-1] == ("session.ended", "logged_out")
    assert not browser.cookies
    assert (await browser.get(SESSION, headers={"Cookie": f"__Host-cleartill={token}"})).status_code == 401
    assert (await browser.post(LOGOUT)).status_code == 401


async def test_with_the_books_away_nobody_is_logged_out(browser: httpx.AsyncClient, world: World) -> None:
    world.sessions.away = True
    answer = await browser.get(SESSION)
    assert (answer.status_code, answer.json()["code"]) == (503, "books_unavailable")
    world.sessions.away = False
    assert (await browser.get(SESSION)).status_code == 200
