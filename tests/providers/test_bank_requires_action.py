"""3-D Secure in the bank's answers: only a page that a browser can be sent to, about our own money, is one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.outcome import ActionRequired, Declined, Disagrees, Found, Never, NotYet, Unknown
from cleartill.ports import Authorization, Reversal
from cleartill.providers.bank import finding_of, outcome_of
from cleartill.providers.wire import Reply

KEY = "pay_1.authorize.1"
SOON = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)
PAGE = "https://bank.example/3ds/bnk_1"
ASK = Authorization(
    attempt_key=KEY,
    payment_id="pay_1",
    amount_minor=1234,
    currency="USD",
    card=Card(Pan("4000000000003220"), 1, 2031, Cvv("123"), Secret("Ada Lovelace")),
    capture=True,
    expires_at=SOON,
)
ANSWER: dict[str, Any] = {
    "reference": KEY,
    "operation_id": "bnk_1",
    "kind": "authorization",
    "status": "requires_action",
    "response_code": "1A",
    "auth_code": None,
    "avs_result": "Y",
    "cvc_result": "M",
    "amount_minor": 1234,
    "currency": "USD",
    "capture": True,
    "redirect_url": PAGE,
    "return_url": None,
    "expires_at": "2030-01-01T12:45:00+00:00",
}
UNREADABLE = Unknown("unreadable")


@pytest.mark.parametrize("status", [200, 201])
def test_the_payer_is_sent_to_the_banks_page(status: int) -> None:
    assert outcome_of(Reply(status, ANSWER), "authorization", ASK) == ActionRequired("bnk_1", PAGE)


@pytest.mark.parametrize(
    "other",
    [
        {"reference": "pay_2.authorize.1"},
        {"operation_id": None},
        {"kind": "capture"},
        {"amount_minor": 1235},
        {"currency": "EUR"},
        {"capture": False},
        {"capture": None},
        {"response_code": "00"},
        {"response_code": None},
        {"status": "pending"},
        {"redirect_url": None},
        {"redirect_url": ""},
        {"redirect_url": 5},
        {"redirect_url": "/3ds/bnk_1"},
        {"redirect_url": "javascript:alert(1)"},
        {"redirect_url": "https://bank.example/\r\nSet-Cookie: a=b"},
        {"redirect_url": "https://bank.example/a b"},
        {"redirect_url": "https://bänk.example/"},
        {"redirect_url": "https://bank.example/" + "x" * 2048},
    ],
    ids=lambda other: str(other)[:60],
)
def test_what_is_not_clear_sends_nobody_anywhere(other: dict[str, Any]) -> None:
    assert outcome_of(Reply(200, ANSWER | other), "authorization", ASK) == UNREADABLE


@pytest.mark.parametrize("status", [202, 302, 303, 401, 409])
def test_under_another_http_status_it_is_unreadable(status: int) -> None:
    assert outcome_of(Reply(status, ANSWER), "authorization", ASK) == UNREADABLE


@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
def test_nobody_is_asked_about_a_reversal(kind: str) -> None:
    back = Reversal(KEY, "bnk_0", 1234, "USD", SOON)
    assert outcome_of(Reply(200, ANSWER | {"kind": kind}), kind, back) == UNREADABLE


def test_a_payer_who_refused_is_a_decline() -> None:
    refused = ANSWER | {"status": "declined", "settled_at": "2030-01-01T12:31:00+00:00"}
    assert outcome_of(Reply(200, refused), "authorization", ASK) == Declined("card_declined", "1A", "bnk_1", "Y", "M")


TOMBSTONE = {"reference": KEY, "kind": "cancel", "status": "cancelled", "operation_id": "bnk_2"}


@pytest.mark.parametrize(
    ("reply", "finding"),
    [
        (Reply(200, ANSWER), Found(ActionRequired("bnk_1", PAGE))),
        (Reply(200, ANSWER | {"status": "declined"}), Found(Declined("card_declined", "1A", "bnk_1", "Y", "M"))),
        (Reply(200, TOMBSTONE), Never()),
        (Reply(200, ANSWER | {"amount_minor": 1}), Disagrees("amount")),
        (Reply(200, ANSWER | {"kind": "refund"}), Disagrees("kind")),
        (Reply(200, ANSWER | {"redirect_url": None}), NotYet()),
        (Reply(200, ANSWER | {"reference": "pay_2"}), NotYet()),
    ],
)
def test_what_a_question_finds(reply: Reply, finding: Any) -> None:
    assert finding_of(reply, ASK) == finding
