"""Who may do what: one 401 whatever is wrong with a key, 403 for scopes, and other merchants' objects are absent."""

import httpx
import pytest

from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, READ_ONLY_KEY, REVOKED_KEY, WRITE_ONLY_KEY, World
from fakes.requests import CHARGE, charge

PROCESS = "/api/v1/payments/process"
VOLATILE = ("request_id", "trace_id", "instance")
ROUTES = [
    ("POST", PROCESS),
    ("GET", "/api/v1/payments/pay_1"),
    ("POST", "/api/v1/payments/pay_1/refund"),
    ("GET", "/api/v1/refunds/ref_1"),
    ("GET", "/api/v1/payments/pay_1/timeline"),
    ("GET", "/api/v1/stats"),
    ("GET", "/api/v1/operations"),
]
UNKNOWN_KEY = "sk_test_nobody00NobodyHasThisKeyNobodyHasThisKey"
WRONG_TAIL = DEMO_API_KEY[:-1] + "X"
BAD_KEYS: list[dict[str, str]] = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": DEMO_API_KEY},
    {"Authorization": f"Basic {DEMO_API_KEY}"},
    {"Authorization": f"Token {DEMO_API_KEY}"},
    {"Authorization": f"Bearer {UNKNOWN_KEY}"},
    {"Authorization": f"Bearer {WRONG_TAIL}"},
    {"Authorization": f"Bearer {REVOKED_KEY}"},
    {"Authorization": f"Bearer  {DEMO_API_KEY}"},
    {"Authorization": f"Bearer {DEMO_API_KEY},{DEMO_API_KEY}"},
    {"Authorization": "Bearer sk_test_"},
    {"Authorization": "Bearer " + "x" * 5000},
    {"X-API-Key": ""},
    {"X-API-Key": UNKNOWN_KEY},
    {"X-API-Key": REVOKED_KEY},
    {"X-API-Key": f"Bearer {DEMO_API_KEY}"},
    {"X-API-Key": DEMO_API_KEY, "Authorization": f"Bearer {OTHER_API_KEY}"},
    {"X-API-Key": DEMO_API_KEY, "Authorization": f"Basic {DEMO_API_KEY}"},
]


def stable(answer: httpx.Response) -> dict[str, object]:
    """The problem without what differs from request to request."""
    return {name: value for name, value in answer.json().items() if name not in VOLATILE}


@pytest.fixture
async def nobody(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client without a key."""
    del client.headers["Authorization"]
    return client


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_one_401_for_every_bad_key(nobody: httpx.AsyncClient, world: World, method: str, path: str) -> None:
    bodies = set()
    for headers in BAD_KEYS:
        answer = await nobody.request(method, path, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["www-authenticate"].startswith("Bearer")
        bodies.add(str(stable(answer)))
    assert len(bodies) == 1
    assert world.memory.rows == 0


async def test_a_key_that_is_not_ascii_is_401(nobody: httpx.AsyncClient) -> None:
    answer = await nobody.post(PROCESS, headers=[(b"authorization", b"Bearer sk_test_\xff\xfe")])
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {DEMO_API_KEY}"},
        {"Authorization": f"bearer {DEMO_API_KEY}"},
        {"X-API-Key": DEMO_API_KEY},
        {"X-API-Key": DEMO_API_KEY, "Authorization": f"Bearer {DEMO_API_KEY}"},
    ],
)
async def test_both_headers_are_equal(nobody: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await nobody.post(PROCESS, json=CHARGE, headers=headers)).status_code == 201


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_missing_scope_is_403(nobody: httpx.AsyncClient, world: World, method: str, path: str) -> None:
    key = READ_ONLY_KEY if method == "POST" else WRITE_ONLY_KEY
    answer = await nobody.request(method, path, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert world.memory.rows == 0


async def test_the_right_scope_is_enough(nobody: httpx.AsyncClient) -> None:
    made = await nobody.post(PROCESS, json=CHARGE, headers={"X-API-Key": WRITE_ONLY_KEY})
    assert made.status_code == 201
    read = await nobody.get(f"/api/v1/payments/{made.json()['id']}", headers={"X-API-Key": READ_ONLY_KEY})
    assert read.json() == made.json()


async def test_the_key_is_asked_for_before_the_body(nobody: httpx.AsyncClient) -> None:
    assert (await nobody.post(PROCESS, content=b"{")).status_code == 401


async def test_a_body_may_name_the_keys_own_merchant(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROCESS, json=charge(merchant_id=DEMO_MERCHANT_ID))
    assert answer.status_code == 201


async def test_a_body_that_names_another_merchant_is_403(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(PROCESS, json=charge(merchant_id=OTHER_MERCHANT_ID))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_merchant")
    assert world.memory.rows == 0


async def test_an_admin_may_act_for_any_merchant(nobody: httpx.AsyncClient) -> None:
    body = charge(merchant_id=OTHER_MERCHANT_ID)
    answer = await nobody.post(PROCESS, json=body, headers={"X-API-Key": DEMO_ADMIN_KEY})
    assert (answer.status_code, answer.json()["merchant_id"]) == (201, OTHER_MERCHANT_ID)


async def test_an_admin_acts_for_no_merchant_that_is_not_there(nobody: httpx.AsyncClient, world: World) -> None:
    body = charge(merchant_id="merchant_nobody")
    answer = await nobody.post(PROCESS, json=body, headers={"X-API-Key": DEMO_ADMIN_KEY})
    assert answer.status_code == 404
    assert world.memory.rows == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/payments/{payment}"),
        ("GET", "/api/v1/payments/{payment}/timeline"),
        ("POST", "/api/v1/payments/{payment}/refund"),
        ("GET", "/api/v1/refunds/{refund}"),
    ],
)
async def test_another_merchants_object_is_absent(
    client: httpx.AsyncClient, world: World, method: str, path: str
) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()["id"]
    refund = (await client.post(f"/api/v1/payments/{payment}/refund", json={"amount": 1})).json()["id"]
    mine = path.format(payment=payment, refund=refund)
    assert (await client.request(method, mine, json={} if method == "POST" else None)).is_success
    rows, asked = world.memory.rows, len(world.bank.asked)

    other = {"Authorization": f"Bearer {OTHER_API_KEY}"}
    theirs = await client.request(method, mine, headers=other)
    never = await client.request(method, path.format(payment="pay_0", refund="ref_0"), headers=other)
    assert theirs.status_code == never.status_code == 404
    assert stable(theirs) == stable(never)
    names = {name for name in theirs.headers if name not in ("content-length", "x-request-id")}
    assert {name: theirs.headers[name] for name in names} == {name: never.headers[name] for name in names}
    assert (world.memory.rows, len(world.bank.asked)) == (rows, asked)


async def test_another_merchants_card_token_is_absent(client: httpx.AsyncClient, world: World) -> None:
    token = (await client.post(PROCESS, json=CHARGE)).json()["card"]["card_token"]
    rows = world.memory.rows
    body = {**charge(without="card_data"), "card_token": token}
    assert (await client.post(PROCESS, json=body)).status_code == 201
    written = world.memory.rows
    assert written > rows
    answer = await client.post(PROCESS, json=body, headers={"Authorization": f"Bearer {OTHER_API_KEY}"})
    assert answer.status_code == 404
    assert world.memory.rows == written
