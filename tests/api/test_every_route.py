"""Every operation of the OpenAPI document, asked without a key and by another merchant. A route that is added is walked
too; one about a new kind of object fails here until OBJECTS can make one."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.docs import describe
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, World
from fakes.browser import LOGIN
from fakes.requests import CHARGE

VOLATILE = ("request_id", "trace_id", "instance")
MINE, THEIRS = {"Authorization": f"Bearer {DEMO_API_KEY}"}, {"Authorization": f"Bearer {OTHER_API_KEY}"}
ADMINS, FOR_ADMINS = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}"}, {"POST /api/v1/transfers/{id}/retry"}
PUBLIC, SIGNED = "health", "callbacks"
"""Tags of the operations that need no key: for load balancers, and those that a provider signs."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    tag: str
    body: Any
    """The document's first example of one."""

    @property
    def kinds(self) -> list[str]:
        """Of its path's parameters: the word before each."""
        return re.findall(r"(\w+)/\{\w+\}", self.path)

    def at(self, *ids: str) -> str:
        left = iter(ids)
        return re.sub(r"\{\w+\}", lambda _: next(left), self.path)

    async def ask(self, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
        key = {"Idempotency-Key": "walk"} if self.method == "POST" else {}
        return await client.request(self.method, path, json=self.body, headers=headers | key)


def _operations() -> list[Operation]:
    found = []
    for path, operations in describe(create_app(World().till, environment="test", version="1"), "1")["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = [example["value"] for example in content.get("examples", {}).values()]
            body = examples[0] if examples else {} if content else None
            found.append(Operation(method.upper(), path, operation["tags"][0], body))
    return found


OPERATIONS = _operations()
ABOUT_AN_OBJECT = [operation for operation in OPERATIONS if "{" in operation.path]


@pytest.fixture
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(world.till, environment="test", version="0.1.0", drain_s=0.05)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example") as client:
        yield client


async def _payment(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/api/v1/payments/process", json=CHARGE, headers=MINE)
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


async def _payment_id(client: httpx.AsyncClient) -> str:
    return str((await _payment(client))["id"])


async def _refund_id(client: httpx.AsyncClient) -> str:
    answer = await client.post(f"/api/v1/payments/{await _payment_id(client)}/refund", json={"amount": 1}, headers=MINE)
    return str(answer.json()["id"])


async def _card_token(client: httpx.AsyncClient) -> str:
    return str((await _payment(client))["card"]["card_token"])


async def _merchant_id(_client: httpx.AsyncClient) -> str:
    return DEMO_MERCHANT_ID


async def _key_id(client: httpx.AsyncClient) -> str:
    return str((await client.get(f"/api/v1/merchants/{DEMO_MERCHANT_ID}/keys", headers=MINE)).json()["data"][0]["id"])


async def _endpoint_id(client: httpx.AsyncClient) -> str:
    body = {"url": "https://shop.example/hook"}
    return str((await client.post("/api/v1/webhook-endpoints", json=body, headers=MINE)).json()["id"])


async def _delivery_id(client: httpx.AsyncClient) -> str:
    test = f"/api/v1/webhook-endpoints/{await _endpoint_id(client)}/test"
    return str((await client.post(test, headers=MINE)).json()["id"])


async def _deposit_id(client: httpx.AsyncClient) -> str:
    answer = await client.post(
        "/api/v1/deposits", json={"amount": 1, "currency": "USD"}, headers=MINE | {"Idempotency-Key": "d"}
    )
    return str(answer.json()["id"])


async def _withdrawal_id(client: httpx.AsyncClient) -> str:
    await _payment(client)
    answer = await client.post(
        "/api/v1/withdrawals", json={"amount": 1, "currency": "USD"}, headers=MINE | {"Idempotency-Key": "w"}
    )
    return str(answer.json()["id"])


OBJECTS: dict[str, Callable[[httpx.AsyncClient], Awaitable[str]]] = {
    "payments": _payment_id,
    "refunds": _refund_id,
    "cards": _card_token,
    "merchants": _merchant_id,
    "keys": _key_id,
    "deposits": _deposit_id,
    "withdrawals": _withdrawal_id,
    "transfers": _deposit_id,
    "users": _merchant_id,
    "endpoints": _endpoint_id,
    "deliveries": _delivery_id,
}
"""One of the demo merchant's, by the word that comes before its id in a path."""


async def _cookie(client: httpx.AsyncClient, key: str) -> dict[str, str]:
    """What a browser sends that has logged in with this key."""
    email = f"{OTHER_MERCHANT_ID if key == OTHER_API_KEY else DEMO_MERCHANT_ID}@merchant.example"
    answer = await client.post(LOGIN, json={"email": email, "api_key": key})
    client.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0], "X-CSRF-Token": answer.json()["csrf_token"]}


def _named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _stable(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    body = {name: value for name, value in answer.json().items() if name not in VOLATILE}
    headers = {name: value for name, value in answer.headers.items() if name not in ("content-length", "x-request-id")}
    return answer.status_code, body, headers


@pytest.mark.parametrize("operation", OPERATIONS, ids=_named)
async def test_nothing_is_done_without_a_key(operation: Operation, anybody: httpx.AsyncClient, world: World) -> None:
    if operation.tag == PUBLIC:
        assert operation.method == "GET", "what is public only reads"
        return
    answer = await operation.ask(anybody, operation.at(*("pay_1" for _ in operation.kinds)), {})
    # A provider that is not enabled is not there, whoever signs.
    assert answer.status_code == 401 or (operation.tag == SIGNED and answer.status_code == 404)
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.memory.rows == 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=_named)
async def test_under_a_cookie_nothing_is_changed_without_its_token(
    operation: Operation, anybody: httpx.AsyncClient, world: World
) -> None:
    if operation.method == "GET" or operation.tag == SIGNED or operation.path == LOGIN:
        return
    cookie = await _cookie(anybody, DEMO_ADMIN_KEY)
    before = len(world.memory.facts)
    at = operation.at(*(DEMO_MERCHANT_ID if kind == "merchants" else "pay_1" for kind in operation.kinds))
    for headers in ({"X-CSRF-Token": "0" * 64}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await operation.ask(anybody, at, cookie | headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert (world.memory.rows, len(world.memory.facts)) == (before, before)


@pytest.mark.parametrize("by", ["key", "cookie"])
@pytest.mark.parametrize("operation", ABOUT_AN_OBJECT, ids=_named)
async def test_another_merchants_object_is_not_there(
    operation: Operation, by: str, anybody: httpx.AsyncClient, world: World
) -> None:
    unknown = set(operation.kinds) - OBJECTS.keys()
    assert not unknown, f"teach OBJECTS to make one of another merchant: {unknown}"
    ids = [await OBJECTS[kind](anybody) for kind in operation.kinds]
    absent = [f"{id.partition('_')[0]}_{'0' * 26}" for id in ids]
    another, me, admin = THEIRS, MINE, ADMINS
    if by == "cookie":
        another, me, admin = [await _cookie(anybody, key) for key in (OTHER_API_KEY, DEMO_API_KEY, DEMO_ADMIN_KEY)]
    rows, facts, asked = world.memory.rows, len(world.memory.facts), len(world.bank.asked)

    pairs = [(ids, absent)]
    if operation.kinds[0] == "merchants" and len(ids) > 1:  # the way is one's own, what lies at its end is not
        pairs.append(([OTHER_MERCHANT_ID, *ids[1:]], [OTHER_MERCHANT_ID, *absent[1:]]))
    for theirs, nobodys in pairs:
        one = await operation.ask(anybody, operation.at(*theirs), another)
        other = await operation.ask(anybody, operation.at(*nobodys), another)
        assert _stable(one) == _stable(other)
        assert one.status_code == (403 if _named(operation) in FOR_ADMINS else 404)
    assert (world.memory.rows, len(world.memory.facts), len(world.bank.asked)) == (rows, facts, asked)

    own = await operation.ask(anybody, operation.at(*ids), admin if _named(operation) in FOR_ADMINS else me)
    assert own.status_code not in (401, 403, 404, 422), "or this test would show nothing"
