"""The description tells the truth: every route, every status, every field, and a page that asks no other host."""

import re
from typing import Any

import httpx
import pytest

from cleartill.api.app import create_app
from cleartill.api.body import parse
from cleartill.api.payments import ProcessBody
from cleartill.api.refunds import RefundBody
from fakes import World
from fakes.requests import CHARGE

ROUTES = {
    ("post", "/api/v1/payments/process"),
    ("get", "/api/v1/payments/{id}"),
    ("post", "/api/v1/payments/{id}/refund"),
    ("get", "/api/v1/payments/{id}/timeline"),
    ("get", "/api/v1/refunds/{id}"),
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


def test_refusals_are_problems(document: dict[str, Any]) -> None:
    for (method, path), operation in operations(document).items():
        statuses = {int(status) for status in operation["responses"]}
        assert {400, 431, 500} <= statuses
        if path.startswith("/api"):
            assert {401, 403, 404, 503} <= statuses
            assert operation["security"] == [{"bearer": []}, {"api_key": []}]
            assert ({408, 409, 413, 415, 422} <= statuses) == (method == "post")
        for status, response in operation["responses"].items():
            if int(status) >= 400 and not path.startswith("/health"):
                assert list(response["content"]) == ["application/problem+json"]


def test_money_operations_take_a_key_and_show_examples(document: dict[str, Any]) -> None:
    for (method, _), operation in operations(document).items():
        names = [parameter["name"] for parameter in operation.get("parameters", [])]
        assert ("Idempotency-Key" in names) == (method == "post")
        if method == "post":
            model = {"Charge": ProcessBody}.get(operation["summary"].split()[0], RefundBody)
            for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
                model.model_validate(parse(httpx.Request("POST", "http://x", json=example["value"]).content))


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
