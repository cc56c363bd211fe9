"""The answer a caller gets once an outcome is known, whoever finds it out: the request itself or the resolver."""

import json

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.idempotency import Answer
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.states import PaymentStatus, RefundStatus

_FINAL_STATUS = {AttemptKind.AUTHORIZE: 201, AttemptKind.REFUND: 201}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_OPEN = {PaymentStatus.PROCESSING, PaymentStatus.IN_DOUBT, RefundStatus.PROCESSING, RefundStatus.IN_DOUBT}


def answer(kind: AttemptKind, payment: Payment, refund: Refund | None) -> Answer:
    """201 (made) or 200 (changed) for a final outcome, 202 while it is in doubt; the body is the object itself."""
    shown = refund if refund is not None else payment
    status = 202 if shown.status in _OPEN else _FINAL_STATUS.get(kind, 200)
    return Answer(status, _encode(shown.view()))
