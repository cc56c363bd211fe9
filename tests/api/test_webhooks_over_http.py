"""Webhook endpoints and deliveries over HTTP: a secret shown once, URLs refused, tries listed, sent again."""

from typing import Any

import httpx
import pytest

from cleartill.api.docs import describe
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.webhook import MAX_ENDPOINTS, Heard
from cleartill.usecases.deliver_webhook import UnderWay, deliver_webhook
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World
from fakes.requests import CHARGE

ENDPOINTS, DELIVERIES = "/api/v1/webhook-endpoints", "/api/v1/webhook-deliveries"
URL = "https://shop.example/hook?shop=1"
CAPTURES = {"url": URL, "event_types": ["payment.captured"], "description": "orders"}


async def add(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    made = await client.post(ENDPOINTS, json={**CAPTURES, **changes})
    assert made.status_code == 201
    found: dict[str, Any] = made.json()
    return found


async def pay_and_deliver(client: httpx.AsyncClient, world: World, times: int = 1) -> None:
    for _ in range(times):
        assert (await client.post("/api/v1/payments/process", json=CHARGE)).status_code == 201
    await deliver(world)


async def deliver(world: World) -> None:
    await world.webhooks.fan_out(1000)
    under_way = UnderWay()
    for _ in range(4):
        await deliver_webhook(world.till, "worker", under_way)


# ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_its_secret_is_shown_once(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["url"], made["event_types"], made["description"]) == (URL, ["payment.captured"], "orders")
    assert (made["status"], made["disabled_at"], made["failing_since"]) == ("enabled", None, None)
    assert (await client.get(f"{ENDPOINTS}/{made['id']}")).json() == made
    assert (await client.get(ENDPOINTS)).json() == {"data": [made]}
    assert secret not in str(world.memory.facts)
    assert secret not in str(world.memory.outbox)


async def test_a_url_is_all_it_takes(client: httpx.AsyncClient) -> None:
    made = (await client.post(ENDPOINTS, json={"url": URL})).json()
    assert (made["event_types"], made["description"]) == ([], None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None), ("url", 7), ("url", ""), ("url", "shop.example"), ("url", "ftp://shop.example/"),
        ("url", "http://shop.example/"), ("url", "https://10.0.0.1/"), ("url", "https://169.254.169.254/"),
        ("url", "https://2130706433/"), ("url", "https://user:pass@shop.example/"), ("url", "https://[::ffff:10.0.0.1]/"),
        ("url", "https://shop.example:22/"), ("url", "https://shop.example/" + "x" * 2048), ("url", "https://a b/"),
        ("url", "https://shop.example/\u0000"), ("url", "https://shop.example/4242424242424242"),
        ("event_types", None), ("event_types", "payment.captured"), ("event_types", ["payment.caught"]),
        ("event_types", [7]), ("event_types", ["payment.*"]), ("event_types", {"payment.captured": True}),
        ("event_types", ["payment.captured"] * 100), ("description", ""), ("description", "x" * 201),
        ("event_types", ["reconciliation.mismatch"]),
        ("description", "card 4242 4242 4242 4242"), ("secret", "whsec_mine"), ("merchant_id", "merchant_456"),
        ("id", "we_1"),
    ],
)  # fmt: skip
async def test_bad_fields_are_named(client: httpx.AsyncClient, world: World, field: str, value: object) -> None:
    refused = await client.post(ENDPOINTS, json={**CAPTURES, field: value})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert "4242" not in refused.text
    assert world.webhooks.kept == {}

    made = await add(client)
    before = world.webhooks.kept.copy()
    refused = await client.patch(f"{ENDPOINTS}/{made['id']}", json={field: value})
    assert refused.status_code == 422
    assert world.webhooks.kept == before


async def test_no_more_than_a_merchant_may_have(client: httpx.AsyncClient) -> None:
    made = [await add(client) for _ in range(MAX_ENDPOINTS)]
    refused = await client.post(ENDPOINTS, json=CAPTURES)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_endpoints")
    assert (await client.delete(f"{ENDPOINTS}/{made[0]['id']}")).json() == {"id": made[0]["id"], "deleted": True}
    await add(client)


