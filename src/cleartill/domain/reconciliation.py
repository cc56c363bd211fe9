"""Reconciliation: a provider's own book held against ours, line by line, and what can be wrong with either.

`compare` is I1 of the design's invariants; I2 to I7, which need our books alone, are in `invariants` and
`key_invariants`. Everything here is pure: it is handed what was read and says what it found. What is newer than a grace
time, or not decided yet, is Waiting and no discrepancy: the two books are read one after the other, and both go on
being written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cleartill.domain.events import Fact, ReconciliationMismatch
from cleartill.domain.money import EXPONENTS, written

OPERATOR = "cleartill"
"""Whose facts these are: the operator's. No merchant has this id, so no merchant's webhook carries them."""


class Kind(StrEnum):
    """What is wrong, in one word."""

    MISSING_AT_BANK = "missing_at_bank"
    """We say that money moved, the provider's book does not know of it."""
    MISSING_HERE = "missing_here"
    """The provider's book has an operation that we never asked for."""
    AMOUNT = "amount"
    """Both say that money moved, but not the same amount or currency."""
    STATE = "state"
    """One says that it was done, the other that it was not."""
    OPERATION = "operation"
    """Under our key the provider did something else."""
    DUPLICATE = "duplicate"
    """The provider did it more than once under one key."""
    CHARGED_TWICE = "charged_twice"
    """Two authorizations of one payment, or two operations under one idempotency key, were approved; or two transfers
    were made under one."""
    CLAIM_LOST = "claim_lost"
    """An operation was done, or a transfer taken on, under an idempotency key, and nothing stands under that key while
    it must be kept."""
    ANSWER_LOST = "answer_lost"
    """What a caller was told of in an answer that he may count on is not there."""
    ANSWER_STATE = "answer_state"
    """It is there, in a state that cannot follow the one that the caller was told of."""
    ANSWER_IDENTITY = "answer_identity"
    """A stored answer tells of something else than stands under its key: id, merchant, amount or currency."""
    LEDGER_UNBALANCED = "ledger_unbalanced"
    """A journal that does not sum to zero in each of its currencies."""
    LEDGER_ORPHAN = "ledger_orphan"
    """A journal that no recorded fact caused."""
    LEDGER_SUM = "ledger_sum"
    """A payment whose ledger says another amount than was captured less what was refunded."""
    BALANCE_SUM = "balance_sum"
    """An account of a merchant that stands at something else than its entries sum to."""
    REFUNDS_EXCEED = "refunds_exceed"
    """More was refunded, or is on its way back, than was captured."""
    SUMS = "sums"
    """A payment's own sums are not those of its captures and refunds."""
    CAPTURED_AND_VOIDED = "captured_and_voided"
    """Money was taken, and its hold released."""
    SEQ_GAP = "seq_gap"
    """The facts of one subject are not numbered 1, 2, 3 … up to the last."""
    EVENT_MISSING = "event_missing"
    """A committed fact that has no event to be published."""
    UNPUBLISHED = "unpublished"
    """Events that have waited for too long."""
    AUDIT_CHAIN = "audit_chain"
    """A sealed row of the audit log was edited, deleted, moved or added."""


INVARIANTS: dict[str, tuple[str, frozenset[Kind]]] = {
    "I1": (
        "The bank's book is ours, per reference and to the cent",
        frozenset({Kind.MISSING_AT_BANK, Kind.MISSING_HERE, Kind.AMOUNT, Kind.STATE, Kind.OPERATION, Kind.DUPLICATE}),
    ),
    "I2": ("At most one charge or transfer per idempotency key", frozenset({Kind.CHARGED_TWICE, Kind.CLAIM_LOST})),
    "I3": ("No acknowledged payment or transfer is lost", frozenset({Kind.ANSWER_LOST, Kind.ANSWER_STATE})),
    "I4": (
        "The ledger sums to zero, and is what was moved",
        frozenset({Kind.LEDGER_UNBALANCED, Kind.LEDGER_ORPHAN, Kind.LEDGER_SUM, Kind.BALANCE_SUM}),
    ),
    "I5": ("A stored answer tells of its own payment or transfer", frozenset({Kind.ANSWER_IDENTITY})),
    "I6": (
        "Refunds never exceed what was captured; nothing is both captured and voided",
        frozenset({Kind.REFUNDS_EXCEED, Kind.SUMS, Kind.CAPTURED_AND_VOIDED}),
    ),
    "I7": (
        "Every committed event is published, without gaps",
        frozenset({Kind.SEQ_GAP, Kind.EVENT_MISSING, Kind.UNPUBLISHED}),
    ),
    "I9": ("The audit chain verifies", frozenset({Kind.AUDIT_CHAIN})),
}
"""What must hold, in words, and what is found where it does not."""

INVARIANT_OF: dict[Kind, str] = {kind: name for name, (_, kinds) in INVARIANTS.items() for kind in kinds}

