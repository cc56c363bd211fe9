"""The description tells the truth: every route, every status, every field, and a page that asks no other host."""

import re
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.body import parse
from cleartill.api.docs import _bodies
from fakes import World
from fakes.requests import CHARGE

ROUTES = {
    ("post", "/api/v1/payments"),
    ("get", "/api/v1/payments"),
    ("post", "/api/v1/payments/process"),
    ("get", "/api/v1/payments/{id}"),
    ("post", "/api/v1/payments/{id}/confirm"),
    ("post", "/api/v1/payments/{id}/capture"),
    ("post", "/api/v1/payments/{id}/void"),
    ("post", "/api/v1/payments/{id}/fail"),
    ("post", "/api/v1/payments/{id}/refund"),
    ("get", "/api/v1/payments/{id}/timeline"),
    ("post", "/api/v1/refunds"),
    ("get", "/api/v1/refunds"),
    ("get", "/api/v1/refunds/{id}"),
    ("get", "/api/v1/cards/{token}"),
    ("delete", "/api/v1/cards/{token}"),
    ("post", "/webhooks/bank-callback"),
    ("post", "/webhooks/stripe"),
    ("post", "/webhooks/mock"),
    ("post", "/api/v1/merchants"),
    ("get", "/api/v1/merchants/{id}"),
    ("get", "/api/v1/merchants/{id}/keys"),
    ("post", "/api/v1/merchants/{id}/keys"),
    ("delete", "/api/v1/merchants/{id}/keys/{key_id}"),
    ("post", "/api/v1/webhook-endpoints"),
    ("get", "/api/v1/webhook-endpoints"),
    ("get", "/api/v1/webhook-endpoints/{id}"),
    ("patch", "/api/v1/webhook-endpoints/{id}"),
    ("delete", "/api/v1/webhook-endpoints/{id}"),
    ("post", "/api/v1/webhook-endpoints/{id}/rotate-secret"),
    ("post", "/api/v1/webhook-endpoints/{id}/test"),
    ("get", "/api/v1/webhook-endpoints/{id}/deliveries"),
    ("get", "/api/v1/webhook-deliveries/{id}"),
    ("post", "/api/v1/webhook-deliveries/{id}/resend"),
    ("post", "/api/v1/deposits"),
    ("get", "/api/v1/deposits"),
    ("get", "/api/v1/deposits/{id}"),
    ("post", "/api/v1/withdrawals"),
    ("get", "/api/v1/withdrawals"),
    ("get", "/api/v1/withdrawals/{id}"),
    ("get", "/api/v1/transfers/dead"),
    ("post", "/api/v1/transfers/{id}/retry"),
    ("get", "/api/v1/transfers/{id}/timeline"),
    ("get", "/api/v1/merchants/{id}/balance"),
    ("get", "/api/v1/users/{id}/balance"),
    ("get", "/api/v1/merchants/{id}/transactions"),
    ("get", "/api/v1/users/{id}/transactions"),
    ("post", "/api/v1/auth/login"),
    ("get", "/api/v1/auth/session"),
    ("post", "/api/v1/auth/logout"),
    ("get", "/api/v1/test-cards"),
    ("get", "/api/v1/event-types"),
    ("get", "/api/v1/stats"),
    ("get", "/api/v1/operations"),
    ("get", "/health"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/"),
}


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): op for path, ops in document["paths"].items() for method, op in ops.items()}


def test_every_route_is_described(document: dict[str, Any]) -> None:
    found = operations(document)
    assert set(found) == ROUTES
    for operation in found.values():
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert named <= set(document["components"]["schemas"])
    assert {"ProcessBody", "CardData", "RefundBody", "PaymentView", "RefundView", "Problem"} <= named
    assert "HTTPValidationError" not in str(document)


def _taken_at(path: str) -> list[dict[str, list[str]]] | None:
    """What a request may be asked for."""
    if path.endswith("/auth/login"):
        return None
    session: list[dict[str, list[str]]] = [{"session": []}]
    return session if "/auth/" in path else [{"bearer": []}, {"api_key": []}, *session]


def test_refusals_are_problems(document: dict[str, Any]) -> None:
    for (method, path), operation in operations(document).items():
        statuses = {int(status) for status in operation["responses"]}
        assert {400, 431, 500} <= statuses
        if path.startswith("/api"):
            assert {401, 403, 503} | ({404} if "{" in path else set()) <= statuses
            assert operation.get("security") == _taken_at(path)
            of_a_body = {408, 413, 415, 422} <= statuses and (409 in statuses or path.endswith("/login"))
            assert of_a_body or method != "post" or "requestBody" not in operation
            assert method == "post" or not of_a_body
        for status, response in operation["responses"].items():
            if int(status) >= 400 and not path.startswith("/health"):
                assert list(response["content"]) == ["application/problem+json"]


def test_money_operations_take_a_key(document: dict[str, Any]) -> None:
    for (method, _), operation in operations(document).items():
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        moves_money = method == "post" and operation["tags"][0] in ("payments", "refunds")
        moves_money |= method == "post" and operation["tags"][0] == "transfers" and "requestBody" in operation
        assert ("Idempotency-Key" in names) == moves_money


def test_bodies_are_shown_by_examples_that_are_valid(document: dict[str, Any]) -> None:
    models = {model.__name__: model for model in _bodies()}
    shown = 0
    for operation in operations(document).values():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {"schema": {}})
        model = models.get(content["schema"].get("$ref", "").rpartition("/")[2])
        if model is not None:
            for example in content["examples"].values():
                model.model_validate(parse(httpx.Request("POST", "http://x", json=example["value"]).content))
                shown += 1
    assert shown > 10


async def test_views_are_described_field_by_field(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    """A field that the domain shows and the description forgets, or the other way round."""
    schemas = document["components"]["schemas"]
    payment = (await client.post("/api/v1/payments/process", json=CHARGE)).json()
    refund = (await client.post(f"/api/v1/payments/{payment['id']}/refund")).json()
    timeline = (await client.get(f"/api/v1/payments/{payment['id']}/timeline")).json()
    problem = (await client.get("/nowhere")).json()
    for name, shown in {
        "PaymentView": payment,
        "CardView": payment["card"],
        "RefundView": refund,
        "TimelineView": timeline,
        "StepView": timeline["steps"][0],
        "HealthView": (await client.get("/health")).json(),
        "StatsView": (stats := (await client.get("/api/v1/stats")).json()),
        "PointView": stats["points"][0],
        "IndexView": (await client.get("/")).json(),
    }.items():
        assert set(schemas[name]["properties"]) == set(shown), name
    assert set(schemas["Problem"]["properties"]) == set(problem) | {"detail", "errors"}


async def test_the_page_asks_no_other_host(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(files) == 3
    for file in files:
        assert file.startswith("/docs/files/")
        assert (await client.get(file)).status_code == 200


async def test_without_docs(world: World) -> None:
    app = create_app(world.till, environment="production", version="1", docs=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://till.example") as client:
        assert (await client.get("/docs")).status_code == 404
        assert (await client.get("/openapi.json")).status_code == 404
        assert "docs" not in (await client.get("/")).json()["links"]
