"""The acquirer's API over plain HTTP: one suite for the simulator and for the real MockServer.

MockServer takes part when `MOCKSERVER_URL` names one that is loaded with our expectations (`make test-stack`).
It keeps no book: what needs a memory is tested in tests/simulator, on the simulator alone.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cleartill.domain.outcome import Accepted, Approved, Found
from cleartill.domain.transfer import TransferKind
from cleartill.ports import TransferOrder
from cleartill.providers.bank import finding_of
from cleartill.providers.bank_transfer import transfer_finding_of, transfer_outcome_of
from cleartill.providers.wire import Reply
from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.cards import TEST_CARDS, Fault, TestCard
from cleartill.simulator.conduct import Conduct
from cleartill.simulator.http import bank_server, create_bank

pytestmark = pytest.mark.enable_socket

MOCKSERVER_URL = os.environ.get("MOCKSERVER_URL")
IMPATIENT_S = 0.2

CLEAR_CARDS = [card for card in TEST_CARDS if card.fault is None]
FAULTY_CARDS = [card for card in TEST_CARDS if card.fault is not None]
SILENT_CARDS = [card for card in FAULTY_CARDS if card.fault in (Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER)]
FIELDS = {
    "reference",
    "operation_id",
    "kind",
    "status",
    "response_code",
    "auth_code",
    "avs_result",
    "cvc_result",
    "amount_minor",
    "currency",
    "created_at",
}


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    """The simulator, in a thread of its own; transfers succeed, at once."""
    for _ in range(100):
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                break
    conduct = Conduct()
    conduct.change({"transfer_delay_s": [0, 0], "transfer_fail_rate": 0})
    server = bank_server(create_bank(Acquirer(Book(None)), conduct), port=port)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module", params=["simulator", "mockserver"] if MOCKSERVER_URL else ["simulator"])
def bank(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the acquirer under test."""
    url = request.getfixturevalue("simulator_url") if request.param == "simulator" else MOCKSERVER_URL
    with httpx.Client(base_url=url or "", timeout=10) as client:
        yield client


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


