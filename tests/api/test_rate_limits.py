"""Rate limits over HTTP: who is counted, what is told, what is refused."""

from ipaddress import ip_network

import httpx
import pytest
from starlette.requests import Request

from cleartill.api.app import create_app
from cleartill.api.auth import identify
from cleartill.api.limits import Rule, address_of, quotas
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID, Scope
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World
from fakes.browser import EMAIL, LOGIN, log_in

PATH = f"/api/v1/merchants/{DEMO_MERCHANT_ID}"
MINE, OTHERS = {"X-API-Key": DEMO_API_KEY}, {"X-API-Key": OTHER_API_KEY}
TOLD = ("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


async def balance(request: Request) -> object:
    await identify(request, Scope.ACCOUNT_READ, Rule.BALANCE)
    return send_view({})


def client_of(world: World, **limits: int) -> httpx.AsyncClient:
    app = create_app(world.till, environment="test", version="1", limits=limits)
    app.router.routes.append(LeanRoute("/balance", balance))  # until there is a route with a rule of its own
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example")


async def test_one_too_many_is_429_and_says_when_to_come_again(world: World) -> None:
    async with client_of(world, **{"global": 2}) as client:
        for left in (1, 0):
            answer = await client.get(PATH, headers=MINE)
            assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, str(left))
            world.clock.advance(10)
        refused = await client.get(PATH, headers=MINE)

        assert refused.status_code == 429
        problem = refused.json()
        assert (problem["code"], problem["status"], problem["retryable"]) == ("rate_limited", 429, True)
        assert refused.headers["content-type"] == "application/problem+json"
        reset = int(world.clock.now().timestamp()) + 40
        assert {name: refused.headers[name] for name in ("retry-after", *TOLD)} == {
            "retry-after": "40",
            "ratelimit": '"global";r=0;t=40',
            "ratelimit-policy": '"global";q=2;w=60',
            "x-ratelimit-limit": "2",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(reset),
        }
        world.clock.advance(40)
        assert (await client.get(PATH, headers=MINE)).status_code == 200
        assert (await client.get(PATH, headers=MINE)).status_code == 429
    assert ("ratelimit.rejected", 1, {"rule": "global"}) in world.watch.seen


async def test_every_merchant_has_its_own_and_all_its_keys_share_it(world: World) -> None:
    async with client_of(world, **{"global": 1}) as client:
        assert (await client.get(PATH, headers=MINE)).status_code == 200
        assert (await client.get(PATH, headers={"X-API-Key": READ_ONLY_KEY})).status_code == 429
        assert (await client.get(PATH, headers=OTHERS)).status_code == 404
        assert (await client.get(PATH, headers=OTHERS)).status_code == 429


async def test_whoever_is_nobody_is_not_counted(world: World) -> None:
    async with client_of(world, **{"global": 1}) as client:
        for _ in range(3):
            answer = await client.get(PATH)
            assert answer.status_code == 401
            assert not set(TOLD) & set(answer.headers)
        assert (await client.get("/health/live")).status_code == 200


async def test_refusals_count_and_say_where_one_stands(world: World) -> None:
    async with client_of(world, **{"global": 2}) as client:
        forbidden = await client.post("/api/v1/merchants", json={}, headers=MINE)
        assert (forbidden.status_code, forbidden.headers["ratelimit"]) == (403, '"global";r=1;t=60')


async def test_a_route_may_have_a_rule_of_its_own(world: World) -> None:
    async with client_of(world, **{"global": 100, "balance": 1}) as client:
        first = await client.get("/balance", headers=MINE)
        second = await client.get("/balance", headers=MINE)
        assert (first.status_code, second.status_code) == (200, 429)
        assert first.headers["ratelimit"] == '"global";r=99;t=60, "balance";r=0;t=60'
        assert first.headers["ratelimit-policy"] == '"global";q=100;w=60, "balance";q=1;w=60'
        assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("1", "0")
        assert (await client.get(PATH, headers=MINE)).status_code == 200
    assert ("ratelimit.rejected", 1, {"rule": "balance"}) in world.watch.seen


