"""The answer a caller gets once an outcome is known, whoever finds it out: the request itself or the resolver."""

import json

from cleartill.domain.idempotency import Answer
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PaymentStatus, RefundStatus
from cleartill.domain.transfer import Transfer

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OPEN = {
    PaymentStatus.PROCESSING,
    PaymentStatus.REQUIRES_ACTION,
    PaymentStatus.IN_DOUBT,
    RefundStatus.PROCESSING,
    RefundStatus.IN_DOUBT,
}


def answer(payment: Payment, refund: Refund | None, *, made: bool) -> Answer:
    """201 (made) or 200 (changed) for a final outcome, 202 while it is in doubt or the payer must act; the body is the
    object itself."""
    shown = refund if refund is not None else payment
    status = 202 if shown.status in _OPEN else 201 if made else 200
    return Answer(status, _encode(shown.view()))


def transfer_answer(transfer: Transfer) -> Answer:
    """202 as long as it is under way or in doubt, 201 once it has ended."""
    return Answer(201 if transfer.is_final else 202, _encode(transfer.view()))
