"""An attempt: one thing asked of a provider under one key, from the intent to the answer that settles it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cleartill.domain.idempotency import Claim
from cleartill.domain.states import PaymentStatus


class AttemptKind(StrEnum):
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    EXPIRE = "expire"
    """A void that nobody asked for: the hold has lapsed."""
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
    """`expires_at`: the provider refuses the request after this instant. `claim`: whose stored answer it will be.
    `reverts_to`: the state its payment goes back to if it was not sent; None: a payment that was never anywhere fails.
    """

    key: str
    merchant_id: str
    payment_id: str
    kind: AttemptKind
    provider: str
    amount_minor: int
    currency: str
    expires_at: datetime
    refund_id: str | None = None
    reverts_to: PaymentStatus | None = None
    claim: Claim | None = None
    status: AttemptStatus = AttemptStatus.OPEN
    reason: str | None = None
    provider_id: str | None = None
    network_code: str | None = None
    tries: int = 0

    @property
    def makes(self) -> bool:
        """Whether it brings something new into the world (201), or changes what is there (200)."""
        return self.kind is AttemptKind.REFUND or (self.kind is AttemptKind.AUTHORIZE and self.reverts_to is None)
