"""Confirm, capture, void, fail and refund through HTTP: their bodies, their refusals, and whose they are."""

from typing import Any

import httpx
import pytest

from cleartill.domain.outcome import Declined, NotSent, Unknown
from fakes import OTHER_API_KEY, READ_ONLY_KEY, World
from fakes.requests import CARD, PAN, PROCESS, charge
from fakes.stages import ACS, OPERATIONS, PAYMENTS, S, Stage

JSON = {"Content-Type": "application/json"}
THEIRS = {"Authorization": f"Bearer {OTHER_API_KEY}"}
RIPE = {"confirm": S.PENDING, "capture": S.AUTHORIZED, "void": S.AUTHORIZED, "fail": S.PENDING, "refund": S.CAPTURED}
"""A state in which each operation is allowed."""


@pytest.fixture
def stage(client: httpx.AsyncClient, world: World) -> Stage:
    return Stage(client, world)


# ── bodies ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("how", [{}, {"content": b"", "headers": JSON}, {"json": {}}])
async def test_nothing_need_be_said(stage: Stage, operation: str, how: dict[str, Any]) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        answer = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", **how)
        assert answer.status_code == (201 if operation == "refund" else 200)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_trailing_slash_is_no_other_address(stage: Stage, operation: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        key = {"Idempotency-Key": "k"}
        first = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", headers=key)
        again = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}/", headers=key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"


async def test_the_card_may_come_with_the_confirmation(stage: Stage, world: World) -> None:
    payment_id = await stage.make(card_data=None, provider="bank")
    answer = await stage.ask(payment_id, "confirm", card_data={**CARD, "card_number": PAN, "cvv": "987"})
    assert (answer.json()["status"], answer.json()["card"]["last4"]) == ("captured", "1111")
    assert PAN not in answer.text
    sent = world.bank.asked[-1][1].card  # type: ignore[union-attr]
    assert sent is not None
    assert sent.cvv is not None


async def test_a_stored_card_may_be_named_at_the_confirmation(stage: Stage) -> None:
    token = (await stage.client.post(PROCESS, json=charge())).json()["card"]["card_token"]
    payment_id = await stage.make(card_data=None, provider="bank")
    assert (await stage.ask(payment_id, "confirm", card_token=token)).json()["card"]["card_token"] == token


async def test_without_the_card_that_is_needed_nothing_changes(stage: Stage, world: World) -> None:
    payment_id = await stage.make(card_data=None, provider="bank")
    rows = world.memory.rows
    answer = await stage.ask(payment_id, "confirm")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "card_data")
    assert (world.memory.rows, await stage.status(payment_id)) == (rows, "pending")


@pytest.mark.parametrize(("amount", "minor"), [("60.00", 6_000), (60, 6_000), (0.01, 1), ("99.99", 9_999)])
async def test_a_part_is_captured_and_the_rest_released(stage: Stage, amount: Any, minor: int) -> None:
    payment_id = await stage.hold()
    taken = (await stage.ask(payment_id, "capture", amount=amount)).json()
    assert (taken["status"], taken["amount_minor"], taken["amount_captured_minor"]) == ("captured", 9_999, minor)
    too_much = await stage.ask(payment_id, "refund", amount="99.99")
    assert too_much.status_code == (201 if minor == 9_999 else 409)


async def test_a_part_in_a_currency_without_decimals(stage: Stage) -> None:
    payment_id = await stage.make(amount=500, currency="JPY", capture_method="manual", confirm=True)
    assert (await stage.ask(payment_id, "capture", amount="1.5")).status_code == 422
    assert (await stage.ask(payment_id, "capture", amount=200)).json()["amount_captured"] == 200


BAD: list[tuple[str, str, bytes, int, str | None]] = [
    *((f"{name}_array", name, b"[]", 422, "") for name in OPERATIONS),
    *((f"{name}_truncated", name, b'{"a": 1', 400, None) for name in OPERATIONS),
    *((f"{name}_unknown", name, b'{"colour": "red"}', 422, "colour") for name in OPERATIONS),
    *((f"{name}_merchant", name, b'{"merchant_id": "merchant_123"}', 422, "merchant_id") for name in OPERATIONS),
    *((f"{name}_twice", name, b'{"a": 1, "a": 1}', 400, None) for name in OPERATIONS),
    *((f"{name}_amount", name, b'{"amount": 1}', 422, "amount") for name in ("confirm", "void", "fail")),
    *((f"{name}_zero", name, b'{"amount": 0}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_negative", name, b'{"amount": -1}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_precise", name, b'{"amount": 1.001}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_exponent", name, b'{"amount": 1e1}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_nan", name, b'{"amount": NaN}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_true", name, b'{"amount": true}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_empty", name, b'{"amount": ""}', 422, "amount") for name in ("capture", "refund")),
    *((f"{name}_pan", name, b'{"amount": "4111111111111111"}', 422, "amount") for name in ("capture", "refund")),
    ("confirm_both", "confirm", b'{"card_data": CARD, "card_token": "card_1"}', 422, "card_data"),
    ("confirm_number", "confirm", b'{"card_data": 4111111111111111}', 422, "card_data"),
    ("confirm_luhn", "confirm", b'{"card_data": LUHN}', 422, "card_data.card_number"),
    ("confirm_token_pan", "confirm", b'{"card_token": "4111111111111111"}', 422, "card_token"),
    ("confirm_token_empty", "confirm", b'{"card_token": ""}', 422, "card_token"),
    ("confirm_token_none", "confirm", b'{"card_token": "card_none"}', 404, None),
]
GOOD_CARD = b'{"card_number":"4242424242424242","expiry_month":12,"expiry_year":2030,"cvv":"123","cardholder_name":"A"}'