COUNTERPARTS: dict[str, str] = {
    "authorize": "authorization",
    "capture": "capture",
    "void": "void",
    "expire": "void",
    "refund": "refund",
    "deposit": "deposit",
    "withdrawal": "withdrawal",
}
"""Our word for an operation → the word in a provider's book. A line of any other kind is not compared."""

_COMPARED = frozenset(COUNTERPARTS.values())


class Done(StrEnum):
    YES = "done"
    NO = "not done"
    OPEN = "open"
    """Not decided yet: the payer must act, a transfer is under way, an answer was lost."""


@dataclass(frozen=True, slots=True)
class Line:
    """The last word of a provider's book on one reference. `times`: how often it says that the operation was done."""

    reference: str
    kind: str
    done: Done
    amount_minor: int
    currency: str
    at: datetime
    times: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """What our books say of one thing that was asked of a provider under one key: an attempt, or a round of a
    transfer. `status`: approved, declined, not_sent or open."""

    merchant_id: str
    reference: str
    subject_id: str
    kind: str
    status: str
    amount_minor: int
    currency: str
    created_at: datetime
    settled_at: datetime | None

    @property
    def done(self) -> Done:
        return {"approved": Done.YES, "open": Done.OPEN}.get(self.status, Done.NO)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """`merchant_id`: empty where nobody can tell. `subject_id`: the payment or transfer that a person must look at.
    `reference`: what exactly it is about; of one kind there is one discrepancy per merchant and reference, however
    often it is found."""

    kind: Kind
    merchant_id: str
    subject_id: str | None
    reference: str
    details: str

    @property
    def invariant(self) -> str:
        return INVARIANT_OF[self.kind]

    def view(self) -> dict[str, Any]:
        return {
            "invariant": self.invariant,
            "kind": str(self.kind),
            "merchant_id": self.merchant_id or None,
            "subject_id": self.subject_id,
            "reference": self.reference,
            "details": self.details,
        }

    def found(self, id: str, at: datetime) -> Fact:
        """The only fact of a discrepancy called `id`."""
        return ReconciliationMismatch(OPERATOR, id, 1, at, {"id": id, **self.view()})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing can be said yet. `since`: from when on the next run must look to see how it ended."""

    since: datetime


def latest(lines: Iterable[Line]) -> list[Line]:
    """One line for each reference: its last word, with the times that any of its lines says "done"."""
    last: dict[str, Line] = {}
    for line in lines:
        before = last.pop(line.reference, None)
        last[line.reference] = replace(line, times=(before.times if before else 0) + (line.done is Done.YES))
    return list(last.values())


def compare(line: Line | None, ours: Operation | None, fresh_after: datetime) -> Discrepancy | Waiting | None:
    """What the provider's book and ours say of one reference; at least one of them says something. None: the same.

    `fresh_after`: what was written later than this, here or there, may not have reached the other book yet.
    """
    if ours is not None and ours.done is Done.OPEN:
        return Waiting(ours.created_at)
    kind = _difference(line, ours)
    if kind is None:
        return None
    times = [line.at] if line else []
    times += [at for at in (ours.created_at, ours.settled_at) if at] if ours else []
    if max(times) > fresh_after:
        return Waiting(min(times))
    reference = line.reference if line else ours.reference if ours else ""
    details = f"{_told('we', ours)}; {_told('the bank', line)}"
    return Discrepancy(kind, ours.merchant_id if ours else "", ours.subject_id if ours else None, reference, details)


def _difference(line: Line | None, ours: Operation | None) -> Kind | None:
    if line is None:
        return Kind.MISSING_AT_BANK if ours and ours.done is Done.YES else None
    if ours is None:
        return Kind.MISSING_HERE if line.kind in _COMPARED else None
    if line.times > 1:
        return Kind.DUPLICATE
    match line.done, ours.done:
        case Done.YES, Done.YES:
            if line.kind != COUNTERPARTS.get(ours.kind, ours.kind):
                return Kind.OPERATION
            same = (line.amount_minor, line.currency) == (ours.amount_minor, ours.currency)
            return None if same else Kind.AMOUNT
        case Done.NO, Done.NO:
            return None
        case Done.OPEN, Done.NO if line.kind == "authorization":
            return None  # a challenge that nobody answered: it stays in the bank's book as it was, and took nothing
    return Kind.STATE


def _told(who: str, told: Line | Operation | None) -> str:
    if told is None:
        return f"{who}: nothing"
    return f"{who}: {told.kind} of {money(told.amount_minor, told.currency)}, {told.done}"


def money(amount_minor: int, currency: str) -> str:
    """For people, also where the currency is none that we know: a bank's book may hold anything."""
    known = currency in EXPONENTS
    return written(amount_minor, currency) if known else f"{amount_minor} minor units of {currency[:8] or 'nothing'}"
