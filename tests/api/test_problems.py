"""Every refusal is an RFC 9457 problem: the status the table says, a code, the ids, whether to try again."""

import asyncio
import json
import logging

import httpx
import pytest
from fastapi import FastAPI

from cleartill.api.arrival import REFUSAL
from cleartill.api.errors import RequestTooSlow
from cleartill.domain import errors
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.domain.outcome import NotSent, Unknown
from fakes import Scripted, World
from fakes.requests import CARD, CHARGE, card

PROCESS = "/api/v1/payments/process"
MEMBERS = {"type", "title", "status", "instance", "code", "request_id", "trace_id", "retryable"}

RAISED: list[tuple[Exception, int, str, bool, str | None]] = [
    (errors.Invalid("no"), 422, "invalid", False, None),
    (errors.InvalidAmount("no"), 422, "invalid_amount", False, None),
    (errors.UnknownCurrency(), 422, "unknown_currency", False, None),
    (errors.InvalidCard("no"), 422, "invalid_card", False, None),
    (errors.InvalidCallback(), 422, "invalid_callback", False, None),
    (errors.Refused("no"), 409, "refused", False, None),
    (errors.ForbiddenStep("Cannot refund a payment that is pending"), 409, "invalid_state", False, None),
    (errors.ExceedsLeft("refund", 500, "5.00 USD"), 409, "amount_too_large", False, None),
    (errors.InDoubtNow("wait"), 409, "in_doubt", True, "5"),
    (errors.IdempotencyKeyReused(), 409, "idempotency_key_reused", False, None),
    (errors.IdempotencyInProgress(), 409, "idempotency_in_progress", True, "1"),
    (errors.EmailTaken(), 409, "email_taken", False, None),
    (errors.TooManyKeys(100), 409, "too_many_keys", False, None),
    (errors.InvalidUrl("no"), 422, "invalid_url", False, None),
    (errors.InsufficientFunds(500, "5.00 USD"), 409, "insufficient_funds", False, None),
    (errors.TooManyEndpoints(50), 409, "too_many_endpoints", False, None),
    (errors.EndpointDisabled(), 409, "endpoint_disabled", False, None),
    (errors.NotFound(), 404, "not_found", False, None),
    (errors.Unauthenticated(), 401, "unauthenticated", False, None),
    (errors.BadSignature(), 401, "bad_signature", False, None),
    (errors.LoginFailed(), 401, "login_failed", False, None),
    (errors.MissingScope("no"), 403, "missing_scope", False, None),
    (errors.NotYourMerchant(), 403, "not_your_merchant", False, None),
    (errors.Unavailable("later"), 503, "unavailable", True, "1"),
    (errors.ProviderUnavailable("later"), 503, "provider_unavailable", True, "1"),
    (errors.BooksUnavailable("later"), 503, "books_unavailable", True, "1"),
    (errors.CleartillError("what is this"), 500, "internal_error", False, None),
    (ValueError("4242424242424242"), 500, "internal_error", False, None),
]


@pytest.mark.parametrize(
    ("raised", "status", "code", "retryable", "retry_after"),
    [pytest.param(*row, id=type(row[0]).__name__) for row in RAISED],
)
async def test_the_table(
    client: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    status: int,
    code: str,
    retryable: bool,
    retry_after: str | None,
) -> None:
    async def payment(_merchant_id: str, _payment_id: str) -> None:
        raise raised

    monkeypatch.setattr(world.reads, "payment", payment)
    answer = await client.get("/api/v1/payments/pay_1")
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("retry-after") == retry_after
    assert set(problem) - {"detail", "errors"} == MEMBERS
    assert (problem["code"], problem["retryable"]) == (code, retryable)
    assert problem["type"] == f"urn:cleartill:problem:{code}"
    assert problem["instance"] == "/api/v1/payments/pay_1"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(problem["trace_id"]) == 32
    assert ("errors" in problem) == (status == 422)
    assert problem.get("detail") == (None if status == 500 else str(raised))


def test_the_table_holds_every_domain_error() -> None:
    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    ours = {kind for kind in below(errors.CleartillError) if kind.__module__ == errors.__name__}
    assert ours == {type(row[0]) for row in RAISED} - {ValueError}


