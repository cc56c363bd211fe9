"""What the bank's answers about transfers mean: pure, and what is not clear settles nothing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.outcome import Accepted, Approved, Declined, Disagrees, Found, NotSent, NotYet, Unknown
from cleartill.domain.transfer import TransferKind
from cleartill.ports import TransferOrder
from cleartill.providers.bank_transfer import transfer_document, transfer_finding_of, transfer_outcome_of
from cleartill.providers.wire import Reply

ASK = TransferOrder("dep_1.transfer.1", TransferKind.DEPOSIT, 700, "USD", datetime(2026, 1, 15, 12, tzinfo=UTC))
PENDING = {
    "reference": "dep_1.transfer.1",
    "operation_id": "bnk_1",
    "kind": "transfer",
    "status": "pending",
    "response_code": None,
    "amount_minor": 700,
    "currency": "USD",
    "direction": "deposit",
}
DONE = PENDING | {"status": "succeeded", "response_code": "00"}
REFUSED = PENDING | {"status": "failed", "response_code": "12"}
YES, NO = Approved("bnk_1", "bnk_1", "00"), Declined("processing_error", "12", "bnk_1")
UNCLEAR = [
    {"reference": "dep_2.transfer.1"},
    {"operation_id": None},
    {"operation_id": 7},
    {"status": "done"},
    {"status": None},
    {"status": "succeeded", "response_code": "12"},
    {"status": "succeeded"},
    {"status": "failed", "response_code": "00"},
    {"status": "failed"},
]
OTHERS = [
    {"amount_minor": 701},
    {"amount_minor": 700.0},
    {"amount_minor": "700"},
    {"amount_minor": True},
    {"currency": "EUR"},
    {"kind": "refund"},
    {"direction": "withdrawal"},
    {"direction": None},
]


def test_the_order() -> None:
    assert transfer_document(ASK) == {
        "reference": "dep_1.transfer.1",
        "direction": "deposit",
        "amount_minor": 700,
        "currency": "USD",
        "expires_at": "2026-01-15T12:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (202, PENDING, Accepted("bnk_1")),
        (200, DONE, YES),
        (202, REFUSED, NO),
        (400, {"code": "bad_request"}, Declined("processing_error")),
        (409, {"code": "cancelled"}, Declined("processing_error")),
        (409, {"code": "reference_reused"}, Unknown("unreadable")),
        (410, {"code": "expired"}, Unknown("expired")),
        (404, {"code": "not_found"}, Unknown("unreadable")),
        (429, {}, Unknown("unreadable")),
        (202, [], Unknown("unreadable")),
        (202, None, Unknown("unreadable")),
    ],
)
def test_answers_to_an_order(status: int, body: Any, meaning: Any) -> None:
    assert transfer_outcome_of(Reply(status, body), ASK) == meaning


@pytest.mark.parametrize("change", UNCLEAR + OTHERS)
def test_what_is_unclear_or_about_something_else_settles_no_order(change: dict[str, Any]) -> None:
    assert transfer_outcome_of(Reply(202, PENDING | change), ASK) == Unknown("unreadable")


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (Reply(200, PENDING), Accepted("bnk_1")),
        (Reply(200, DONE), Found(YES)),
        (Reply(200, REFUSED), Found(NO)),
        (Reply(404, {"code": "unknown_operation"}), NotYet()),
        (Reply(200, []), NotYet()),
        (Unknown("timeout"), NotYet()),
        (NotSent("connect"), NotYet()),
    ],
)
def test_answers_to_a_question(reply: Any, meaning: Any) -> None:
    assert transfer_finding_of(reply, ASK) == meaning


@pytest.mark.parametrize("change", UNCLEAR)
def test_what_is_unclear_answers_no_question(change: dict[str, Any]) -> None:
    assert transfer_finding_of(Reply(200, PENDING | change), ASK) == NotYet()


@pytest.mark.parametrize("change", OTHERS)
def test_something_else_under_our_reference(change: dict[str, Any]) -> None:
    assert isinstance(transfer_finding_of(Reply(200, DONE | change), ASK), Disagrees)
