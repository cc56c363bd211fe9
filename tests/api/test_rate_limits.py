"""Rate limits over HTTP: who is counted, what is told, what is refused."""

import httpx
import pytest
from starlette.requests import Request

from cleartill.api.app import create_app
from cleartill.api.auth import identify
from cleartill.api.limits import Rule, quotas
from cleartill.api.route import LeanRoute, send_view
from cleartill.domain.merchant import DEMO_API_KEY, DEMO_MERCHANT_ID, Scope
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World

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
    for operations in paths.values():
        for operation in operations.values():
            assert ("429" in operation["responses"]) == bool(operation.get("security"))
    told = paths["/api/v1/payments/{id}"]["get"]["responses"]["429"]["headers"]
    assert {name.lower() for name in told} == {"retry-after", *TOLD}


def test_a_rule_that_nobody_knows_is_refused() -> None:
    assert set(quotas({"global": 5, "login": 0})) == {Rule.GLOBAL}
    with pytest.raises(ValueError, match="valid Rule"):
        quotas({"everything": 1})
