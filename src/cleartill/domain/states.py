"""Which step may follow which, for payments and refunds. Every arrow not drawn here is forbidden.

    pending ──► processing ──► authorized ──► captured ──► partially_refunded ──► refunded
     │   ▲       │ ▲ │  │        │  ▲            └───────────────────────────────────▲
     │   └───────┘ │ │  │        ▼  │
     ▼             │ │  │     processing ──► captured | voided | expired | in_doubt
    failed ◄───────┼─┘  │
       ▲           │    └─► in_doubt ──► whatever the provider says was true
       └─── requires_action ──► expired
            (3-D Secure; it comes from processing, and goes back there)

While a capture, void or release is being asked for, an authorized payment is `processing`; if it was not sent, or the
provider says no, it goes back. So does a pending payment whose confirmation was not sent; but not once it is in doubt:
of what may have been sent nobody can say later that it was not, only that the money did not move (`failed`).
A refund: processing ─► succeeded | failed | in_doubt, in_doubt ─► succeeded | failed.
"""

from enum import StrEnum
from typing import TypeVar

from cleartill.domain.errors import ForbiddenStep


class PaymentStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    VOIDED = "voided"
    EXPIRED = "expired"
    IN_DOUBT = "in_doubt"


class RefundStatus(StrEnum):
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


_P, _R = PaymentStatus, RefundStatus
_TRUTHS = frozenset({_P.AUTHORIZED, _P.CAPTURED, _P.FAILED, _P.VOIDED, _P.EXPIRED, _P.REQUIRES_ACTION})

PAYMENT_STEPS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    _P.PENDING: frozenset({_P.PROCESSING, _P.FAILED}),
    _P.PROCESSING: _TRUTHS | {_P.PENDING, _P.IN_DOUBT},
    _P.REQUIRES_ACTION: frozenset({_P.PROCESSING, _P.FAILED, _P.EXPIRED}),
    _P.AUTHORIZED: frozenset({_P.PROCESSING}),
    _P.CAPTURED: frozenset({_P.PARTIALLY_REFUNDED, _P.REFUNDED}),
    _P.PARTIALLY_REFUNDED: frozenset({_P.PARTIALLY_REFUNDED, _P.REFUNDED}),
    _P.REFUNDED: frozenset(),
    _P.FAILED: frozenset(),
    _P.VOIDED: frozenset(),
    _P.EXPIRED: frozenset(),
    _P.IN_DOUBT: _TRUTHS,
}

REFUND_STEPS: dict[RefundStatus, frozenset[RefundStatus]] = {
    _R.PROCESSING: frozenset({_R.SUCCEEDED, _R.FAILED, _R.IN_DOUBT}),
    _R.IN_DOUBT: frozenset({_R.SUCCEEDED, _R.FAILED}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset(),
}

_S = TypeVar("_S", PaymentStatus, RefundStatus)


def step(steps: dict[_S, frozenset[_S]], noun: str, current: _S, to: _S) -> _S:
    """The new state, if the arrow exists. Raises ForbiddenStep naming both states."""
    if to not in steps[current]:
        raise ForbiddenStep(f"A {noun} that is {current} cannot become {to}")
    return to
