"""Deposits, withdrawals and dead letters over HTTP."""

from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY
from cleartill.domain.outcome import Approved, NotSent
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World
from fakes.transfers_desk import TransferDesk

BODY = {"amount": "7.00", "currency": "USD", "description": "Payout", "metadata": {"week": 3}}
ADMIN = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}"}
THEIRS = {"Authorization": f"Bearer {OTHER_API_KEY}"}
KINDS = ["deposits", "withdrawals"]


@pytest.fixture
def desk(world: World) -> TransferDesk:
    return TransferDesk(world.till)


async def ask(client: httpx.AsyncClient, kind: str, key: str | None = "k", **changes: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"/api/v1/{kind}", json=BODY | changes, headers=headers)


@pytest.mark.parametrize("kind", KINDS)
async def test_taken_on_and_carried_out(client: httpx.AsyncClient, desk: TransferDesk, kind: str) -> None:
    await desk.fund(700)
    answer = await ask(client, kind)
    made = answer.json()
    assert (answer.status_code, made["status"], made["type"]) == (202, "pending", kind[:-1])
    assert (made["amount"], made["amount_minor"], made["currency"]) == (7.0, 700, "USD")
    assert (made["id"], made["metadata"], made["description"]) == (made["transaction_id"], {"week": 3}, "Payout")
    await desk.work()
    assert (await client.get(f"/api/v1/{kind}/{made['id']}")).json()["status"] == "processing"
    await desk.hear(await desk.now(made["id"]), Approved("bnk_1", "bnk_1"))
    told = (await client.get(f"/api/v1/transfers/{made['id']}/timeline")).json()
    assert (told["transfer_id"], [step["name"] for step in told["steps"]]) == (
        made["id"],
        [f"{kind[:-1]}.created", f"{kind[:-1]}.succeeded"],
    )
    shown = (await client.get(f"/api/v1/{kind}/{made['id']}")).json()
    assert (shown["status"], shown["bank_reference"], set(shown)) == ("succeeded", "bnk_1", set(made))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_repeat_gets_the_same_bytes(client: httpx.AsyncClient, desk: TransferDesk, kind: str) -> None:
    await desk.fund(700)
    first, again = await ask(client, kind), await ask(client, f"{kind}/")
    assert (again.status_code, again.content) == (202, first.content)
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    other = await ask(client, kind, amount="7.01")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_equal_amounts_are_equal(client: httpx.AsyncClient) -> None:
    first = await ask(client, "deposits", amount="7.00")
    assert (await ask(client, "deposits", amount=7)).content == first.content


async def test_too_little_names_what_is_there_and_frees_the_key(client: httpx.AsyncClient, desk: TransferDesk) -> None:
    await desk.fund(699)
    answer = await ask(client, "withdrawals")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (409, "insufficient_funds", False)
    assert "6.99 USD" in problem["detail"]
    assert (await ask(client, "withdrawals", amount="6.99")).status_code == 202


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "١"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": "99999999999999"}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "US"}, "currency"),
        ({"description": ""}, "description"),
        ({"description": "x" * 501}, "description"),
        ({"description": "4111 1111 1111 1111"}, "description"),
        ({"description": "a\0b"}, "description"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": {"b": {"c": {"d": 1}}}}}, "metadata"),
        ({"status": "succeeded"}, "status"),
        ({"provider": "mock"}, "provider"),
    ],
)
async def test_bad_bodies(
    client: httpx.AsyncClient, world: World, kind: str, changes: dict[str, Any], field: str
) -> None:
    answer = await ask(client, kind, **changes)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert world.memory.rows == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [None, "", "x" * 256, "4111111111111111"])
async def test_a_key_is_needed(client: httpx.AsyncClient, world: World, kind: str, key: str | None) -> None:
    answer = await ask(client, kind, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert world.memory.rows == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_scopes(client: httpx.AsyncClient, world: World, kind: str) -> None:
    client.headers["Authorization"] = f"Bearer {READ_ONLY_KEY}"  # of payments
    assert (await ask(client, kind)).status_code == 403
    assert (await client.get(f"/api/v1/{kind}")).status_code == 403
    assert (await client.get(f"/api/v1/{kind}/dep_1")).status_code == 403
    assert world.memory.rows == 0


async def test_only_admins_act_for_others(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "deposits", merchant_id="merchant_123")).status_code == 202
    assert (await ask(client, "deposits", "k2", merchant_id="merchant_456")).json()["code"] == "not_your_merchant"
    client.headers["Authorization"] = f"Bearer {DEMO_ADMIN_KEY}"
    made = await ask(client, "deposits", "k3", merchant_id="merchant_456")
    assert (made.status_code, made.json()["merchant_id"]) == (202, "merchant_456")
    assert (await ask(client, "deposits", "k4", merchant_id="nobody")).status_code == 404


async def test_a_deposit_is_no_withdrawal_and_nobody_elses(client: httpx.AsyncClient) -> None:
    id = (await ask(client, "deposits")).json()["id"]
    assert (await client.get(f"/api/v1/withdrawals/{id}")).status_code == 404
    assert (await client.get(f"/api/v1/deposits/{id}", headers=THEIRS)).status_code == 404
    assert (await client.get("/api/v1/deposits/..%00")).status_code == 404


