"""Callbacks through HTTP: authentic or refused; heard once; and nobody speaks of another merchant's payments."""

import json
from typing import Any

import httpx
import pytest

from cleartill.domain.errors import BadSignature, BooksUnavailable, InvalidCallback
from cleartill.domain.outcome import Approved, Unknown
from cleartill.domain.signature import sign
from cleartill.ports import Callback, Unit
from cleartill.providers.bank_callback import bank_verifier, parse_callback
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World
from fakes.stages import S, Stage

SECRET = b"the secret of the bank"
BANK, STRIPE, MOCK = "/webhooks/bank-callback", "/webhooks/stripe", "/webhooks/mock"
JSON = {"Content-Type": "application/json"}


def stripe(body: bytes, header: str) -> Callback:
    """Stands for Stripe's own: its signature is in a header, its body says whose attempt it is, if it is ours."""
    if header != f"signed {len(body)}":
        raise BadSignature
    said = json.loads(body)
    key = said.get("attempt_key", "")
    return Callback(said["id"], key.partition(".")[0], key, Approved("pi_1") if key else None)


def mock(body: bytes, _: str) -> Callback:
    try:
        return parse_callback(json.loads(body))
    except json.JSONDecodeError:
        raise InvalidCallback from None


@pytest.fixture
def stage(client: httpx.AsyncClient, world: World) -> Stage:
    world.till.verifiers = {"bank": bank_verifier(SECRET, world.clock.now), "stripe": stripe, "mock": mock}
    return Stage(client, world)


@pytest.fixture
async def attempt_key(stage: Stage, world: World) -> str:
    """Of a payment whose payer is at the bank's page."""
    async with stage.payment(S.REQUIRES_ACTION):
        return list(world.memory.attempts.values())[-1].key


def said(attempt_key: str, **changes: Any) -> dict[str, Any]:
    document = {"transaction_id": attempt_key, "bank_reference": "REF1", "status": "success", "error_message": None}
    document.update(changes)
    return {name: value for name, value in document.items() if value is not ...}


def signed(attempt_key: str, **changes: Any) -> dict[str, Any]:
    document = said(attempt_key, **changes)
    return {**document, "signature": sign(document, SECRET)}


def status_in(world: World) -> str:
    return str(list(world.memory.payments.values())[-1].status)


@pytest.mark.parametrize(("status", "becomes"), [("success", "captured"), ("failed", "failed")])
async def test_the_bank_is_heard(stage: Stage, world: World, attempt_key: str, status: str, becomes: str) -> None:
    del stage.client.headers["Authorization"]  # it has no key: its signature is enough
    answer = await stage.client.post(BANK, json=signed(attempt_key, status=status))
    assert (answer.status_code, answer.json(), status_in(world)) == (200, {"received": True}, becomes)


async def test_heard_again_it_changes_nothing(stage: Stage, world: World, attempt_key: str) -> None:
    for path in (BANK, f"{BANK}/", BANK):
        assert (await stage.client.post(path, json=signed(attempt_key))).status_code == 200
    assert world.memory.balance("merchant", "USD") == 9_999
    assert list(world.memory.payments.values())[-1].needs_review is None


async def test_what_contradicts_is_heard_and_asks_for_a_person(stage: Stage, world: World, attempt_key: str) -> None:
    await stage.client.post(BANK, json=signed(attempt_key))
    answer = await stage.client.post(BANK, json=signed(attempt_key, status="failed"))
    payment = list(world.memory.payments.values())[-1]
    assert (answer.status_code, payment.status, payment.needs_review is not None) == (200, "captured", True)
    shown = (await stage.client.get(f"/api/v1/payments/{payment.id}")).json()
    assert shown["needs_review"] == payment.needs_review


async def test_another_amount_moves_no_money(stage: Stage, world: World, attempt_key: str) -> None:
    answer = await stage.client.post(BANK, json=signed(attempt_key, amount_minor=1, currency="USD"))
    payment = list(world.memory.payments.values())[-1]
    assert (answer.status_code, payment.status, world.memory.journals) == (200, "requires_action", [])
    assert payment.needs_review is not None