@pytest.mark.parametrize(("operation", "body", "status", "field"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
async def test_a_bad_body_leaves_the_payment_alone(
    stage: Stage, world: World, operation: str, body: bytes, status: int, field: str | None
) -> None:
    body = body.replace(b"CARD", GOOD_CARD).replace(
        b"LUHN", GOOD_CARD.replace(b"4242424242424242", b"4242424242424241")
    )
    async with stage.payment(RIPE[operation]) as payment_id:
        rows, asked = world.memory.rows, len(world.bank.asked)
        headers = {**JSON, "Idempotency-Key": "bad"}
        answer = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", content=body, headers=headers)

        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        if field is not None:
            assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert (world.memory.rows, len(world.bank.asked)) == (rows, asked)
        assert await stage.status(payment_id) == RIPE[operation]
        assert not {PAN, "4242424242424242"} & {answer.text[at : at + 16] for at in range(len(answer.text))}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_another_media_type_is_refused(stage: Stage, operation: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        headers = {"Content-Type": "text/plain"}
        answer = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", content=b"{}", headers=headers)
        assert answer.status_code == 415


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("key", ["", "k" * 256, PAN, "a\tb"])
async def test_a_bad_key_is_refused(stage: Stage, world: World, operation: str, key: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        rows = world.memory.rows
        path = f"{PAYMENTS}/{payment_id}/{operation}"
        answer = await stage.client.post(path, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"], world.memory.rows) == (400, "invalid_idempotency_key", rows)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payer_is_sent_where_the_bank_says(stage: Stage, world: World) -> None:
    payment_id = await stage.make()
    world.bank.answers(ACS)
    answer = await stage.ask(payment_id, "confirm")
    assert (answer.status_code, answer.json()["status"]) == (202, "requires_action")
    assert answer.json()["action"] == {"type": "redirect", "url": "https://bank.example/3ds"}
    assert answer.json()["expires_at"] == "2026-01-15T12:15:00.000000Z"


@pytest.mark.parametrize("operation", ["capture", "void"])
async def test_a_no_about_a_hold_is_an_outcome(stage: Stage, world: World, operation: str) -> None:
    payment_id = await stage.hold()
    world.bank.answers(Declined("processing_error", "96"))
    answer = await stage.ask(payment_id, operation)
    assert (answer.status_code, answer.json()["status"]) == (200, "authorized")
    assert answer.json()["decline"]["code"] == "processing_error"


@pytest.mark.parametrize("operation", ["confirm", "capture", "void", "refund"])
async def test_silence_is_202_and_what_was_not_sent_503(stage: Stage, world: World, operation: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        world.bank.answers(NotSent("connect"), Unknown("timeout"))
        unsent = await stage.ask(payment_id, operation)
        assert (unsent.status_code, unsent.json()["code"]) == (503, "provider_unavailable")
        assert unsent.headers["retry-after"] == "1"
        assert await stage.status(payment_id) == RIPE[operation]
        silence = await stage.ask(payment_id, operation)
        assert (silence.status_code, silence.json()["status"]) == (202, "in_doubt")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("id", ["-", PAN, "pay_%00", "PAY_1", "pay_1%27", "pay_" + "0" * 40, "pay_%F0%9F%92%B3"])
async def test_what_is_no_id_reaches_no_book(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch, operation: str, id: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(world.books, "load", lambda *which: asked.extend(which))
    answer = await stage.client.post(f"{PAYMENTS}/{id}/{operation}")
    assert (answer.status_code, asked, PAN in answer.text) == (404, [], False)


# ── who may ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_another_merchants_payment_is_absent_byte_for_byte(stage: Stage, world: World, operation: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        rows = world.memory.rows
        theirs = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", headers=THEIRS)
        absent = await stage.client.post(f"{PAYMENTS}/pay_none/{operation}", headers=THEIRS)
        found, none = theirs.json(), absent.json()
        for volatile in ("request_id", "trace_id", "instance"):
            del found[volatile], none[volatile]
        assert (theirs.status_code, found, world.memory.rows) == (404, none, rows)
        assert await stage.status(payment_id) == RIPE[operation]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_key_that_may_only_read_changes_nothing(stage: Stage, world: World, operation: str) -> None:
    async with stage.payment(RIPE[operation]) as payment_id:
        rows = world.memory.rows
        headers = {"Authorization": f"Bearer {READ_ONLY_KEY}"}
        answer = await stage.client.post(f"{PAYMENTS}/{payment_id}/{operation}", headers=headers)
        assert (answer.status_code, answer.json()["code"], world.memory.rows) == (403, "missing_scope", rows)
