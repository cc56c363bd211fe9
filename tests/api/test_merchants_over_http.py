"""Merchants and their keys over HTTP: shown once, masked afterwards, never worth more than their maker."""

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.docs import describe
from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID, MERCHANT_SCOPES, Scope
from fakes import OTHER_MERCHANT_ID, READ_ONLY_KEY, World

MERCHANTS = "/api/v1/merchants"
KEYS = f"{MERCHANTS}/{DEMO_MERCHANT_ID}/keys"
ADMIN = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}"}
TICKETS = {"name": "Tickets Ltd", "email": "Ada@Tickets.example", "webhook_url": "https://tickets.example/hook?a=1"}
NAMED = {"name": "backend", "scopes": ["payments:read", "payments:write"]}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_merchant_comes_with_a_key_that_works(client: httpx.AsyncClient, world: World) -> None:
    made = await client.post(MERCHANTS, json=TICKETS, headers=ADMIN)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    merchant = made.json()
    key, key_id = merchant.pop("api_key"), merchant.pop("api_key_id")
    endpoint_id, secret = merchant.pop("webhook_endpoint_id"), merchant.pop("webhook_secret")
    assert merchant["id"].startswith("mer_")
    assert (merchant["email"], merchant["webhook_url"]) == ("ada@tickets.example", TICKETS["webhook_url"])
    assert key.startswith("sk_test_")
    assert len(key) == len("sk_test_") + 40

    own = await client.get(f"{MERCHANTS}/{merchant['id']}", headers=bearer(key))
    assert (own.status_code, own.json()) == (200, merchant)
    [listed] = (await client.get(f"{MERCHANTS}/{merchant['id']}/keys", headers=bearer(key))).json()["data"]
    assert (listed["id"], listed["prefix"]) == (key_id, f"{key[:16]}…")
    assert listed["scopes"] == [str(scope) for scope in MERCHANT_SCOPES]
    assert listed["last_used_at"] is not None
    facts = [fact.type for fact, _ in world.memory.facts]
    assert facts == ["merchant.created", "api_key.created", "webhook_endpoint.created"]
    [endpoint] = (await client.get("/api/v1/webhook-endpoints", headers=bearer(key))).json()["data"]
    assert (endpoint["id"], endpoint["url"], endpoint["event_types"]) == (endpoint_id, TICKETS["webhook_url"], [])
    assert secret.startswith("whsec_")
    assert not any(key[16:] in str(fact) for fact, _ in world.memory.facts)


async def test_in_production_keys_are_live(world: World) -> None:
    app = create_app(world.till, environment="production", version="1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example") as client:
        made = (await client.post(MERCHANTS, json=TICKETS, headers=ADMIN)).json()
        assert made["api_key"].startswith("sk_live_")
        assert (await client.get(f"{MERCHANTS}/{made['id']}", headers=bearer(made["api_key"]))).status_code == 200


async def test_an_email_address_has_one_account(client: httpx.AsyncClient) -> None:
    assert (await client.post(MERCHANTS, json=TICKETS, headers=ADMIN)).status_code == 201
    again = {"name": "Another", "email": "aDA@tickets.EXAMPLE"}
    refused = await client.post(MERCHANTS, json=again, headers=ADMIN)
    assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")
    assert "tickets" not in refused.text.lower()


async def test_only_admin_keys_take_merchants_on(client: httpx.AsyncClient, world: World) -> None:
    refused = await client.post(MERCHANTS, json=TICKETS)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert not world.memory.facts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", 7),
        ("name", "x" * 101),
        ("name", "4111 1111 1111 1111"),
        ("email", "nobody"),
        ("email", "a b@example.com"),
        ("email", "a@b@example.com"),
        ("email", "x" * 250 + "@e.example"),
        ("webhook_url", "ftp://example.com"),
        ("webhook_url", "https://10.0.0.1/"),
        ("webhook_url", "http://example.com/"),
        ("webhook_url", "javascript:alert(1)"),
        ("webhook_url", "https://"),
        ("webhook_url", "https:///path"),
        ("webhook_url", "https://ex ample.com"),
        ("webhook_url", "https://example.com:port"),
        ("webhook_url", "https://example.com:99999"),
        ("webhook_url", "https://[::1"),
        ("webhook_url", "https://example.com/\nx"),
        ("webhook_url", "https://example.com/" + "x" * 2048),
        ("webhook_url", 1),
        ("admin", True),
        ("id", "mer_1"),
    ],
)
async def test_bad_fields_of_a_merchant(client: httpx.AsyncClient, world: World, field: str, value: object) -> None:
    refused = await client.post(MERCHANTS, json={**TICKETS, field: value}, headers=ADMIN)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert not world.memory.facts


