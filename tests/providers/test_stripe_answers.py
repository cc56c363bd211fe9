"""What Stripe's answers mean: pure functions, and their bad inputs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.outcome import (
    DECLINES,
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import Inquiry, Reversal
from cleartill.providers.stripe.answers import (
    Refused,
    authorized,
    captured,
    finding_of,
    prepared,
    refunded,
    refusal_of,
    voided,
)
from cleartill.providers.stripe.declines import DECLINE_CODES, declined

KEY, SOON = "pay_1.authorize.1", datetime(2030, 1, 1, tzinfo=UTC)
ASK = Inquiry(KEY, "pay_1", 1234, "USD", SOON, "pi_1")
BACK = Reversal("ref_1.refund.1", "pi_1", 1234, "USD", SOON)
UNREADABLE, PROCESSING = Unknown("unreadable"), Unknown("processing")
PAGE = "https://hooks.stripe.com/redirect/x"


def intent(status: str = "succeeded", **other: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "amount": 1234,
        "amount_received": 1234 if status == "succeeded" else 0,
        "currency": "usd",
        "metadata": {"payment_id": "pay_1", "attempt_key": KEY},
        "latest_charge": "ch_1",
        "status": status,
        **other,
    }


def refund(status: str = "succeeded", **other: Any) -> dict[str, Any]:
    return {
        "id": "re_1",
        "amount": 1234,
        "currency": "usd",
        "metadata": {"attempt_key": BACK.attempt_key},
        "status": status,
        **other,
    }


def unexpected(found: object) -> Refused:
    return Refused(
        {"type": "invalid_request_error", "code": "payment_intent_unexpected_state", "payment_intent": found}
    )


CARD_ERROR = {"type": "card_error", "code": "card_declined", "decline_code": "lost_card", "network_decline_code": "41"}
LOST = Declined("lost_card", "41", "pi_1")
BAD_REQUEST = Refused({"type": "invalid_request_error", "code": "parameter_unknown"})
PAID = Approved("pi_1", "ch_1")
REDIRECT = {"next_action": {"type": "redirect_to_url", "redirect_to_url": {"url": PAGE}}}


@pytest.mark.parametrize(
    ("status", "error", "means"),
    [
        (401, {"type": "invalid_request_error"}, NotSent("credentials")),
        (403, {"type": "invalid_request_error"}, NotSent("credentials")),
        (429, {"code": "rate_limit"}, NotSent("rate_limited")),
        (429, {"code": "lock_timeout"}, NotSent("rate_limited")),
        (409, {"type": "idempotency_error"}, Unknown("in_progress")),
        (400, {"type": "idempotency_error"}, Unknown("in_progress")),
        (400, {"type": "invalid_request_error"}, Refused({"type": "invalid_request_error"})),
        (402, CARD_ERROR, Refused(CARD_ERROR)),
        (404, {"code": "resource_missing"}, Refused({"code": "resource_missing"})),
        (302, {"type": "x"}, UNREADABLE),
        (None, {"type": "x"}, UNREADABLE),
        (402, None, UNREADABLE),
        (401, "no", UNREADABLE),
    ],
)
def test_refusals(status: int | None, error: object, means: Refused | Outcome) -> None:
    assert refusal_of(status, {"error": error}) == means


@pytest.mark.parametrize("body", [None, "<html>", [], 7])
def test_a_refusal_that_is_no_error_of_stripes_is_unknown(body: object) -> None:
    assert refusal_of(402, body) == UNREADABLE


@pytest.mark.parametrize(
    ("heard", "means"),
    [
        ({"id": "pi_1"}, "pi_1"),
        ({}, UNREADABLE),
        ({"id": 7}, UNREADABLE),
        ({"id": "x" * 256}, UNREADABLE),
        (NotSent("connect"), NotSent("connect")),
        (Unknown("reset"), Unknown("reset")),
        (Refused({"code": "amount_too_large"}), Declined("limit_exceeded")),
        (Refused({"code": "amount_too_small"}), Declined("processing_error")),
    ],
)
def test_preparing(heard: Any, means: str | Outcome) -> None:
    assert prepared(heard) == means


@pytest.mark.parametrize(
    ("found", "means"),
    [
        (intent(), Found(PAID)),
        (intent("requires_capture"), Found(PAID)),
        (intent("requires_action", **REDIRECT), Found(ActionRequired("pi_1", PAGE))),
        (intent("requires_action", next_action={"type": "use_stripe_sdk"}), NotYet()),
        (intent("requires_action", next_action={"redirect_to_url": {"url": "javascript:alert(1)"}}), NotYet()),
        (intent("requires_payment_method"), NotYet()),
        (intent("requires_payment_method", last_payment_error=CARD_ERROR), Found(LOST)),
        (intent("requires_confirmation"), NotYet()),
        (intent("processing"), NotYet()),
        (intent("canceled"), Never()),
        (intent("a_new_status"), NotYet()),
        (intent(None), NotYet()),  # type: ignore[arg-type]
        (intent(metadata={}), Disagrees("kind")),
        (intent(metadata=None), Disagrees("kind")),
        (intent(metadata={"attempt_key": "pay_2.authorize.1"}), Disagrees("kind")),
        (intent(id=None), Disagrees("kind")),
        (intent(amount=1235), Disagrees("amount")),
        (intent(amount=True), Disagrees("amount")),
        (intent(amount="1234"), Disagrees("amount")),
        (intent(currency="eur"), Disagrees("amount")),
        ({}, Disagrees("kind")),
    ],
)
def test_findings(found: dict[str, Any], means: object) -> None:
    assert finding_of(found, ASK) == means


@pytest.mark.parametrize(
    ("heard", "means"),
    [
        (intent(), PAID),
        (intent("requires_action", **REDIRECT), ActionRequired("pi_1", PAGE)),
        (intent("processing"), PROCESSING),
        (intent("canceled"), Declined("not_charged", provider_id="pi_1")),
        (intent(amount=1), UNREADABLE),
        (Refused(CARD_ERROR), LOST),
        (BAD_REQUEST, Declined("processing_error", provider_id="pi_1")),
        (unexpected(intent()), PAID),
        (unexpected(intent("canceled")), Declined("not_charged", provider_id="pi_1")),
        (unexpected(intent("requires_payment_method", last_payment_error=CARD_ERROR)), LOST),
        (unexpected(intent(metadata={})), UNREADABLE),
        (Unknown("server_error"), Unknown("server_error")),
        (NotSent("credentials"), NotSent("credentials")),
    ],
)
def test_confirmations(heard: Any, means: Outcome) -> None:
    assert authorized(heard, ASK) == means


def test_the_checks_of_a_card_in_the_schemes_letters() -> None:
    checks = {"address_postal_code_check": "fail", "cvc_check": "pass"}
    charge = {"id": "ch_1", "payment_method_details": {"card": {"checks": checks}}}
    assert authorized(intent(latest_charge=charge), ASK) == Approved("pi_1", "ch_1", avs_result="N", cvc_result="M")
    checks |= {"address_postal_code_check": None, "cvc_check": "unheard of"}
    assert authorized(intent(latest_charge=charge), ASK) == PAID


@pytest.mark.parametrize(
    ("heard", "means"),
    [
        (intent(), PAID),
        (unexpected(intent()), PAID),
        (intent("requires_capture"), UNREADABLE),
        (intent(amount_received=1000), UNREADABLE),
        (unexpected(intent(amount_received=1000)), Declined("processing_error")),
        (unexpected(intent("canceled")), Declined("processing_error")),
        (unexpected(None), UNREADABLE),
        (Refused({"code": "charge_expired_for_capture"}), Declined("processing_error")),
        (Refused({"code": "amount_too_large"}), Declined("limit_exceeded")),
        (Refused(CARD_ERROR), Declined("lost_card", "41")),
        ({}, UNREADABLE),
        (NotSent("connect"), NotSent("connect")),
    ],
)
def test_captures(heard: Any, means: Outcome) -> None:
    assert captured(heard, BACK) == means


@pytest.mark.parametrize(
    ("heard", "means"),
    [
        (intent("canceled"), Approved("pi_1")),
        (unexpected(intent("canceled")), Approved("pi_1")),
        (unexpected(intent()), Declined("processing_error")),
        (unexpected("gone"), UNREADABLE),
        (intent("requires_capture"), UNREADABLE),
        (Unknown("reset"), Unknown("reset")),
    ],
)
def test_voids(heard: Any, means: Outcome) -> None:
    assert voided(heard) == means


@pytest.mark.parametrize(
    ("heard", "means"),
    [
        (refund(), Approved("re_1", "re_1")),
        (refund(destination_details={"card": {"reference": "arn"}}), Approved("re_1", "arn")),
        (refund("pending"), PROCESSING),
        (refund("requires_action"), PROCESSING),
        (refund("failed"), Declined("processing_error", provider_id="re_1")),
        (refund(amount=1), UNREADABLE),
        (refund(metadata={}), UNREADABLE),
        (Refused({"code": "charge_already_refunded"}), Declined("processing_error")),
        (Unknown("timeout"), Unknown("timeout")),
    ],
)
def test_refunds(heard: Any, means: Outcome) -> None:
    assert refunded(heard, BACK) == means


def test_an_amount_that_stripe_cannot_say_is_none_of_its_intents() -> None:
    odd = Inquiry(KEY, "pay_1", 5124, "KWD", SOON, "pi_1")
    assert finding_of(intent(amount=5124, currency="kwd"), odd) == Disagrees("amount")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "insufficient_funds"),
        ({"code": "card_declined", "decline_code": "generic_decline"}, "card_declined"),
        ({"code": "card_declined", "decline_code": "a_new_one"}, "card_declined"),
        ({"code": "expired_card"}, "expired_card"),
        ({"code": "incorrect_cvc", "decline_code": None}, "incorrect_cvc"),
        ({"code": "card_declined", "decline_code": "do_not_try_again"}, "pick_up_card"),
        ({"code": 7, "decline_code": []}, "card_declined"),
        ({}, "card_declined"),
    ],
)
def test_declines(error: dict[str, Any], code: str) -> None:
    assert declined(error) == Declined(code)


def test_a_networks_code_is_shown_if_it_looks_like_one() -> None:
    assert declined({"network_decline_code": "51"}).network_code == "51"
    assert declined({"network_decline_code": 51}).network_code is None
    assert declined({"network_decline_code": "x" * 9}).network_code is None


def test_every_decline_is_one_of_ours() -> None:
    assert set(DECLINE_CODES.values()) <= DECLINES.keys()
