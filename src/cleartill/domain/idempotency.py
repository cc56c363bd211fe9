"""Idempotency: one key, one effect, one answer, byte for byte."""

import re
from dataclasses import dataclass

from cleartill.domain.errors import IdempotencyInProgress, IdempotencyKeyReused

KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Claim:
    """A caller's key within its scope: the merchant, the operation and its target (never the URL as written, so an
    alias or a trailing slash is not another key). `fingerprint` is an HMAC of the parsed command without the CVV."""

    merchant_id: str
    scope: str
    key: str
    fingerprint: str

    @property
    def makes(self) -> bool:
        """Whether the operation brings something new into the world (201), or changes what is there (200)."""
        return self.scope.partition(":")[0] in ("process", "create", "refund")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the exact bytes of a body, as text. `replayed`: somebody got it before."""

    status: int
    body: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class ExistingClaim:
    """What stands under a key: whose body, and the answer if there is a final one. `overdue`: the first request has
    ended in doubt, or should have ended by now."""

    fingerprint: str
    answer: Answer | None
    payment_id: str
    refund_id: str | None
    overdue: bool

    def replay(self, fingerprint: str) -> Answer | None:
        """The stored answer; None when the outcome is still in doubt, so that the caller gets the object as it is.

        Raises IdempotencyKeyReused for another body, IdempotencyInProgress while the first request runs.
        """
        if fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        if self.answer is None and not self.overdue:
            raise IdempotencyInProgress
        return self.answer
