"""The acquirer behind its HTTP API: what we ask, and what its answers mean.

The mappings are pure functions, and what is not clear is Unknown: only an answer about our own reference, amount and
currency that says "approved" with code 00, or "declined" with another, settles anything; "requires_action" with a page
sends the payer there. The PAN is revealed here and nowhere else.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from cleartill.domain.outcome import (
    Accepted,
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Finding,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import Asked, Authorization, Reversal, StatementPage, TransferOrder
from cleartill.providers.bank_statement import REPLY_MAX, page_of, page_path
from cleartill.providers.bank_transfer import transfer_document, transfer_finding_of, transfer_outcome_of
from cleartill.providers.direct import Direct
from cleartill.providers.wire import Reply, Wire

APPROVED = "00"
URL_MAX = 2048

DECLINE_CODES = {
    "1A": "card_declined",
    "01": "call_issuer",
    "02": "call_issuer",
    "03": "processing_error",
    "04": "pick_up_card",
    "05": "card_declined",
    "06": "processing_error",
    "07": "pick_up_card",
    "12": "processing_error",
    "13": "processing_error",
    "14": "incorrect_number",
    "15": "incorrect_number",
    "19": "processing_error",
    "25": "processing_error",
    "30": "processing_error",
    "33": "expired_card",
    "34": "suspected_fraud",
    "36": "pick_up_card",
    "41": "lost_card",
    "43": "stolen_card",
    "51": "insufficient_funds",
    "54": "expired_card",
    "57": "do_not_honor",
    "58": "processing_error",
    "59": "suspected_fraud",
    "61": "limit_exceeded",
    "62": "do_not_honor",
    "63": "suspected_fraud",
    "65": "limit_exceeded",
    "78": "incorrect_number",
    "82": "incorrect_cvc",
    "91": "issuer_unavailable",
    "92": "issuer_unavailable",
    "94": "processing_error",
    "96": "processing_error",
    "N7": "incorrect_cvc",
}
"""ISO 8583 data element 39 (and N7 of the card schemes) → our decline code. 1A: the cardholder did not
authenticate. Any other no is `card_declined`."""

_EXPIRED = (HTTPStatus.GONE, "expired")
REFUSALS: dict[tuple[int, str | None], Outcome] = {
    (HTTPStatus.BAD_REQUEST, "bad_request"): Declined("processing_error"),
    _EXPIRED: Declined("not_charged"),
    (HTTPStatus.CONFLICT, "cancelled"): Declined("not_charged"),
}
"""The bank's own words for: this request did nothing, and none under its reference did or will. It looks for the
reference before it looks at the time; and what it cannot read now it could not read before, a repeat being the same.
But a reversal is sent again with more time: that one try came too late says nothing about the others."""


def authorization_document(ask: Authorization) -> dict[str, Any]:
    """The body of `POST /v1/authorizations`: holds the PAN and the CVV."""
    card = ask.card
    assert card is not None  # `needs_card`
    return {
        "reference": ask.attempt_key,
        "amount_minor": ask.amount_minor,
        "currency": ask.currency,
        "card": {
            "number": card.pan.reveal(),
            "expiry_month": card.expiry_month,
            "expiry_year": card.expiry_year,
            "cvc": card.cvv.reveal() if card.cvv else None,
            "holder": card.holder.reveal(),
        },
        "capture": ask.capture,
        "expires_at": ask.expires_at.isoformat(),
    }


def reversal_document(ask: Reversal) -> dict[str, Any]:
    """The body of a capture, a void or a refund."""
    return {
        "reference": ask.attempt_key,
        "authorization_id": ask.provider_payment_id,
        "amount_minor": ask.amount_minor,
        "currency": ask.currency,
        "expires_at": ask.expires_at.isoformat(),
    }


def outcome_of(reply: Reply, kind: str, ask: Authorization | Reversal) -> Outcome:
    """What the bank's reply to an order means."""
    answer = reply.body
    if not isinstance(answer, dict):
        return Unknown("unreadable")
    if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        said = (reply.status, _text(answer, "code", 64))
        if said == _EXPIRED and isinstance(ask, Reversal):
            return Unknown("expired")
        return REFUSALS.get(said, Unknown("unreadable"))
    outcome = _verdict(answer, ask.attempt_key)
    if outcome is None or answer.get("kind") != kind:
        return Unknown("unreadable")
    # A void that is refused may be about no money at all: the bank takes a void's amount from its own book.
    if not (kind == "void" and isinstance(outcome, Declined)) and not _is_money_of(ask, answer):
        return Unknown("unreadable")
    if isinstance(outcome, ActionRequired) and not isinstance(ask, Authorization):
        return Unknown("unreadable")
    if isinstance(ask, Authorization) and not isinstance(outcome, Declined):
        return outcome if answer.get("capture") is ask.capture else Unknown("unreadable")
    return outcome