async def test_what_is_not_sent_stays(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    path = f"{ENDPOINTS}/{made['id']}"
    facts = len(world.memory.facts)
    assert (await client.patch(path, json={})).json()["url"] == URL
    assert len(world.memory.facts) == facts, "nothing changed, nothing happened"
    changed = (await client.patch(path, json={"description": None, "event_types": []})).json()
    assert (changed["url"], changed["description"], changed["event_types"]) == (URL, None, [])
    off = (await client.patch(path, json={"enabled": False})).json()
    assert (off["status"], off["disabled_reason"]) == ("disabled", "by_hand")
    on = (await client.patch(path, json={"enabled": True})).json()
    assert (on["status"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)
    for enabled in (None, 1, "true"):
        assert (await client.patch(path, json={"enabled": enabled})).status_code == 422


async def test_deleted_it_is_gone(client: httpx.AsyncClient) -> None:
    path = f"{ENDPOINTS}/{(await add(client))['id']}"
    assert (await client.delete(path)).status_code == 200
    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        assert (await client.request(method, path + tail)).status_code == 404


async def test_a_rotated_secret_is_another_one(client: httpx.AsyncClient) -> None:
    made = await add(client)
    rotated = (await client.post(f"{ENDPOINTS}/{made['id']}/rotate-secret")).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] is not None


@pytest.mark.parametrize("id", ["we_1\0", "4242424242424242", "we_" + "x" * 40, "..%2f", "we_'--"])
async def test_what_is_no_id_is_absent(client: httpx.AsyncClient, id: str) -> None:
    for path in (f"{ENDPOINTS}/", f"{DELIVERIES}/"):
        assert (
            await client.get(httpx.URL("http://till.example").join(path + id.replace("\0", "%00")))
        ).status_code == 404


@pytest.mark.parametrize("path", [ENDPOINTS, f"{ENDPOINTS}/we_1", f"{DELIVERIES}/dlv_1"])
async def test_reading_and_writing_are_scopes_of_the_account(client: httpx.AsyncClient, path: str) -> None:
    refused = await client.get(path, headers={"Authorization": f"Bearer {READ_ONLY_KEY}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delivery_tells_its_tries(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    world.courier.answers[URL] = Heard(500, None, 12.5, "broken")
    await pay_and_deliver(client, world)
    [listed] = (await client.get(f"{ENDPOINTS}/{made['id']}/deliveries")).json()["data"]
    assert (listed["status"], listed["attempts"], listed["event_type"]) == ("pending", 1, "payment.captured")
    assert listed["sequence"] == 2

    told = (await client.get(f"{DELIVERIES}/{listed['id']}")).json()
    tries, event = told.pop("tries"), told.pop("event")
    assert told == listed
    assert [(one["number"], one["status"], one["latency_ms"], one["response"]) for one in tries] == [
        (1, 500, 12.5, "broken")
    ]
    assert (event["id"], event["subject"], event["sequence"]) == (listed["event_id"], listed["subject"], 2)

    del world.courier.answers[URL]
    again = await client.post(f"{DELIVERIES}/{listed['id']}/resend")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    await deliver(world)
    told = (await client.get(f"{DELIVERIES}/{listed['id']}")).json()
    assert (told["status"], told["attempts"], len(told["tries"])) == ("delivered", 2, 2)
    assert {letter.id for letter in world.courier.letters} == {listed["event_id"]}


async def test_deliveries_are_listed_page_by_page(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    await pay_and_deliver(client, world, 5)
    path, seen, query = f"{ENDPOINTS}/{made['id']}/deliveries", [], {"limit": "2", "status": "delivered"}
    while True:
        page = (await client.get(path, params=query)).json()
        seen += [one["id"] for one in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5
    assert (await client.get(path, params={"status": "failed"})).json()["data"] == []
    for bad in ({"status": "lost"}, {"limit": "0"}, {"cursor": "x"}, {"since": "1"}, {**query, "status": "failed"}):
        assert (await client.get(path, params=bad)).status_code == 422
    other = await add(client)
    assert (await client.get(f"{ENDPOINTS}/{other['id']}/deliveries", params=query)).status_code == 422


async def test_another_merchant_hears_and_sees_nothing(client: httpx.AsyncClient, world: World) -> None:
    made, theirs = await add(client), {"Authorization": f"Bearer {OTHER_API_KEY}"}
    await client.post(ENDPOINTS, json={"url": "https://spy.example/"}, headers=theirs)
    await pay_and_deliver(client, world)
    assert world.courier.sent_to("https://spy.example/") == []
    [listed] = (await client.get(f"{ENDPOINTS}/{made['id']}/deliveries")).json()["data"]
    for method, path in (
        ("GET", f"{DELIVERIES}/{listed['id']}"),
        ("POST", f"{DELIVERIES}/{listed['id']}/resend"),
        ("GET", f"{ENDPOINTS}/{made['id']}/deliveries"),
        ("PATCH", f"{ENDPOINTS}/{made['id']}"),
    ):
        body = {"url": "https://spy.example/"} if method == "PATCH" else None
        assert (await client.request(method, path, json=body, headers=theirs)).status_code == 404
    assert world.webhooks.kept[DEMO_MERCHANT_ID, made["id"]].url == URL


async def test_a_test_shows_whether_it_works(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    sent = await client.post(f"{ENDPOINTS}/{made['id']}/test")
    assert (sent.status_code, sent.json()["event_type"]) == (202, "webhook_endpoint.test")
    await deliver(world)
    told = (await client.get(f"{DELIVERIES}/{sent.json()['id']}")).json()
    assert (told["status"], told["tries"][0]["status"]) == ("delivered", 200)
    assert "secret" not in str(told["event"]["data"].keys() - {"old_secret_until"})


async def test_a_disabled_endpoint_takes_no_tests_and_no_repeats(client: httpx.AsyncClient, world: World) -> None:
    made = await add(client)
    await pay_and_deliver(client, world)
    [listed] = (await client.get(f"{ENDPOINTS}/{made['id']}/deliveries")).json()["data"]
    await client.patch(f"{ENDPOINTS}/{made['id']}", json={"enabled": False})
    for path in (f"{ENDPOINTS}/{made['id']}/test", f"{DELIVERIES}/{listed['id']}/resend"):
        refused = await client.post(path)
        assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")


async def test_views_are_described_field_by_field(client: httpx.AsyncClient, app: Any, world: World) -> None:
    schemas = describe(app, "1")["components"]["schemas"]
    made = await add(client)
    await pay_and_deliver(client, world)
    page = (await client.get(f"{ENDPOINTS}/{made['id']}/deliveries")).json()
    told = (await client.get(f"{DELIVERIES}/{page['data'][0]['id']}")).json()
    for name, shown in {
        "NewEndpointView": made,
        "EndpointView": (await client.get(f"{ENDPOINTS}/{made['id']}")).json(),
        "DeliveryPage": page,
        "DeliveryView": page["data"][0],
        "ToldView": told,
        "TryView": told["tries"][0],
    }.items():
        assert set(schemas[name]["properties"]) == set(shown), name