async def test_zero_is_no_limit_and_nothing_is_told(world: World) -> None:
    async with client_of(world, **{"global": 0}) as client:
        answer = await client.get(PATH, headers=MINE)
        assert answer.status_code == 200
        assert not set(TOLD) & set(answer.headers)


async def test_the_document_knows_429_wherever_a_key_is_needed(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            counted = bool(operation.get("security")) or path == "/api/v1/auth/login"
            assert ("429" in operation["responses"]) == counted
    told = paths["/api/v1/payments/{id}"]["get"]["responses"]["429"]["headers"]
    assert {name.lower() for name in told} == {"retry-after", *TOLD}


def test_a_rule_that_nobody_knows_is_refused() -> None:
    assert set(quotas({"global": 5, "login": 0})) == {Rule.GLOBAL}
    with pytest.raises(ValueError, match="valid Rule"):
        quotas({"everything": 1})


# ── the console ───────────────────────────────────────────────────────────────────────────────────────────────────────

TRANSACTIONS = f"{PATH}/transactions"


async def test_a_session_has_a_limit_of_its_own_for_lists(world: World) -> None:
    limits = {"global": 100, "transactions": 1, "console_transactions": 3}
    async with client_of(world, **limits) as first, client_of(world, **limits) as second:
        for client in (first, second):
            cookie = (await log_in(client)).headers["set-cookie"].partition(";")[0]
            client.headers["Cookie"] = cookie
        assert [(await first.get(TRANSACTIONS)).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = await first.get(TRANSACTIONS)
        assert refused.headers["ratelimit-policy"] == '"global";q=100;w=60, "console_transactions";q=3;w=60'
        assert (await second.get(TRANSACTIONS)).status_code == 200, "another session's is another's"
        assert (await first.get(TRANSACTIONS, headers=MINE)).status_code == 200, "nor does it eat the key's"
        assert (await first.get(TRANSACTIONS, headers=MINE)).status_code == 429
    assert ("ratelimit.rejected", 1, {"rule": "console_transactions"}) in world.watch.seen


async def test_its_other_rules_are_its_merchants(world: World) -> None:
    async with client_of(world, **{"global": 100, "balance": 1}) as client:
        client.headers["Cookie"] = (await log_in(client)).headers["set-cookie"].partition(";")[0]
        assert (await client.get(f"{PATH}/balance")).status_code == 200
        assert (await client.get(f"{PATH}/balance", headers=MINE)).status_code == 429
        assert (await client.get("/api/v1/auth/session")).headers["ratelimit"].startswith('"global";r=97')


async def test_a_login_is_tried_five_times_a_minute_from_one_address(world: World) -> None:
    async with client_of(world, login=5) as client:
        bodies = [{}, {"email": EMAIL, "api_key": "wrong"}, *[{"email": EMAIL, "api_key": DEMO_API_KEY}] * 4]
        answers = [await client.post(LOGIN, json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [422, 401, 200, 200, 200, 429]
    refused = answers[-1]
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "60")
    assert refused.headers["ratelimit-policy"] == '"login";q=5;w=60'
    assert ("ratelimit.rejected", 1, {"rule": "login"}) in world.watch.seen


PROXIES = tuple(map(ip_network, ("10.1.0.0/16", "fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.2.3.4, 198.51.100.1 ,10.1.9.9"], "198.51.100.1"),
        ("10.1.2.3", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["198.51.100.1, hello"], "10.1.2.3"),
        ("10.1.2.3", ["10.1.0.1"], "10.1.0.1"),
        ("::ffff:10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8::1", ["198.51.100.1"], "2001:db8::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
    ],
)
def test_whose_tries_count_together(world: World, peer: str, said: list[str], address: str) -> None:
    app = create_app(world.till, environment="test", version="1", trusted_proxies=PROXIES)
    headers = [(b"x-forwarded-for", one.encode()) for one in said]
    assert address_of(Request({"type": "http", "client": (peer, 1), "headers": headers, "app": app})) == address


def test_nobody_is_believed_by_default(world: World) -> None:
    app = create_app(world.till, environment="test", version="1")
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    for client, address in ((("127.0.0.1", 1), "127.0.0.1"), (None, "")):
        assert address_of(Request({"type": "http", "client": client, "headers": headers, "app": app})) == address
