"""An attempt: one thing asked of a provider under one key, from the intent to the answer that settles it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cleartill.domain.idempotency import Claim


class AttemptKind(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class AttemptStatus(StrEnum):
    OPEN = "open"
    """Sent, or about to be; nobody knows the answer yet."""
    APPROVED = "approved"
    DECLINED = "declined"
    NOT_SENT = "not_sent"


def attempt_key(object_id: str, kind: AttemptKind, sequence: int = 1) -> str:
    """A function of the object, the operation and its count, so that it can be made again after a crash; the
    provider gets it as idempotency key on every try."""
    return f"{object_id}.{kind}.{sequence}"


@dataclass(slots=True)
class Attempt:
    """`expires_at`: the provider refuses the request after this instant. `claim`: whose stored answer it will be."""

    key: str
    merchant_id: str
    payment_id: str
    kind: AttemptKind
    provider: str
    amount_minor: int
    currency: str
    expires_at: datetime
    refund_id: str | None = None
    claim: Claim | None = None
    status: AttemptStatus = AttemptStatus.OPEN
    reason: str | None = None
    provider_id: str | None = None
    network_code: str | None = None
    tries: int = 0
