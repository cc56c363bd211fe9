"""The bank's callbacks as we read them: who may say what, and what it means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from cleartill.domain.errors import BadSignature, InvalidCallback
from cleartill.domain.outcome import Approved, Declined
from cleartill.domain.signature import sign
from cleartill.ports.providers import Callback
from cleartill.providers.bank_callback import STALE_AFTER, bank_verifier, parse_callback
from cleartill.simulator import callbacks as simulator

SECRET = b"a secret"
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
KEY = "pay_1.authorize.1"
TOLD: dict[str, Any] = {
    "transaction_id": KEY,
    "bank_reference": "bnk_1",
    "status": "success",
    "error_message": None,
    "event_id": "bnk_1:approved",
    "occurred_at": "2026-07-01T14:00:00+02:00",
    "amount_minor": 1234,
    "currency": "EUR",
}


def read(document: dict[str, Any], secret: bytes = SECRET, now: datetime = NOW) -> Callback:
    body = orjson.dumps(document | {"signature": sign(document, secret)})
    return bank_verifier(SECRET, lambda: now)(body, "")


def test_a_yes() -> None:
    assert read(TOLD) == Callback("bnk_1:approved", "pay_1", KEY, Approved("bnk_1", "bnk_1"), NOW, 1234, "EUR")


def test_a_no() -> None:
    told = read(TOLD | {"status": "failed", "error_message": "the payer refused"})
    assert told.outcome == Declined("card_declined", provider_id="bnk_1")


def test_only_four_words_are_needed() -> None:
    bare = {"transaction_id": KEY, "bank_reference": "bnk_1", "status": "success"}
    told = parse_callback(bare)
    assert (told.occurred_at, told.amount_minor, told.currency) == (None, None, None)
    assert told.event_id == parse_callback(dict(bare)).event_id
    assert told.event_id != parse_callback(bare | {"status": "failed"}).event_id
    assert told.event_id != parse_callback(bare | {"transaction_id": "pay_2.authorize.1"}).event_id


def test_a_no_needs_no_reference() -> None:
    assert parse_callback({"transaction_id": KEY, "status": "failed"}).outcome == Declined("card_declined")


def test_what_is_signed_by_another_is_refused() -> None:
    with pytest.raises(BadSignature):
        read(TOLD, b"another")


@pytest.mark.parametrize("signature", [None, "", 7, "0" * 64])
def test_what_is_not_signed_is_refused(signature: Any) -> None:
    with pytest.raises(BadSignature):
        bank_verifier(SECRET, lambda: NOW)(orjson.dumps(TOLD | {"signature": signature}), "")


@pytest.mark.parametrize(("age", "believed"), [(STALE_AFTER, True), (STALE_AFTER + timedelta(seconds=1), False)])
def test_an_old_signature_is_not_believed(age: timedelta, believed: bool) -> None:
    if believed:
        read(TOLD, now=NOW + age)
    else:
        with pytest.raises(BadSignature):
            read(TOLD, now=NOW + age)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_no_callback(body: bytes) -> None:
    with pytest.raises(InvalidCallback):
        bank_verifier(SECRET, lambda: NOW)(body, "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"transaction_id": None},
        {"transaction_id": ""},
        {"transaction_id": 5},
        {"transaction_id": "x" * 256},
        {"transaction_id": "pay\x00"},
        {"status": None},
        {"status": "approved"},
        {"status": ["success"]},
        {"bank_reference": None},
        {"bank_reference": 5},
        {"bank_reference": "x" * 256},
        {"error_message": 5},
        {"event_id": 5},
        {"event_id": "x" * 256},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-07-01T12:00:00"},
        {"occurred_at": "0001-01-01T00:00:00+23:59"},
        {"occurred_at": 1782907200},
        {"amount_minor": "1234"},
        {"amount_minor": 12.5},
        {"amount_minor": True},
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"currency": 978},
    ],
    ids=str,
)
def test_signed_nonsense_is_no_callback(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidCallback):
        read(TOLD | wrong)


def test_what_the_bank_says_besides_is_ignored() -> None:
    assert read(TOLD | {"weather": "fine"}) == read(TOLD)


@pytest.mark.parametrize(("status", "outcome"), [("approved", Approved("bnk_1", "bnk_1")), ("declined", None)])
def test_what_our_bank_sends_is_what_we_read(status: str, outcome: Approved | None) -> None:
    async def nowhere(_: str, __: bytes) -> None: ...

    settled = {"reference": KEY, "operation_id": "bnk_1", "kind": "authorization", "status": status}
    body = simulator.Callback(nowhere, "", SECRET).body(settled | {"amount_minor": 1234, "currency": "EUR"})
    told = bank_verifier(SECRET, lambda: datetime.now(UTC))(body, "")
    assert (told.event_id, told.payment_id, told.attempt_key) == (f"bnk_1:{status}", "pay_1", KEY)
    assert (told.amount_minor, told.currency) == (1234, "EUR")
    assert told.outcome == (outcome or Declined("card_declined", provider_id="bnk_1"))
