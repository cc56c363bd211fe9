"""The bank over HTTP: what needs a memory, what can be set, and what is true after a fault."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from cleartill.simulator.cards import TEST_CARDS, Fault, TestCard

pytestmark = pytest.mark.enable_socket

IMPATIENT_S = 0.2
FAULTY_CARDS = [card for card in TEST_CARDS if card.fault is not None]


@pytest.fixture(scope="module")
def client(simulator_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator_url, timeout=10) as client:
        yield client


@pytest.fixture
def simulator(client: httpx.Client) -> Iterator[httpx.Client]:
    """The bank; its conduct is good again after each test."""
    yield client
    conduct(client, down=False, delay_ms=0, jitter_ms=0, fault_rates={})


def order(number: str = "4111111111111111", **more: Any) -> dict[str, Any]:
    """The body of an authorization over 12.34 USD with a fresh reference."""
    return {
        "reference": f"att_{uuid4().hex}",
        "amount_minor": 1234,
        "currency": "USD",
        "card": {
            "number": number,
            "expiry_month": 12,
            "expiry_year": 2090,
            "cvc": "123",
            "holder": "Ada Lovelace",
        },
        "capture": True,
        "expires_at": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
    } | more


def follow_up(**more: Any) -> dict[str, Any]:
    """The body of a capture, void, refund or transfer: an order without a card."""
    body = order(**more)
    return {name: value for name, value in body.items() if name not in ("card", "capture")}


def post(bank: httpx.Client, path: str, body: dict[str, Any], timeout: float = 10) -> httpx.Response:
    headers = {"Idempotency-Key": body["reference"]}
    return bank.post(path, json=body, headers=headers, timeout=timeout)


def conduct(simulator: httpx.Client, **settings: Any) -> None:
    """Set the simulator's conduct."""
    answer = simulator.put("/_control", json=settings)
    assert answer.status_code == 200
    assert settings.keys() <= answer.json().keys()


