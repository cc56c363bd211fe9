"""What the bank's answers about transfers mean. Pure; what is not clear settles nothing."""

from http import HTTPStatus
from typing import Any

from cleartill.domain.outcome import (
    Accepted,
    Approved,
    Declined,
    Disagrees,
    Finding,
    Found,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import TransferOrder
from cleartill.providers.wire import Reply

APPROVED = "00"
_TEXT_MAX = 255
_REFUSED = {(HTTPStatus.BAD_REQUEST, "bad_request"), (HTTPStatus.CONFLICT, "cancelled")}
"""The bank's own words for: nothing was done under this reference, and nothing will be. (Not `expired`: an earlier try
may have come in time.)"""


def transfer_document(ask: TransferOrder) -> dict[str, Any]:
    """The body of `POST /v1/transfers`."""
    return {
        "reference": ask.attempt_key,
        "direction": str(ask.kind),
        "amount_minor": ask.amount_minor,
        "currency": ask.currency,
        "expires_at": ask.expires_at.isoformat(),
    }


def transfer_outcome_of(reply: Reply, ask: TransferOrder) -> Outcome | Accepted:
    """What the reply to an order means; an order that is repeated is answered as the first time."""
    if not isinstance(reply.body, dict):
        return Unknown("unreadable")
    if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        code = reply.body.get("code")
        if (reply.status, code) in _REFUSED:
            return Declined("processing_error")
        return Unknown("expired" if (reply.status, code) == (HTTPStatus.GONE, "expired") else "unreadable")
    said = _verdict(reply.body, ask)
    return Unknown("unreadable") if said is None or isinstance(said, Disagrees) else said


def transfer_finding_of(reply: Reply | Unknown | NotSent, ask: TransferOrder) -> Finding | Accepted:
    """What the reply to a question says of a transfer that the bank had accepted."""
    if not isinstance(reply, Reply) or reply.status != HTTPStatus.OK or not isinstance(reply.body, dict):
        return NotYet()
    said = _verdict(reply.body, ask)
    if said is None:
        return NotYet()
    return said if isinstance(said, Accepted | Disagrees) else Found(said)


def _verdict(answer: dict[str, Any], ask: TransferOrder) -> Approved | Declined | Accepted | Disagrees | None:
    """The clear yes, no or "on its way" in an answer about our reference, if it is one."""
    operation, code = _text(answer, "operation_id"), _text(answer, "response_code")
    if answer.get("reference") != ask.attempt_key or operation is None:
        return None
    if answer.get("kind") != "transfer" or answer.get("direction") != ask.kind:
        return Disagrees("kind")
    amount = answer.get("amount_minor")
    if type(amount) is not int or amount != ask.amount_minor or answer.get("currency") != ask.currency:
        return Disagrees("amount")
    match answer.get("status"):
        case "pending":
            return Accepted(operation)
        case "succeeded" if code == APPROVED:
            return Approved(operation, operation, code)
        case "failed" if code not in (None, APPROVED):
            return Declined("processing_error", code, operation)
        case _:
            return None


def _text(answer: dict[str, Any], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= _TEXT_MAX else None