FORGED: list[tuple[str, dict[str, Any]]] = [
    ("no_signature", said("KEY")),
    ("empty", {**said("KEY"), "signature": ""}),
    ("null", {**said("KEY"), "signature": None}),
    ("another_secret", {**said("KEY"), "signature": sign(said("KEY"), b"another")}),
    ("changed_since", {**said("KEY", status="failed"), "signature": "SIGNATURE"}),
    ("a_field_more", {**said("KEY"), "amount_minor": 9_999, "signature": "SIGNATURE"}),
]


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in FORGED])
async def test_what_is_not_the_banks_is_401(
    stage: Stage, world: World, attempt_key: str, document: dict[str, Any]
) -> None:
    rows = world.memory.rows
    real = {"KEY": attempt_key, "SIGNATURE": sign(said(attempt_key), SECRET)}
    sent = {name: real.get(value, value) if isinstance(value, str) else value for name, value in document.items()}
    answer = await stage.client.post(BANK, json=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
    assert (world.memory.rows, status_in(world)) == (rows, "requires_action")


async def test_an_old_callback_is_401(stage: Stage, world: World, attempt_key: str) -> None:
    document = signed(attempt_key, occurred_at="2026-01-15T11:54:59Z")
    assert (await stage.client.post(BANK, json=document)).status_code == 401
    assert status_in(world) == "requires_action"


SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("no_transaction", {"transaction_id": ...}),
    ("transaction_number", {"transaction_id": 1}),
    ("transaction_nul", {"transaction_id": "pay_\0"}),
    ("no_status", {"status": ...}),
    ("status_unknown", {"status": "maybe"}),
    ("status_number", {"status": 1}),
    ("no_reference", {"bank_reference": ...}),
    ("reference_long", {"bank_reference": "r" * 300}),
    ("error_number", {"error_message": 1}),
    ("amount_text", {"amount_minor": "1"}),
    ("amount_zero", {"amount_minor": 0}),
    ("amount_float", {"amount_minor": 1.5}),
    ("amount_true", {"amount_minor": True}),
    ("time_text", {"occurred_at": "yesterday"}),
    ("time_without_zone", {"occurred_at": "2026-01-15T12:00:00"}),
]


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, changes in SHAPES])
async def test_signed_nonsense_is_422(stage: Stage, world: World, attempt_key: str, changes: dict[str, Any]) -> None:
    rows = world.memory.rows
    answer = await stage.client.post(BANK, json=signed(attempt_key, **changes))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_callback")
    assert (world.memory.rows, status_in(world)) == (rows, "requires_action")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 50_000])