async def test_keys_are_made_listed_masked_and_revoked(client: httpx.AsyncClient) -> None:
    made = await client.post(KEYS, json=NAMED)
    assert made.status_code == 201
    view = made.json()
    key = view.pop("api_key")
    assert view["scopes"] == ["payments:write", "payments:read"]
    path = f"/api/v1/payments/pay_{'0' * 26}"
    assert (await client.get(path, headers=bearer(key))).status_code == 404
    assert (await client.get(KEYS, headers=bearer(key))).status_code == 403

    listed = await client.get(KEYS)
    assert key[16:] not in listed.text
    assert view["id"] in [one["id"] for one in listed.json()["data"]]

    revoked = await client.delete(f"{KEYS}/{view['id']}")
    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    assert key[16:] not in revoked.text
    assert (await client.get(path, headers=bearer(key))).status_code == 401


async def test_revoking_again_changes_nothing(client: httpx.AsyncClient, world: World) -> None:
    id = (await client.post(KEYS, json=NAMED)).json()["id"]
    first = await client.delete(f"{KEYS}/{id}")
    world.clock.advance(60)
    again = await client.delete(f"{KEYS}/{id}")
    assert (again.status_code, again.content) == (200, first.content)
    assert [fact.type for fact, _ in world.memory.facts] == ["api_key.created", "api_key.revoked"]
    [(created, by), (gone, _)] = world.memory.facts
    assert (created.subject_id, created.seq, gone.seq) == (DEMO_MERCHANT_ID, 1, 2)
    assert by.actor.startswith("key_")


async def test_a_key_may_revoke_itself(client: httpx.AsyncClient, world: World) -> None:
    own = next(key for key in world.memory.api_keys.values() if DEMO_API_KEY.startswith(key.prefix))
    assert (await client.delete(f"{KEYS}/{own.id}")).status_code == 200
    assert (await client.get(KEYS)).status_code == 401


@pytest.mark.parametrize("scope", ["admin"])
async def test_a_key_gives_no_scope_that_it_lacks(client: httpx.AsyncClient, world: World, scope: str) -> None:
    refused = await client.post(KEYS, json={"name": "more", "scopes": ["payments:read", scope]})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert not world.memory.facts


async def test_a_key_that_manages_keys_gives_nothing_else(client: httpx.AsyncClient) -> None:
    body = {"name": "manager", "scopes": ["account:write", "account:read"]}
    manager = bearer((await client.post(KEYS, json=body)).json()["api_key"])
    assert (await client.post(KEYS, json=body, headers=manager)).status_code == 201
    assert (await client.post(KEYS, json=NAMED, headers=manager)).status_code == 403


async def test_an_admin_acts_for_any_merchant(client: httpx.AsyncClient) -> None:
    path = f"{MERCHANTS}/{OTHER_MERCHANT_ID}"
    assert (await client.get(path, headers=ADMIN)).json()["id"] == OTHER_MERCHANT_ID
    made = await client.post(f"{path}/keys", json={"name": "ops", "scopes": ["admin"]}, headers=ADMIN)
    assert made.status_code == 201
    assert (await client.get(f"{MERCHANTS}/mer_0", headers=ADMIN)).status_code == 404
    assert (await client.post(f"{MERCHANTS}/mer_0/keys", json=NAMED, headers=ADMIN)).status_code == 404


async def test_scopes_are_needed(client: httpx.AsyncClient) -> None:
    reader = bearer(READ_ONLY_KEY)
    assert (await client.get(KEYS, headers=reader)).status_code == 403
    assert (await client.post(KEYS, json=NAMED, headers=reader)).status_code == 403
    assert (await client.delete(f"{KEYS}/key_0", headers=reader)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.?"),
        ({"scopes": "admin"}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"scopes": ["admin"] * 6}, "scopes"),
        ({"name": ""}, "name"),
        ({"key": "sk_test_mine"}, "key"),
    ],
)
async def test_bad_fields_of_a_key(client: httpx.AsyncClient, changes: dict[str, object], field: str) -> None:
    refused = await client.post(KEYS, json={**NAMED, **changes})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize("id", ["key_0", "4111111111111111", "key_%00", "key_'--"])
async def test_a_key_that_is_not_there(client: httpx.AsyncClient, id: str) -> None:
    assert (await client.delete(f"{KEYS}/{id}")).status_code == 404


async def test_views_are_described_field_by_field(client: httpx.AsyncClient, world: World) -> None:
    schemas = describe(create_app(world.till, environment="test", version="1"), "1")["components"]["schemas"]
    merchant = (await client.post(MERCHANTS, json=TICKETS, headers=ADMIN)).json()
    key = (await client.post(KEYS, json=NAMED)).json()
    keys = (await client.get(KEYS)).json()
    for name, shown in {
        "NewMerchantView": merchant,
        "MerchantView": (await client.get(f"{MERCHANTS}/{DEMO_MERCHANT_ID}")).json(),
        "NewKeyView": key,
        "KeysView": keys,
        "KeyView": keys["data"][0],
    }.items():
        assert set(schemas[name]["properties"]) == set(shown), name
    listed = schemas["KeyBody"]["properties"]["scopes"]["items"]["enum"]
    assert listed == [str(scope) for scope in Scope]