def authorize(bank: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = post(bank, "/v1/authorizations", order(**more))
    assert answer.status_code == 201
    return dict(answer.json())


def test_health(bank: httpx.Client) -> None:
    assert bank.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("card", CLEAR_CARDS, ids=lambda card: f"{card.name}-{card.number[-4:]}")
def test_a_card_with_a_clear_answer(bank: httpx.Client, card: TestCard) -> None:
    body = order(card.number)
    answer = post(bank, "/v1/authorizations", body)
    assert answer.status_code == (201 if card.approved else 200)
    assert answer.headers["content-type"] == "application/json"
    done = answer.json()
    assert set(done) >= FIELDS
    assert done["reference"] == body["reference"]
    assert done["operation_id"].startswith("bnk_")
    assert done["kind"] == "authorization"
    assert done["status"] == ("approved" if card.approved else "requires_action" if card.challenged else "declined")
    assert done["response_code"] == card.response_code
    assert bool(done["auth_code"]) is card.approved
    assert (done["avs_result"], done["cvc_result"]) == (card.avs, card.cvc)
    assert (done["amount_minor"], done["currency"], done["capture"]) == (1234, "USD", True)
    assert datetime.fromisoformat(done["created_at"]).tzinfo is not None


def test_a_card_of_3d_secure_sends_the_payer_to_the_banks_page(bank: httpx.Client) -> None:
    (card,) = (card for card in CLEAR_CARDS if card.challenged)
    done = post(bank, "/v1/authorizations", order(card.number)).json()
    page = httpx.URL(done["redirect_url"])
    assert (page.scheme, page.path) == ("http", f"/3ds/{done['operation_id']}")


def test_a_card_that_is_not_in_the_table_is_approved(bank: httpx.Client) -> None:
    assert authorize(bank, number="4000056655665556", capture=False)["capture"] is False


@pytest.mark.parametrize("card", SILENT_CARDS, ids=lambda card: card.name)
def test_a_card_that_brings_no_answer(bank: httpx.Client, card: TestCard) -> None:
    with pytest.raises(httpx.ReadTimeout):
        post(bank, "/v1/authorizations", order(card.number), IMPATIENT_S)


@pytest.mark.parametrize(
    ("name", "outcome"), [("bank_500", 500), ("malformed", ValueError), ("reset", httpx.TransportError)]
)
def test_a_card_that_brings_an_unclear_answer(bank: httpx.Client, name: str, outcome: int | type[Exception]) -> None:
    (card,) = (card for card in FAULTY_CARDS if card.name == name)
    if isinstance(outcome, int):
        assert post(bank, "/v1/authorizations", order(card.number)).status_code == outcome
    else:
        with pytest.raises(outcome) as failure:
            post(bank, "/v1/authorizations", order(card.number)).json()
        assert not isinstance(failure.value, httpx.TimeoutException)


def test_the_slow_card_answers_after_an_impatient_caller_has_left(bank: httpx.Client) -> None:
    (card,) = (card for card in FAULTY_CARDS if card.fault is Fault.SLOW)
    with pytest.raises(httpx.ReadTimeout):
        post(bank, "/v1/authorizations", order(card.number), IMPATIENT_S)
    assert post(bank, "/v1/authorizations", order(card.number)).json()["response_code"] == "00"


def test_capture_void_and_refund_name_their_authorization(bank: httpx.Client) -> None:
    hold = authorize(bank, capture=False)["operation_id"]
    other = authorize(bank, capture=False)["operation_id"]
    calls = [
        ("capture", f"/v1/authorizations/{hold}/captures", follow_up(), hold),
        ("refund", "/v1/refunds", follow_up(authorization_id=hold), hold),
        ("void", f"/v1/authorizations/{other}/void", {"reference": f"att_{uuid4().hex}"}, other),
    ]
    for kind, path, body, authorization_id in calls:
        answer = post(bank, path, body)
        done = answer.json()
        assert answer.status_code == 201
        assert set(done) >= FIELDS
        assert (done["kind"], done["status"], done["response_code"]) == (kind, "approved", "00")
        assert (done["reference"], done["authorization_id"]) == (body["reference"], authorization_id)
        if kind != "void":
            assert (done["amount_minor"], done["currency"]) == (1234, "USD")


@pytest.mark.parametrize("kind", list(TransferKind))
def test_a_transfer_ends_in_success_as_the_order_or_a_question_says(bank: httpx.Client, kind: TransferKind) -> None:
    """At once, or a moment after it was accepted: read as our own provider reads it."""
    body = follow_up(direction=kind)
    ask = TransferOrder(body["reference"], kind, 1234, "USD", datetime.now(UTC))
    for _ in range(2):
        answer = post(bank, "/v1/transfers", body)
        done = answer.json()
        assert set(done) >= FIELDS
        assert (done["reference"], done["direction"], done["kind"]) == (body["reference"], kind, "transfer")
        said = transfer_outcome_of(Reply(answer.status_code, done), ask)
        assert isinstance(said, Approved if answer.status_code == 200 else Accepted)
    for _ in range(200):
        if not isinstance(said, Accepted):
            break
        asked = bank.get(f"/v1/operations/{ask.attempt_key}")
        found = transfer_finding_of(Reply(asked.status_code, asked.json()), ask)
        said = found.outcome if isinstance(found, Found) else found
        time.sleep(0.02)
    assert isinstance(said, Approved)
    assert said.provider_id == done["operation_id"]


@pytest.mark.parametrize("wrong", [{"direction": "gift"}, {"direction": None}, {"amount_minor": 0}], ids=str)
def test_an_order_that_is_no_transfer_is_400(bank: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = bank.post("/v1/transfers", json=follow_up(direction="deposit") | wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_of_what_it_never_did_nobody_is_told_a_yes(bank: httpx.Client) -> None:
    """Whatever the reference looks like, a question makes no money."""
    for prefix in ("dep", "wdr", "pay"):
        ask = TransferOrder(f"{prefix}_{uuid4().hex}.transfer.1", TransferKind.DEPOSIT, 1234, "USD", datetime.now(UTC))
        for answer in (
            bank.get(f"/v1/operations/{ask.attempt_key}"),
            bank.post(f"/v1/operations/{ask.attempt_key}/cancel"),
            bank.get(f"/v1/operations/{ask.attempt_key}"),
        ):
            reply = Reply(answer.status_code, answer.json())
            assert not isinstance(transfer_finding_of(reply, ask), Found)
            assert not isinstance(finding_of(reply, ask), Found)


def test_nothing_is_known_under_a_reference_that_was_never_used(bank: httpx.Client) -> None:
    answer = bank.get(f"/v1/operations/att_{uuid4().hex}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_operation")


def test_cancelling_the_unknown_puts_a_tombstone(bank: httpx.Client) -> None:
    reference = f"att_{uuid4().hex}"
    answer = bank.post(f"/v1/operations/{reference}/cancel")
    assert answer.status_code == 200
    assert (answer.json()["reference"], answer.json()["status"]) == (reference, "cancelled")


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": ""},
        {"reference": 5},
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"amount_minor": "5"},
        {"amount_minor": 5.5},
        {"currency": "usd"},
        {"currency": None},
        {"card": {}},
        {"card": "4111111111111111"},
        {"card": {"number": "4111-1111", "expiry_month": 12, "expiry_year": 2090}},
        {"card": {"number": "4111111111111111", "expiry_month": 13, "expiry_year": 2090}},
        {"card": {"number": "4111111111111111", "expiry_month": 12, "expiry_year": 90}},
    ],
    ids=str,
)
def test_an_order_that_cannot_be_understood_is_400(bank: httpx.Client, wrong: dict[str, Any]) -> None:
    answer = bank.post("/v1/authorizations", json=order() | wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "4111" not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe"])
def test_a_body_that_is_no_order_is_400(bank: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/v1/authorizations", "/v1/refunds", "/v1/transfers"):
        assert bank.post(path, content=body, headers=headers).status_code == 400