async def test_lists(client: httpx.AsyncClient, desk: TransferDesk) -> None:
    ids = [(await ask(client, "deposits", f"k{number}")).json()["id"] for number in range(5)]
    await desk.work()
    first = (await client.get("/api/v1/deposits", params={"limit": 3})).json()
    rest = (await client.get("/api/v1/deposits", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert sorted(one["id"] for one in first["data"] + rest["data"]) == sorted(ids)
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert (await client.get("/api/v1/deposits?status=pending")).json()["data"] == []
    assert len((await client.get("/api/v1/deposits?status=pending,processing")).json()["data"]) == 5
    assert (await client.get("/api/v1/withdrawals")).json()["data"] == []
    for bad in ("status=captured", "limit=0", "cursor=x", "type=deposit", "created_from=yesterday"):
        assert (await client.get(f"/api/v1/deposits?{bad}")).status_code == 422
    foreign = await client.get("/api/v1/withdrawals", params={"cursor": first["next_cursor"]})
    assert foreign.status_code == 422


# ── dead letters ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_dead_letters_are_listed_and_retried_by_admins(
    client: httpx.AsyncClient, desk: TransferDesk, world: World
) -> None:
    id = (await ask(client, "deposits")).json()["id"]
    assert (await client.post(f"/api/v1/transfers/{id}/retry", headers=ADMIN)).json()["code"] == "invalid_state"
    for _ in range(6):
        world.bank.transfers.append(NotSent("connect"))
        await desk.work()
        world.clock.advance(600)
    listed = (await client.get("/api/v1/transfers/dead", headers=ADMIN)).json()
    assert [(one["id"], one["status"], one["error"]["code"]) for one in listed["data"]] == [
        (id, "failed", "bank_unreachable")
    ]
    assert (await client.get("/api/v1/transfers/dead")).status_code == 403
    assert (await client.post(f"/api/v1/transfers/{id}/retry")).status_code == 403
    tried = await client.post(f"/api/v1/transfers/{id}/retry", headers=ADMIN)
    assert (tried.status_code, tried.json()["status"], tried.json()["dead_letter"]) == (202, "pending", None)
    assert (await client.post(f"/api/v1/transfers/{id}/retry", headers=ADMIN)).status_code == 409
    assert (await client.get("/api/v1/transfers/dead", headers=ADMIN)).json()["data"] == []
    assert (await client.post("/api/v1/transfers/dep_0/retry", headers=ADMIN)).status_code == 404


# ── the account ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["merchants", "users"])
async def test_the_balance(client: httpx.AsyncClient, desk: TransferDesk, name: str) -> None:
    at = f"/api/v1/{name}/merchant_123/balance"
    assert (await client.get(at)).json() == {"merchant_id": "merchant_123", "balances": []}
    await desk.fund(1_050)
    await ask(client, "withdrawals")
    assert (await client.get(at)).json()["balances"] == [
        {"currency": "USD", "amount": 3.5, "amount_minor": 350, "reserved": 7.0, "reserved_minor": 700}
    ]


@pytest.mark.parametrize("name", ["merchants", "users"])
async def test_transactions(client: httpx.AsyncClient, desk: TransferDesk, name: str) -> None:
    at = f"/api/v1/{name}/merchant_123/transactions"
    await desk.fund(700)
    await ask(client, "withdrawals")
    shown = (await client.get(at)).json()["data"]
    assert {one["type"] for one in shown} == {"deposit", "withdrawal"}
    (paid_out,) = (await client.get(f"{at}?type=withdrawal&limit=1")).json()["data"]
    assert (paid_out["status"], paid_out["amount_minor"], paid_out["payment_id"]) == ("pending", 700, None)
    for bad in ("type=chargeback", "status=pending", "limit=101", "cursor=pay_1"):
        assert (await client.get(f"{at}?{bad}")).status_code == 422


@pytest.mark.parametrize("what", ["balance", "transactions"])
async def test_whose_account(client: httpx.AsyncClient, what: str) -> None:
    own, other = f"/api/v1/merchants/merchant_123/{what}", f"/api/v1/merchants/merchant_456/{what}"
    assert (await client.get(own)).status_code == 200
    absent = f"/api/v1/merchants/merchant_789/{what}"
    assert [(await client.get(at)).status_code for at in (other, absent)] == [404, 404]
    assert [(await client.get(at, headers=ADMIN)).status_code for at in (other, absent)] == [200, 404]
    payments_only = {"Authorization": f"Bearer {READ_ONLY_KEY}"}
    assert (await client.get(own, headers=payments_only)).status_code == 403


@pytest.mark.parametrize(("what", "most"), [("balance", 10), ("transactions", 20)])
async def test_how_often(world: World, what: str, most: int) -> None:
    app = create_app(world.till, environment="test", version="1", limits={"balance": 10, "transactions": 20})
    headers = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://till.example", headers=headers) as client:
        names = ("merchants", "users")
        seen = [await client.get(f"/api/v1/{names[n % 2]}/merchant_123/{what}") for n in range(most + 1)]
        assert [answer.status_code for answer in seen] == [200] * most + [429]
        assert int(seen[-1].headers["Retry-After"]) > 0


async def test_books_that_are_away(client: httpx.AsyncClient, world: World) -> None:
    world.transfers.away = world.ledger.away = True
    assert (await ask(client, "deposits")).status_code == 503
    assert (await client.get("/api/v1/merchants/merchant_123/balance")).status_code == 503
    assert (await client.get("/api/v1/deposits/dep_1")).status_code == 503
    assert world.memory.rows == 0
