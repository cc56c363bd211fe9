"""What Stripe tells us by itself: who may say it, and what it means."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from cleartill.domain.errors import BadSignature, InvalidCallback
from cleartill.domain.outcome import Approved, Declined
from cleartill.ports import Callback
from cleartill.providers.stripe.callbacks import callback_of, verifier

SECRET = "whsec_for_tests_only"
CREATED = 1_800_000_000
METADATA = {"payment_id": "pay_1", "attempt_key": "pay_1.authorize.1"}
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 1234,
    "currency": "usd",
    "latest_charge": "ch_1",
    "metadata": METADATA,
    "status": "succeeded",
}
REFUND = {
    "id": "re_1",
    "object": "refund",
    "amount": 400,
    "currency": "usd",
    "metadata": {"attempt_key": "ref_1.refund.1"},
    "status": "succeeded",
}
LOST = {"type": "card_error", "code": "card_declined", "decline_code": "lost_card", "network_decline_code": "41"}
PAID = Approved("pi_1", "ch_1")


def event(kind: str, there: object, **other: Any) -> dict[str, Any]:
    return {"id": "evt_1", "object": "event", "type": kind, "created": CREATED, "data": {"object": there}, **other}


def signed(payload: bytes, *, secret: str = SECRET, ago_s: int = 0) -> str:
    at = int(time.time()) - ago_s
    return stripe.WebhookSignature.generate_signature_header(payload.decode(), secret, at)


BODY = json.dumps(event("payment_intent.succeeded", INTENT)).encode()


def test_what_stripe_signed_is_heard() -> None:
    heard = verifier(SECRET)(BODY, signed(BODY))
    assert heard == Callback(
        event_id="evt_1",
        payment_id="pay_1",
        attempt_key="pay_1.authorize.1",
        outcome=PAID,
        occurred_at=datetime.fromtimestamp(CREATED, UTC),
        amount_minor=1234,
        currency="USD",
    )


@pytest.mark.parametrize(
    ("payload", "header"),
    [
        (BODY, ""),
        (BODY, "t=1,v1=00"),
        (BODY, "t=now,v1=00"),
        (BODY, "v1"),
        (BODY, signed(BODY, secret="whsec_another")),
        (BODY, signed(BODY, ago_s=301)),
        (BODY + b" ", signed(BODY)),
        (BODY.replace(b"1234", b"9999"), signed(BODY)),
        (b"\xff\xfe", signed(BODY)),
    ],
    ids=[
        "none",
        "nonsense",
        "no time",
        "no pair",
        "another secret",
        "too old",
        "a blank more",
        "another sum",
        "no text",
    ],
)
def test_what_stripe_did_not_sign_just_now_is_not_heard(payload: bytes, header: str) -> None:
    with pytest.raises(BadSignature):
        verifier(SECRET)(payload, header)


def test_without_a_secret_nobody_can_sign() -> None:
    with pytest.raises(BadSignature):
        verifier("")(BODY, signed(BODY, secret=""))


@pytest.mark.parametrize(
    "payload", [b"", b"no json", b"[]", b"7", b'{"id":"evt_1"}', b'{"id":1,"type":"x","data":{"object":{}}}']
)
def test_signed_nonsense_is_invalid(payload: bytes) -> None:
    with pytest.raises(InvalidCallback):
        verifier(SECRET)(payload, signed(payload))


@pytest.mark.parametrize(
    ("kind", "there", "outcome"),
    [
        ("payment_intent.succeeded", INTENT, PAID),
        ("payment_intent.amount_capturable_updated", INTENT | {"status": "requires_capture"}, PAID),
        ("payment_intent.payment_failed", INTENT | {"last_payment_error": LOST}, Declined("lost_card", "41", "pi_1")),
        ("payment_intent.payment_failed", INTENT, Declined("card_declined", None, "pi_1")),
        ("payment_intent.canceled", INTENT | {"latest_charge": None}, Declined("not_charged", provider_id="pi_1")),
        ("payment_intent.canceled", INTENT, None),
        ("payment_intent.requires_action", INTENT, None),
        ("charge.refunded", {"id": "ch_1", "metadata": METADATA, "amount": 1234, "currency": "usd"}, None),
        ("refund.updated", REFUND, Approved("re_1", "re_1")),
        ("charge.refund.updated", REFUND, Approved("re_1", "re_1")),
        ("refund.created", REFUND | {"status": "pending"}, None),
        ("refund.failed", REFUND | {"status": "failed"}, Declined("processing_error", provider_id="re_1")),
        ("an.event.of.next.year", INTENT, None),
    ],
)
def test_what_events_mean(kind: str, there: dict[str, Any], outcome: object) -> None:
    assert callback_of(event(kind, there)).outcome == outcome


def test_a_refund_names_its_own_attempt_and_amount() -> None:
    heard = callback_of(event("refund.updated", REFUND))
    assert (heard.attempt_key, heard.amount_minor, heard.currency) == ("ref_1.refund.1", 400, "USD")


@pytest.mark.parametrize("metadata", [None, {}, {"attempt_key": 7}, "x", {"order": "of another shop"}])
def test_what_is_not_ours_is_nothing_to_do(metadata: object) -> None:
    heard = callback_of(event("payment_intent.succeeded", INTENT | {"metadata": metadata}))
    assert (heard.outcome, heard.attempt_key) == (None, "")


@pytest.mark.parametrize(
    "odd", [{"amount": 550, "currency": "ugx"}, {"amount": "1"}, {"currency": "???"}, {"currency": None}]
)
def test_an_amount_that_cannot_be_read_is_not_made_up(odd: dict[str, Any]) -> None:
    heard = callback_of(event("payment_intent.succeeded", INTENT | odd))
    assert (heard.amount_minor, heard.currency) == (None, None)


def test_amounts_are_in_our_units() -> None:
    heard = callback_of(event("payment_intent.succeeded", INTENT | {"amount": 500, "currency": "ugx"}))
    assert (heard.amount_minor, heard.currency) == (5, "UGX")


@pytest.mark.parametrize("created", [None, "x", -1, 1 << 60])
def test_a_time_that_cannot_be_read_is_none(created: object) -> None:
    assert callback_of(event("payment_intent.succeeded", INTENT, created=created)).occurred_at is None