async def test_a_body_that_is_none_is_422(stage: Stage, body: bytes) -> None:
    answer = await stage.client.post(BANK, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_callback")


async def test_a_body_that_is_too_large_is_413(stage: Stage) -> None:
    assert (await stage.client.post(BANK, content=b" " * 65_537)).status_code == 413


@pytest.mark.parametrize("key", ["pay_none.authorize.1", "none", "pay_none", "4111111111111111", "PAY.authorize.1"])
async def test_an_attempt_that_is_not_ours_is_404(stage: Stage, world: World, key: str) -> None:
    answer = await stage.client.post(BANK, json=signed(key))
    assert (answer.status_code, world.memory.rows, "4111111111111111" in answer.text) == (404, 0, False)


async def test_another_providers_attempt_is_404(stage: Stage, world: World) -> None:
    world.providers["mock"].answers(Unknown("timeout"))
    await stage.make(provider="mock", confirm=True)
    key = list(world.memory.attempts.values())[-1].key
    assert (await stage.client.post(BANK, json=signed(key))).status_code == 404
    assert status_in(world) == "in_doubt"


@pytest.mark.parametrize("away", ["all", "writing"])
async def test_what_cannot_be_written_down_is_503_so_that_it_is_said_again(
    stage: Stage, world: World, attempt_key: str, away: str
) -> None:
    def lost(_: Unit) -> None:
        raise BooksUnavailable("away")

    world.books.away, world.books.before_record = away == "all", lost
    answer = await stage.client.post(BANK, json=signed(attempt_key))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    world.books.away, world.books.before_record = False, None
    assert (await stage.client.post(BANK, json=signed(attempt_key))).status_code == 200
    assert status_in(world) == "captured"


@pytest.mark.parametrize("path", [BANK, STRIPE, MOCK])
async def test_a_provider_that_is_not_to_be_had_is_404(client: httpx.AsyncClient, world: World, path: str) -> None:
    assert (await client.post(path, json={})).status_code == 404


# ── Stripe's ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def tell_stripe(stage: Stage, document: dict[str, Any], header: str | None = None) -> httpx.Response:
    body = json.dumps(document).encode()
    header = f"signed {len(body)}" if header is None else header
    return await stage.client.post(STRIPE, content=body, headers={**JSON, "Stripe-Signature": header})


async def test_stripes_signature_is_in_a_header(stage: Stage, world: World) -> None:
    world.providers["stripe"].answers(Unknown("timeout"))
    await stage.make(provider="stripe", confirm=True)
    said_of = {"id": "evt_1", "attempt_key": list(world.memory.attempts.values())[-1].key}
    for header in ("", "signed 1"):
        assert (await tell_stripe(stage, said_of, header)).status_code == 401
    assert status_in(world) == "in_doubt"
    assert (await tell_stripe(stage, said_of)).status_code == 200
    assert status_in(world) == "captured"


async def test_what_is_none_of_our_business_is_heard_all_the_same(stage: Stage, world: World) -> None:
    """Stripe would say it again for days, and then stop telling us anything."""
    answer = await tell_stripe(stage, {"id": "evt_1"})
    assert (answer.status_code, world.memory.rows) == (200, 0)


# ── the mock's ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def mocked(stage: Stage, world: World) -> str:
    """The key of an attempt of the demo merchant's that the mock provider did not answer."""
    world.providers["mock"].answers(Unknown("timeout"))
    await stage.make(provider="mock", confirm=True)
    return list(world.memory.attempts.values())[-1].key


async def test_the_mock_is_spoken_for_by_the_merchant(stage: Stage, world: World, mocked: str) -> None:
    assert (await stage.client.post(MOCK, json=said(mocked))).status_code == 200
    assert status_in(world) == "captured"


async def test_nobody_speaks_of_another_merchants_payment(stage: Stage, world: World, mocked: str) -> None:
    theirs = {"Authorization": f"Bearer {OTHER_API_KEY}"}
    made = await stage.client.post(
        "/api/v1/payments", json={"amount": 1, "currency": "USD"}, headers={**theirs, "Idempotency-Key": "x"}
    )
    own = made.json()["id"]

    def confused(body: bytes, _: str) -> Callback:
        """Names a payment of the caller's own, and the other's attempt."""
        return Callback("evt_1", own, json.loads(body)["transaction_id"], Approved("x"))

    for verify in (mock, confused):
        stage.world.till.verifiers = {"mock": verify}
        answer = await stage.client.post(MOCK, json=said(mocked), headers=theirs)
        assert answer.status_code == 404
    attempt = world.memory.attempts[("merchant_123", mocked)]
    assert attempt.status == "open"


async def test_the_mock_speaks_of_refunds_too(stage: Stage, world: World) -> None:
    payment_id = await stage.make(provider="mock", confirm=True)
    world.providers["mock"].answers(Unknown("timeout"))
    await stage.ask(payment_id, "refund")
    key = list(world.memory.attempts.values())[-1].key
    assert (await stage.client.post(MOCK, json=said(key))).status_code == 200
    assert status_in(world) == "refunded"


async def test_the_mock_needs_a_key_that_may_write(stage: Stage, world: World, mocked: str) -> None:
    for key, status in ((READ_ONLY_KEY, 403), ("sk_test_none", 401)):
        answer = await stage.client.post(MOCK, json=said(mocked), headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, status_in(world)) == (status, "in_doubt")
