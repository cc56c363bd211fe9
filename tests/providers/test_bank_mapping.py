"""What the bank's answers mean, without a bank: only what is clear settles anything."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.outcome import DECLINES, Approved, Declined, Disagrees, Found, Never, NotSent, NotYet, Unknown
from cleartill.ports import Authorization, Reversal
from cleartill.providers.bank import (
    DECLINE_CODES,
    authorization_document,
    finding_of,
    outcome_of,
    reversal_document,
)
from cleartill.providers.wire import Reply
from cleartill.simulator.cards import TEST_CARDS

SOON = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)
CARD = Card(Pan("4111111111111111"), 1, 2031, Cvv("123"), Secret("Ada Lovelace"))
KEY = "pay_1.authorize.1"
ASK = Authorization(KEY, "pay_1", 1234, "USD", CARD, True, SOON)
VOID = Reversal(KEY, "bnk_0", 1234, "USD", SOON)
UNREADABLE = Unknown("unreadable")

YES: dict[str, Any] = {
    "reference": KEY,
    "operation_id": "bnk_1",
    "kind": "authorization",
    "status": "approved",
    "response_code": "00",
    "auth_code": "C1EA27",
    "avs_result": "Y",
    "cvc_result": "M",
    "amount_minor": 1234,
    "currency": "USD",
    "capture": True,
}
NO = YES | {"status": "declined", "response_code": "51", "auth_code": None}


def test_an_approval_keeps_what_the_bank_calls_it() -> None:
    assert outcome_of(Reply(201, YES), "authorization", ASK) == Approved("bnk_1", "C1EA27", "00", "Y", "M")


def test_an_approval_without_a_code_is_known_by_its_id() -> None:
    answer = YES | {"kind": "refund", "auth_code": None, "avs_result": None, "cvc_result": None}
    assert outcome_of(Reply(201, answer), "refund", VOID) == Approved("bnk_1", "bnk_1", "00")


def test_a_decline_keeps_the_issuers_code() -> None:
    expected = Declined("insufficient_funds", "51", "bnk_1", "Y", "M")
    assert outcome_of(Reply(200, NO), "authorization", ASK) == expected


@pytest.mark.parametrize("code", [*DECLINE_CODES, "1A", "R0", "99", "ZZ"])
def test_every_no_has_a_code_of_ours(code: str) -> None:
    outcome = outcome_of(Reply(200, NO | {"response_code": code}), "authorization", ASK)
    assert isinstance(outcome, Declined)
    assert outcome.code in DECLINES
    assert outcome.network_code == code


@pytest.mark.parametrize("card", [card for card in TEST_CARDS if card.decline], ids=lambda card: card.name)
def test_the_codes_of_the_test_cards_mean_what_their_table_says(card: Any) -> None:
    assert DECLINE_CODES[card.response_code] == card.decline


@pytest.mark.parametrize(
    "other",
    [
        {"reference": "pay_2.authorize.1"},
        {"reference": None},
        {"kind": "refund"},
        {"kind": "cancel", "status": "cancelled"},
        {"status": "pending"},
        {"status": "APPROVED"},
        {"status": None},
        {"response_code": "10"},
        {"response_code": None},
        {"response_code": 0},
        {"status": "declined"},
        {"operation_id": ""},
        {"operation_id": 7},
        {"operation_id": "x" * 256},
        {"amount_minor": 1233},
        {"amount_minor": 1234.0},
        {"amount_minor": "1234"},
        {"amount_minor": True},
        {"amount_minor": None},
        {"currency": "EUR"},
        {"currency": None},
        {"capture": False},
        {"capture": None},
    ],
    ids=str,
)
def test_an_approval_of_something_else_is_unreadable(other: dict[str, Any]) -> None:
    assert outcome_of(Reply(201, YES | other), "authorization", ASK) == UNREADABLE


@pytest.mark.parametrize(
    "other",
    [{"reference": "pay_2"}, {"kind": "void"}, {"amount_minor": 1}, {"currency": "EUR"}, {"response_code": "00"}],
    ids=str,
)
def test_a_decline_of_something_else_is_unreadable(other: dict[str, Any]) -> None:
    assert outcome_of(Reply(200, NO | other), "authorization", ASK) == UNREADABLE


def test_one_is_not_true() -> None:
    one = Authorization(KEY, "pay_1", 1, "USD", CARD, True, SOON)
    assert outcome_of(Reply(201, YES | {"amount_minor": True}), "authorization", one) == UNREADABLE


@pytest.mark.parametrize("body", [None, [], [YES], "approved", 1, True, {}])
@pytest.mark.parametrize("status", [200, 201, 404])
def test_what_is_no_answer_is_unreadable(status: int, body: Any) -> None:
    assert outcome_of(Reply(status, body), "authorization", ASK) == UNREADABLE


@pytest.mark.parametrize("status", [202, 204, 301, 302, 400, 401, 403, 404, 409, 410, 422, 429, 499])
def test_an_approval_under_another_http_status_is_unreadable(status: int) -> None:
    assert outcome_of(Reply(status, YES), "authorization", ASK) == UNREADABLE


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (410, "expired", Declined("not_charged")),
        (409, "cancelled", Declined("not_charged")),
        (400, "bad_request", Declined("processing_error")),
        (409, "reference_reused", UNREADABLE),
        (404, "expired", UNREADABLE),
        (404, "unknown_operation", UNREADABLE),
        (400, None, UNREADABLE),
        (400, ["bad_request"], UNREADABLE),
        (429, "slow_down", UNREADABLE),
    ],
)
def test_only_the_banks_own_words_are_a_refusal(status: int, code: Any, outcome: Any) -> None:
    assert outcome_of(Reply(status, {"code": code, "detail": ""}), "authorization", ASK) == outcome


def test_a_refused_void_may_be_about_no_money() -> None:
    answer = NO | {"kind": "void", "response_code": "25", "amount_minor": 0, "currency": ""}
    assert outcome_of(Reply(200, answer), "void", VOID) == Declined("processing_error", "25", "bnk_1", "Y", "M")


def test_a_void_of_another_amount_is_unreadable() -> None:
    assert outcome_of(Reply(201, YES | {"kind": "void", "amount_minor": 1}), "void", VOID) == UNREADABLE


TOMBSTONE = {"reference": KEY, "kind": "cancel", "status": "cancelled", "operation_id": "bnk_2"}


@pytest.mark.parametrize(
    ("reply", "finding"),
    [
        (Reply(200, TOMBSTONE), Never()),
        (Reply(200, YES), Found(Approved("bnk_1", "C1EA27", "00", "Y", "M"))),
        (Reply(200, NO), Found(Declined("insufficient_funds", "51", "bnk_1", "Y", "M"))),
        (Reply(200, YES | {"amount_minor": 1}), Disagrees("amount")),
        (Reply(200, YES | {"currency": "JPY"}), Disagrees("amount")),
        (Reply(200, YES | {"kind": "refund"}), Disagrees("kind")),
        (Reply(200, TOMBSTONE | {"reference": "pay_2"}), NotYet()),
        (Reply(200, TOMBSTONE | {"kind": "authorization"}), NotYet()),
        (Reply(200, YES | {"reference": "pay_2"}), NotYet()),
        (Reply(200, YES | {"status": "pending"}), NotYet()),
        (Reply(200, []), NotYet()),
        (Reply(404, {"code": "unknown_operation"}), NotYet()),
        (Reply(202, TOMBSTONE), NotYet()),
        (Unknown("timeout"), NotYet()),
        (Unknown("server_error"), NotYet()),
        (NotSent("connect"), NotYet()),
    ],
)
def test_only_a_tombstone_or_the_operation_settles_a_doubt(reply: Any, finding: Any) -> None:
    assert finding_of(reply, ASK) == finding


def test_the_order_says_everything_once() -> None:
    assert authorization_document(ASK) == {
        "reference": KEY,
        "amount_minor": 1234,
        "currency": "USD",
        "card": {
            "number": "4111111111111111",
            "expiry_month": 1,
            "expiry_year": 2031,
            "cvc": "123",
            "holder": "Ada Lovelace",
        },
        "capture": True,
        "expires_at": "2030-01-01T12:30:00+00:00",
    }
    assert reversal_document(VOID) == {
        "reference": KEY,
        "authorization_id": "bnk_0",
        "amount_minor": 1234,
        "currency": "USD",
        "expires_at": "2030-01-01T12:30:00+00:00",
    }


def test_a_reply_prints_no_body() -> None:
    assert "bnk_1" not in repr(Reply(200, YES))