async def test_an_unexpected_error_says_where_but_not_what(
    client: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.bank.answers(RuntimeError("4242424242424242 leaked"))
    with caplog.at_level(logging.ERROR, "cleartill.api"):
        answer = await client.post(PROCESS, json=CHARGE)
    assert answer.status_code == 500
    assert "detail" not in answer.json()
    assert "RuntimeError" in caplog.text
    assert "attempt.py" in caplog.text
    assert "leaked" not in answer.text + caplog.text
    assert "4242424242424242" not in answer.text + caplog.text
    assert caplog.records[-1].__dict__["request_id"] == answer.json()["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("PUT", PROCESS, 405, "method_not_allowed"),
        ("DELETE", "/api/v1/payments/pay_1", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("GET", "/docs/files/nothing", 404, "not_found"),
    ],
)
async def test_the_router_refuses_with_problems_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == MEMBERS | {"detail"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)


async def test_several_fields_are_named_at_once(client: httpx.AsyncClient) -> None:
    body = {**card(card_number="1", cvv="x"), "currency": 1, "extra": 1}
    fields = {error["field"] for error in (await client.post(PROCESS, json=body)).json()["errors"]}
    assert fields == {"card_data.card_number", "card_data.cvv", "currency", "extra"}


async def test_the_list_of_errors_is_bounded(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROCESS, json={f"f{number}": 1 for number in range(5000)})
    assert len(answer.json()["errors"]) == 20


async def test_a_card_number_in_the_path_is_not_given_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/payments/4111111111111111")
    assert answer.status_code == 404
    assert "4111111111111111" not in answer.text


@pytest.mark.parametrize("id", ["%00", "a%00b", "pay_1%27", "pay_%C3%A9", "x" * 5000, "PAY_1", "%ED%A0%80"])
async def test_what_cannot_be_an_id_is_absent_unasked(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, id: str
) -> None:
    for port, method in (("reads", "payment"), ("reads", "refund"), ("reads", "timeline"), ("books", "load")):
        monkeypatch.delattr(type(getattr(world, port)), method)
    for path in (f"/api/v1/payments/{id}", f"/api/v1/refunds/{id}", f"/api/v1/payments/{id}/timeline"):
        assert (await client.get(path)).status_code == 404
    assert (await client.post(f"/api/v1/payments/{id}/refund")).status_code == 404


async def test_nothing_was_sent_is_503_and_leaves_no_row(client: httpx.AsyncClient, world: World) -> None:
    world.providers.refused.add("bank")
    answer = await client.post(PROCESS, json=CHARGE)
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert world.memory.rows == 0


async def test_not_sent_after_all_is_503_too(client: httpx.AsyncClient, world: World) -> None:
    world.bank.answers(NotSent("connect"))
    answer = await client.post(PROCESS, json=CHARGE)
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)


async def test_in_doubt_is_202_and_a_refund_of_it_409(client: httpx.AsyncClient, world: World) -> None:
    world.bank.answers(Scripted(Unknown("timeout")))
    answer = await client.post(PROCESS, json=CHARGE)
    assert (answer.status_code, answer.json()["status"]) == (202, "in_doubt")
    refund = await client.post(f"/api/v1/payments/{answer.json()['id']}/refund")
    assert (refund.status_code, refund.json()["code"]) == (409, "in_doubt")
    assert refund.headers["retry-after"] == "5"


async def test_books_away_is_503(client: httpx.AsyncClient, world: World) -> None:
    world.books.away = True
    answer = await client.post(PROCESS, json=CHARGE)
    assert (answer.status_code, answer.json()["code"]) == (503, "books_unavailable")
    assert world.bank.asked == []


async def test_a_body_that_the_server_has_refused_is_on_record_as_that(app: FastAPI, world: World) -> None:
    part = {"type": "http.request", "body": b'{"amount"', "more_body": True}
    sent = await _with_body(app, [part, {"type": "http.disconnect"}], {REFUSAL: RequestTooSlow("late")})
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "request_timeout"
    assert world.memory.rows == 0


async def test_a_body_that_ends_early_is_400(app: FastAPI, world: World) -> None:
    whole = json.dumps({**CHARGE, "card_data": CARD}).encode()
    part = {"type": "http.request", "body": whole, "more_body": True}
    sent = await _with_body(app, [part, {"type": "http.disconnect"}])
    assert sent[0]["status"] == 400
    assert world.memory.rows == 0


async def _with_body(
    app: FastAPI, messages: list[dict[str, object]], known: dict[str, object] | None = None
) -> list[dict[str, object]]:
    """Post the messages, then nothing more ever."""
    sent: list[dict[str, object]] = []
    waiting = list(messages)

    async def receive() -> dict[str, object]:
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {DEMO_API_KEY}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PROCESS,
        "raw_path": PROCESS.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        **(known or {}),
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    return sent
