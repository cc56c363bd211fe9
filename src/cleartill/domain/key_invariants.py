"""The invariants of idempotency keys and of the answers under them: I2, I3 and I5. Pure, like `invariants`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cleartill.domain.reconciliation import Discrepancy, Kind, Operation
from cleartill.domain.transfer import FINAL, TransferKind

KEYS_KEPT = timedelta(hours=24)
"""An idempotency key stands at least this long after its final answer."""

FITS: Mapping[str, frozenset[str]] = {
    told: frozenset(now.split())
    for told, now in {
        "pending": "pending processing requires_action authorized captured partially_refunded refunded failed voided "
        "expired in_doubt",
        "authorized": "authorized processing in_doubt captured partially_refunded refunded voided expired",
        "captured": "captured partially_refunded refunded",
        "partially_refunded": "partially_refunded refunded",
        "refunded": "refunded",
        "failed": "failed",
        "voided": "voided",
        "expired": "expired",
        "succeeded": "succeeded",
    }.items()
}
"""The state that a caller was told of as final → those that it may be in now; payments and refunds."""

TRANSFER_FITS: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"pending", "processing", "in_doubt"}),
    "succeeded": frozenset({"succeeded"}),
    "failed": frozenset({"failed"}),
}
"""The same for deposits and withdrawals. They are acknowledged while they are `pending`, and that answer stands until
they end: then how they ended takes its place, in the same transaction."""

_OURS_TO_ANSWER = ("id", "merchant_id", "amount_minor", "currency")
_TRANSFERS = frozenset(TransferKind)
"""The scopes of the keys that transfers are asked for under."""


# ── I2 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Claimed:
    """An approved operation, or a transfer, that was asked for under an idempotency key, and what stands under that key
    now: `holder`, the attempt or the transfer that took it, and `since` when. `ended_at`: when the operation was final
    for the first time; None: it is not."""

    operation: Operation
    holder: str | None
    since: datetime | None
    ended_at: datetime | None


def check_claim(claimed: Claimed, now: datetime) -> Iterator[Discrepancy]:
    """The operation is the one that stands under its key, for as long as the key is kept; a key may be used anew after
    that."""
    ours = claimed.operation
    kept_until = claimed.ended_at + KEYS_KEPT if claimed.ended_at else None
    if claimed.since is None:
        if kept_until is None or now < kept_until:
            yield _about(ours, Kind.CLAIM_LOST, "its idempotency key is gone, and may be used for another one")
    elif claimed.holder not in (ours.reference, ours.subject_id) and (kept_until is None or claimed.since < kept_until):
        yield _about(ours, Kind.CHARGED_TWICE, f"{claimed.holder or 'another request'} holds its idempotency key")


def _about(ours: Operation, kind: Kind, details: str) -> Discrepancy:
    return Discrepancy(kind, ours.merchant_id, ours.subject_id, ours.reference, details)


# ── I3 and I5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that a caller may count on, and the payment, refund or transfer under its key: what is final, and the
    acknowledgement of a transfer. `subject_id`: of the payment or transfer. `status`: of that object; None: it is not
    there. `retried`: a transfer that had failed was taken up again, which its answer does not tell."""

    merchant_id: str
    scope: str
    subject_id: str
    refund_id: str | None
    body: str
    status: str | None
    amount_minor: int | None
    currency: str | None
    retried: bool = False

    def fits(self, told: str) -> frozenset[str]:
        """The states it may be in now, when a caller was told this one; empty: nobody may be told that."""
        if self.scope not in _TRANSFERS:
            return FITS.get(told, frozenset())
        if self.retried and told == "failed":
            return TRANSFER_FITS["pending"] | FINAL
        return TRANSFER_FITS.get(told, frozenset())


def check_answer(stored: StoredAnswer) -> Iterator[Discrepancy]:
    """What the caller was told of is there, in a state that fits, and is what stands under the key."""

    def found(kind: Kind, details: str) -> Discrepancy:
        reference = f"{stored.scope} {object_id}"
        return Discrepancy(kind, stored.merchant_id, stored.subject_id, reference, details)

    object_id = stored.refund_id or stored.subject_id
    told = _read(stored.body)
    if stored.status is None:
        yield found(Kind.ANSWER_LOST, f"a caller was told of {object_id}, which is not there")
        return
    true = (object_id, stored.merchant_id, stored.amount_minor, stored.currency)
    said = (told.get("id"), told.get("merchant_id", stored.merchant_id), told.get("amount_minor"), told.get("currency"))
    wrong = [name for name, mine, theirs in zip(_OURS_TO_ANSWER, true, said, strict=True) if mine != theirs]
    if stored.refund_id and told.get("transaction_id") != stored.subject_id:
        wrong.append("transaction_id")
    if wrong:
        yield found(Kind.ANSWER_IDENTITY, f"the stored answer has another {', '.join(wrong)}")
    elif stored.status not in stored.fits(last := str(told.get("status"))):
        known = last if stored.fits(last) else "in a state that is not final"
        yield found(Kind.ANSWER_STATE, f"a caller was told that it is {known}; now it is {stored.status}")


def _read(body: str) -> dict[str, object]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