def finding_of(reply: Reply | Unknown | NotSent, ask: Asked) -> Finding:
    """What the bank's reply to a cancellation says: a tombstone now stands there, or the operation was done before."""
    if not isinstance(reply, Reply) or reply.status != HTTPStatus.OK or not isinstance(reply.body, dict):
        return NotYet()
    answer = reply.body
    if (answer.get("reference"), answer.get("kind"), answer.get("status")) == (ask.attempt_key, "cancel", "cancelled"):
        return Never()
    outcome = _verdict(answer, ask.attempt_key)
    if outcome is None:
        return NotYet()
    if answer.get("kind") != "authorization":
        return Disagrees("kind")
    return Found(outcome) if _is_money_of(ask, answer) else Disagrees("amount")


def _verdict(answer: dict[str, Any], attempt_key: str) -> Approved | Declined | ActionRequired | None:
    """The clear yes, no or "ask the payer" in an answer about our reference, if it is one."""
    operation, code = _text(answer, "operation_id", 255), _text(answer, "response_code", 2)
    if answer.get("reference") != attempt_key or operation is None or code is None:
        return None
    avs, cvc = _text(answer, "avs_result", 1), _text(answer, "cvc_result", 1)
    match answer.get("status"):
        case "approved" if code == APPROVED:
            # A statement shows an authorization's code; other operations have only their id.
            return Approved(operation, _text(answer, "auth_code", 32) or operation, code, avs, cvc)
        case "declined" if code != APPROVED:
            return Declined(DECLINE_CODES.get(code, "card_declined"), code, operation, avs, cvc)
        case "requires_action" if code != APPROVED and (page := _web_address(answer, "redirect_url")):
            return ActionRequired(operation, page)
        case _:
            return None


def _is_money_of(ask: Asked | Reversal, answer: dict[str, Any]) -> bool:
    amount = answer.get("amount_minor")
    return type(amount) is int and amount == ask.amount_minor and answer.get("currency") == ask.currency


def _web_address(answer: dict[str, Any], name: str) -> str | None:
    """An address that a payer's browser may be sent to: http or https and nothing that breaks out of a header."""
    url = _text(answer, name, URL_MAX)
    if url is None or not url.startswith(("https://", "http://")):
        return None
    return url if url.isascii() and url.isprintable() and " " not in url else None


def _text(answer: dict[str, Any], name: str, longest: int) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


class Bank(Direct):
    """The acquirer as a provider. It answers a repeated attempt key as it did the first time, so that sending twice
    is safe; after `expires_at` and over a tombstone it refuses."""

    name = "bank"
    needs_card = True

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def authorize(self, ask: Authorization) -> Outcome:
        return await self._order("authorization", "/v1/authorizations", ask, authorization_document(ask))

    async def capture(self, ask: Reversal) -> Outcome:
        path = f"/v1/authorizations/{quote(ask.provider_payment_id, safe='')}/captures"
        return await self._order("capture", path, ask, reversal_document(ask))

    async def void(self, ask: Reversal) -> Outcome:
        path = f"/v1/authorizations/{quote(ask.provider_payment_id, safe='')}/void"
        return await self._order("void", path, ask, reversal_document(ask))

    async def refund(self, ask: Reversal) -> Outcome:
        return await self._order("refund", "/v1/refunds", ask, reversal_document(ask))

    async def lookup(self, ask: Asked) -> Finding:
        """Cancels the attempt unless it is done: a question alone could be overtaken by a late original, whose time
        (`expires_at`) need not have passed. So a payer who was asked to act and did not can do so no more."""
        reply = await self._wire.send("POST", f"/v1/operations/{quote(ask.attempt_key, safe='')}/cancel")
        return finding_of(reply, ask)

    async def transfer(self, ask: TransferOrder) -> Outcome | Accepted:
        sent = {"Idempotency-Key": ask.attempt_key}
        reply = await self._wire.send("POST", "/v1/transfers", transfer_document(ask), headers=sent)
        return transfer_outcome_of(reply, ask) if isinstance(reply, Reply) else reply

    async def lookup_transfer(self, ask: TransferOrder) -> Finding | Accepted:
        """Asks, and cancels nothing: it is on its way."""
        return transfer_finding_of(
            await self._wire.send("GET", f"/v1/operations/{quote(ask.attempt_key, safe='')}"), ask
        )

    async def statement(self, since: datetime | str) -> StatementPage | Unknown | NotSent | None:
        """A page of its own book. None from a bank that has no such path."""
        reply = await self._wire.send("GET", page_path(since), reply_max=REPLY_MAX)
        return page_of(reply) if isinstance(reply, Reply) else reply

    async def ping(self) -> None:
        """Raises ConnectionError unless the bank says that it is well."""
        reply = await self._wire.send("GET", "/health")
        if not isinstance(reply, Reply) or reply.status != HTTPStatus.OK:
            raise ConnectionError(f"the bank is not well: {reply}")

    async def close(self) -> None:
        await self._wire.close()

    async def _order(self, kind: str, path: str, ask: Authorization | Reversal, document: dict[str, Any]) -> Outcome:
        reply = await self._wire.send("POST", path, document, headers={"Idempotency-Key": ask.attempt_key})
        return outcome_of(reply, kind, ask) if isinstance(reply, Reply) else reply
