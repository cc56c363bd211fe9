"""Every line that the API and the workers write, from start to end and through every outcome: JSON of the documented
shape, with its trace, without a card."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

import cleartill.telemetry
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.simulator.cards import TEST_CARDS
from e2e.canary_search import CVV, DISGUISES, sha256
from e2e.conftest import Traced
from service import PROCESS, Service, charge_body, eventually

SCHEMA = json.loads(Path(cleartill.telemetry.__file__).with_name("log_line.schema.json").read_text())
PANS = sorted({card.number for card in TEST_CARDS})
HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}
PAY = "/api/v1/payments/process"


def every_outcome(caller: httpx.Client) -> list[str]:
    """Ids of a payment by each test card."""

    def charge(pan: str) -> str:
        answer = caller.post(PAY, json=charge_body(pan))
        return str(answer.json().get("id", ""))

    with ThreadPoolExecutor(16) as threads:
        return [id for id in threads.map(charge, PANS) if id]


def every_mistake(caller: httpx.Client) -> None:
    pan = PANS[0]
    caller.post(PAY, json=charge_body(pan), headers={"Authorization": "Bearer nobody", "X-Request-ID": pan})
    caller.post(PAY, json=charge_body(pan, currency="ZZZ"), headers={"Idempotency-Key": pan})
    caller.post(PAY, content=f'{{"card": "{pan}'.encode(), headers={"Content-Type": "application/json"})
    caller.post(PAY, json=charge_body(pan, description=f"card {pan}", metadata={pan: pan}))
    caller.get(f"/api/v1/payments/{pan}?card={pan}")
    caller.get(f"/nowhere/{pan}")
    said = {"transaction_id": pan, "status": "success", "signature": "0" * 64}
    assert caller.post("/webhooks/bank-callback", json=said).status_code == 401


def extra_processes(service: Service) -> None:
    """Another API and another worker come and go; one more never comes to be, and says why."""
    service.start_api(9)
    service.start("worker9", "work")
    eventually(lambda: service.log("worker9").read_text() or service.running["worker9"].poll() is None)
    for name in ("api9", "worker9"):
        service.kill(name, signal.SIGTERM)
    service.start("unborn", "serve", "--port", "1", PROVIDER_FAILOVER="stripe:bank")
    assert service.running.pop("unborn").wait(60) != 0


@pytest.fixture(scope="module")
def lines(traced: Traced) -> dict[str, list[bytes]]:
    """The lines of each process of ours; of those that go on without the last, which may be half written."""
    service = traced.service
    with httpx.Client(base_url=service.apis[0], headers=HEADERS, timeout=20) as caller:
        traced.receiver.status = 500
        endpoint = caller.post("/api/v1/webhook-endpoints", json={"url": traced.receiver.url}).json()["id"]
        ids = every_outcome(caller)
        every_mistake(caller)
        caller.post("/api/v1/deposits", json={"amount": "5.00", "currency": "USD"}, headers={"Idempotency-Key": "log"})
        for id in ids[:2]:
            caller.post(f"/api/v1/payments/{id}/refund", json={})
        extra_processes(service)
        eventually(lambda: service.rows("SELECT 1 FROM webhook_deliveries WHERE tries > 0"))
        eventually(lambda: not service.rows("SELECT 1 FROM outbox WHERE published_at IS NULL"))
        caller.delete(f"/api/v1/webhook-endpoints/{endpoint}")
        traced.receiver.status = 200
    names = ("api1", "api2", "api9", "worker", "worker9", "unborn")
    found = {name: service.log(name).read_bytes().splitlines() for name in names}
    return {name: said[:-1] if name in ("api1", "api2", "worker") else said for name, said in found.items()}


def test_every_line_has_the_documented_shape(lines: dict[str, list[bytes]]) -> None:
    shape = Draft202012Validator(SCHEMA)
    wrong: list[Any] = []
    for name, said in lines.items():
        for line in said:
            try:
                wrong += [(name, error.message, line) for error in shape.iter_errors(json.loads(line))]
            except ValueError:
                wrong.append((name, "no JSON", line))
    assert not wrong, wrong[:5]


def test_every_kind_of_line_is_there(lines: dict[str, list[bytes]]) -> None:
    parsed = {name: [json.loads(line) for line in said] for name, said in lines.items()}
    events = {name: {line["event"] for line in said} for name, said in parsed.items()}
    outcomes = {"payment.captured", "payment.failed", "payment.in_doubt", "refund.succeeded", "deposit.created"}
    assert outcomes | {"request"} <= events["api1"]
    assert {"payment.resolved", "webhook.deliver"} <= events["worker"]
    assert {line["logger"] for line in parsed["api9"] if line["event"] == "log"} >= {"uvicorn.error"}
    assert "PROVIDER_FAILOVER" in str([line.get("error") for line in parsed["unborn"]])
    statuses = {line["status"] for line in parsed["api1"] if line["event"] == "request"}
    assert {201, 202, 401, 404, 422} <= statuses


def disguised(pan: str) -> list[bytes]:
    return [sha256(pan), *(DISGUISES[name](pan) for name in ("plain", "spaced", "dashed", "hex", "base64"))]


def test_no_line_holds_a_card(lines: dict[str, list[bytes]]) -> None:
    text = b"\n".join(line for said in lines.values() for line in said)
    assert [pan for pan in PANS if any(form in text for form in disguised(pan))] == []
    assert CVV.search(text) is None
    assert str(PROCESS["card_data"]["cardholder_name"]).encode() not in text