def authorize(bank: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = post(bank, "/v1/authorizations", order(**more))
    assert answer.status_code == 201
    return dict(answer.json())


def statement(bank: httpx.Client) -> list[dict[str, Any]]:
    """The whole statement, read in small pages."""
    entries: list[dict[str, Any]] = []
    position = 0
    for _ in range(10_000):
        page = bank.get("/v1/statement", params={"since": position, "limit": 7}).json()
        entries += page["entries"]
        position = page["next"]
        if not page["has_more"]:
            return entries
    raise AssertionError("the statement has no end")


def dump(entry: dict[str, Any]) -> str:
    return orjson.dumps(entry).decode()


@pytest.mark.parametrize("card", FAULTY_CARDS, ids=lambda card: card.name)
def test_what_is_true_after_a_fault(simulator: httpx.Client, card: TestCard) -> None:
    assert card.fault is not None
    body = order(card.number)
    try:
        post(simulator, "/v1/authorizations", body, 5 if card.fault is Fault.SLOW else IMPATIENT_S)
    except httpx.TransportError:
        assert card.fault in (Fault.RESET, Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER)
    truth = simulator.get(f"/v1/operations/{body['reference']}")
    assert truth.status_code == (200 if card.fault.acts else 404)
    cancelled = simulator.post(f"/v1/operations/{body['reference']}/cancel").json()
    assert cancelled["status"] == ("approved" if card.fault.acts else "cancelled")
    again = post(simulator, "/v1/authorizations", body)
    assert again.status_code == (201 if card.fault.acts else 409)
    assert again.json() == (cancelled if card.fault.acts else again.json())


def test_a_repeat_answers_byte_for_byte(simulator: httpx.Client) -> None:
    for number in ("4111111111111111", "4000000000009995"):
        body = order(number)
        first, second = (post(simulator, "/v1/authorizations", body) for _ in range(2))
        assert (first.status_code, first.content) == (second.status_code, second.content)


def test_32_equal_references_at_once_have_one_effect(simulator: httpx.Client) -> None:
    conduct(simulator, jitter_ms=50)
    body = order()
    with ThreadPoolExecutor(32) as callers:
        asked = [callers.submit(post, simulator, "/v1/authorizations", body) for _ in range(32)]
        answers = [call.result() for call in asked]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    entries = [entry["reference"] for entry in statement(simulator)]
    assert entries.count(body["reference"]) == 1


def test_a_cancel_that_overtakes_the_original_wins(simulator: httpx.Client) -> None:
    (slow,) = (card for card in FAULTY_CARDS if card.fault is Fault.SLOW)
    body = order(slow.number)
    with pytest.raises(httpx.ReadTimeout):
        post(simulator, "/v1/authorizations", body, IMPATIENT_S)
    assert simulator.post(f"/v1/operations/{body['reference']}/cancel").json()["status"] == "cancelled"
    late = post(simulator, "/v1/authorizations", body)
    assert (late.status_code, late.json()["code"]) == (409, "cancelled")


def test_an_order_that_arrives_in_time_but_is_judged_too_late_is_refused(simulator: httpx.Client) -> None:
    conduct(simulator, delay_ms=300)
    body = order(expires_at=(datetime.now(UTC) + timedelta(seconds=0.1)).isoformat())
    answer = post(simulator, "/v1/authorizations", body)
    assert (answer.status_code, answer.json()["code"]) == (410, "expired")
    assert simulator.get(f"/v1/operations/{body['reference']}").status_code == 404


def test_captures_and_refunds_stop_at_their_caps(simulator: httpx.Client) -> None:
    hold = authorize(simulator, capture=False)["operation_id"]
    path = f"/v1/authorizations/{hold}/captures"
    assert post(simulator, path, follow_up(amount_minor=1235)).json()["response_code"] == "13"
    assert post(simulator, path, follow_up(amount_minor=1000)).json()["response_code"] == "00"
    refund = [follow_up(amount_minor=amount, authorization_id=hold) for amount in (1001, 600, 600, 400)]
    codes = [post(simulator, "/v1/refunds", body).json()["response_code"] for body in refund]
    assert codes == ["13", "00", "13", "00"]


def test_another_key_than_the_reference_is_refused(simulator: httpx.Client) -> None:
    answer = simulator.post("/v1/authorizations", json=order(), headers={"Idempotency-Key": "another"})
    assert answer.status_code == 400


def test_the_statement_is_the_book(simulator: httpx.Client, book_path: Path) -> None:
    for number in ("4111111111111111", "4000000000000002"):
        post(simulator, "/v1/authorizations", order(number))
    simulator.post(f"/v1/operations/att_{uuid4().hex}/cancel")
    entries = statement(simulator)
    lines = book_path.read_text().splitlines()
    assert len(entries) >= 3
    assert [line.split('"answer":', 1)[1][:-1] for line in lines] == [dump(entry) for entry in entries]


@pytest.mark.parametrize("query", ["since=yesterday", "since=-1", "limit=0", "limit=1001", "limit=x"])
def test_a_statement_that_cannot_be_made_is_400(simulator: httpx.Client, query: str) -> None:
    assert simulator.get(f"/v1/statement?{query}").status_code == 400


def test_a_bank_that_is_down_does_nothing(simulator: httpx.Client) -> None:
    conduct(simulator, down=True)
    body = order()
    assert post(simulator, "/v1/authorizations", body).status_code == 503
    assert simulator.get("/health").status_code == 503
    conduct(simulator, down=False)
    assert simulator.get(f"/v1/operations/{body['reference']}").status_code == 404


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("error500", "500"),
        ("timeout_before", "silence"),
        ("timeout_after", "silence"),
        ("reset", "reset"),
        ("malformed", "201"),
    ],
)
def test_faults_can_be_set_for_every_order(simulator: httpx.Client, fault: str, outcome: str) -> None:
    conduct(simulator, fault_rates={fault: 1})
    body = order()
    try:
        seen = str(post(simulator, "/v1/authorizations", body, IMPATIENT_S).status_code)
    except httpx.ReadTimeout:
        seen = "silence"
    except httpx.TransportError:
        seen = "reset"
    assert seen == outcome
    known = simulator.get(f"/v1/operations/{body['reference']}").status_code == 200
    assert known is Fault(fault).acts


def test_a_wrong_control_is_422_and_changes_nothing(simulator: httpx.Client) -> None:
    before = simulator.get("/_control").json()
    for wrong in ({"delay_ms": -1}, {"unknown": 1}, [1]):
        assert simulator.put("/_control", json=wrong).status_code == 422
    assert simulator.get("/_control").json() == before


def test_a_body_over_64_kib_is_refused(simulator: httpx.Client) -> None:
    assert simulator.post("/v1/authorizations", json=order() | {"x": "x" * 70000}).status_code == 400
