"""A transfer between a merchant's balance and its bank account: a deposit tops the balance up, a withdrawal pays out.

    pending ──► processing ──► succeeded
       ▲             │ │           ▲
       │             │ └──► in_doubt
       │             ▼           │
       └────────── failed ◄──────┘

Every arrow that is not drawn here is forbidden. Workers ask the bank, at most MAX_RETRIES times more after a transient
fault; then the transfer is a dead letter: `failed` if the bank surely did nothing, else `in_doubt`, to be looked at by
a person. Only a dead letter that failed may become `pending` again, under a new reference: the bank may have been told
to refuse the old one. One that is in doubt is asked about again under the reference it has.

A withdrawal reserves its amount from its beginning until it is final, and again while a dead letter is tried again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cleartill.domain import events
from cleartill.domain.errors import ForbiddenStep
from cleartill.domain.events import Fact, timestamp
from cleartill.domain.idempotency import Claim
from cleartill.domain.ids import new_id
from cleartill.domain.money import major
from cleartill.domain.outcome import Approved, Declined

MAX_RETRIES = 5
PENDING_AT_MOST = timedelta(days=1)
"""How long the bank may say that it is on its way, before a person is asked to look."""


class TransferKind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"

    @property
    def prefix(self) -> str:
        """Of its ids."""
        return "dep" if self is TransferKind.DEPOSIT else "wdr"


class TransferStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


_S = TransferStatus
TRANSFER_STEPS: dict[TransferStatus, frozenset[TransferStatus]] = {
    _S.PENDING: frozenset({_S.PROCESSING}),
    _S.PROCESSING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.IN_DOUBT}),
    _S.IN_DOUBT: frozenset({_S.SUCCEEDED, _S.FAILED}),
    _S.FAILED: frozenset({_S.PENDING}),
    _S.SUCCEEDED: frozenset(),
}
FINAL = frozenset({_S.SUCCEEDED, _S.FAILED})

ERRORS = {
    "bank_refused": "The bank refused the transfer.",
    "bank_unreachable": "The bank could not be reached; it did nothing.",
}
"""Why a transfer failed: code → for people."""

_FACTS: dict[tuple[TransferKind, str], type[Fact]] = {
    (TransferKind.DEPOSIT, "created"): events.DepositCreated,
    (TransferKind.DEPOSIT, "succeeded"): events.DepositSucceeded,
    (TransferKind.DEPOSIT, "failed"): events.DepositFailed,
    (TransferKind.DEPOSIT, "in_doubt"): events.DepositInDoubt,
    (TransferKind.DEPOSIT, "retried"): events.DepositRetried,
    (TransferKind.DEPOSIT, "needs_review"): events.DepositNeedsReview,
    (TransferKind.WITHDRAWAL, "created"): events.WithdrawalCreated,
    (TransferKind.WITHDRAWAL, "succeeded"): events.WithdrawalSucceeded,
    (TransferKind.WITHDRAWAL, "failed"): events.WithdrawalFailed,
    (TransferKind.WITHDRAWAL, "in_doubt"): events.WithdrawalInDoubt,
    (TransferKind.WITHDRAWAL, "retried"): events.WithdrawalRetried,
    (TransferKind.WITHDRAWAL, "needs_review"): events.WithdrawalNeedsReview,
}


@dataclass(frozen=True, slots=True)
class TransferError:
    """`code` is one of ERRORS, `network_code` the bank's own."""

    code: str
    network_code: str | None = None

    def view(self) -> dict[str, Any]:
        return {"code": self.code, "network_code": self.network_code, "message": ERRORS[self.code]}


@dataclass(slots=True)
class Transfer:
    """`round`: 1, and one more each time a dead letter that failed is tried again. `attempts`: how often the bank was
    asked; `faults`: transient ones in a row. `unsure`: whether a try of this round may have reached the bank.
    `accepted_at`: since when the bank has it on its way. `dead`: why nobody tries any more. `claim`: under which
    idempotency key its final answer goes."""

    id: str
    merchant_id: str
    kind: TransferKind
    amount_minor: int
    currency: str
    provider: str
    status: TransferStatus
    trace_id: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    claim: Claim | None = None
    round: int = 1
    attempts: int = 0
    faults: int = 0
    unsure: bool = False
    accepted_at: datetime | None = None
    bank_reference: str | None = None
    error: TransferError | None = None
    needs_review: str | None = None
    dead: str | None = None
    version: int = 0
    seq: int = 0

    @classmethod
    def of(
        cls,
        merchant_id: str,
        kind: TransferKind,
        amount_minor: int,
        currency: str,
        provider: str,
        at: datetime,
        trace_id: str,
        **more: Any,
    ) -> "Transfer":
        """A new one, that nobody has asked the bank for."""
        id, pending = new_id(kind.prefix), TransferStatus.PENDING
        return cls(id, merchant_id, kind, amount_minor, currency, provider, pending, trace_id, at, at, **more)

    @property
    def reference(self) -> str:
        """What the bank knows it by, on every try of this round."""
        return f"{self.id}.transfer.{self.round}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    def round_of(self, reference: str) -> int | None:
        """Which round used this reference; None: it is none of ours."""
        rounds = range(1, self.round + 1)
        return next((one for one in reversed(rounds) if reference == f"{self.id}.transfer.{one}"), None)

    def created(self) -> Fact:
        return self._fact("created", self._reservation, self.created_at)

    def begin(self, at: datetime) -> None:
        """The bank is about to be asked."""
        if self.status is TransferStatus.PENDING:
            self._become(TransferStatus.PROCESSING, at)
        self.attempts, self.unsure = self.attempts + 1, True

    def accept(self, provider_id: str, at: datetime) -> list[Fact]:
        """The bank has it on its way; for too long, if it says so again after PENDING_AT_MOST."""
        self.accepted_at = self.accepted_at or at
        self.bank_reference, self.faults, self.updated_at = provider_id, 0, at
        if at - self.accepted_at < PENDING_AT_MOST:
            return []
        return self.give_up("the bank has had it on its way for too long", at)

    def end(self, said: Approved | Declined, at: datetime) -> list[Fact]:
        """The bank did it, or surely not. Raises ForbiddenStep."""
        if isinstance(said, Approved):
            self._become(TransferStatus.SUCCEEDED, at)
            self.bank_reference = said.bank_reference or said.provider_id
            return [self._ended("succeeded", self.amount_minor, at)]
        self._become(TransferStatus.FAILED, at)
        self.bank_reference = said.provider_id or self.bank_reference
        self.error = TransferError("bank_refused", said.network_code)
        return [self._ended("failed", self._reservation, at)]

    def fault(self, reason: str, at: datetime) -> list[Fact]:
        """A try came to nothing that we know of; after MAX_RETRIES more it is a dead letter."""
        if self.status is TransferStatus.PENDING:
            self._become(TransferStatus.PROCESSING, at)
        self.faults, self.updated_at = self.faults + 1, at
        if self.faults <= MAX_RETRIES:
            return []
        why = f"{MAX_RETRIES} retries used up, at last: {reason}"
        if self.unsure:
            return self.give_up(why, at)
        self._become(TransferStatus.FAILED, at)
        self.error, self.dead = TransferError("bank_unreachable"), why
        return [self._fact("failed", self._reservation, at)]

    def give_up(self, why: str, at: datetime) -> list[Fact]:
        """Nobody knows what became of it, and nobody asks any more: a person must look. The reservation stays."""
        if self.status is TransferStatus.PROCESSING:
            self._become(TransferStatus.IN_DOUBT, at)
        self.updated_at, self.dead = at, why
        self.needs_review = self.needs_review or why
        return [self._fact("in_doubt", 0, at)]

    def retry(self, at: datetime) -> Fact:
        """Take a dead letter up again. What had failed reserves anew. Raises ForbiddenStep."""
        if self.dead is None:
            raise ForbiddenStep(f"Cannot retry a transfer that is {self.status}: it is no dead letter")
        reserved = 0
        if self.status is TransferStatus.FAILED:
            self._become(TransferStatus.PENDING, at)
            self.round, self.unsure, self.error, self.accepted_at = self.round + 1, False, None, None
            reserved = self._reservation
        elif self.accepted_at is not None:
            self.accepted_at = at
        self._revive()
        self.faults, self.updated_at = 0, at
        return self._fact("retried", reserved, at)

    def review(self, reason: str, at: datetime) -> Fact | None:
        """Ask a person to look; None if one is asked already. Moves no money."""
        if self.needs_review is not None:
            return None
        self.needs_review, self.updated_at = reason, at
        return self._fact("needs_review", 0, at)

    def contradicts(self, said: Approved | Declined) -> bool:
        """Whether this is the opposite of how it ended."""
        return self.is_final and (self.status is TransferStatus.SUCCEEDED) is not isinstance(said, Approved)

    def view(self) -> dict[str, Any]:
        """The transfer as its merchant sees it."""
        return {
            "id": self.id,
            "transaction_id": self.id,
            "merchant_id": self.merchant_id,
            "type": str(self.kind),
            "status": str(self.status),
            "amount": major(self.amount_minor, self.currency),
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "provider": self.provider,
            "bank_reference": self.bank_reference,
            "attempts": self.attempts,
            "error": self.error.view() if self.error else None,
            "dead_letter": self.dead,
            "needs_review": self.needs_review,
            "description": self.description,
            "metadata": self.metadata,
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "trace_id": self.trace_id,
        }

    @property
    def _reservation(self) -> int:
        return self.amount_minor if self.kind is TransferKind.WITHDRAWAL else 0

    def _become(self, to: TransferStatus, at: datetime) -> None:
        if to not in TRANSFER_STEPS[self.status]:
            raise ForbiddenStep(f"A {self.kind} that is {self.status} cannot become {to}")
        self.status, self.updated_at = to, at

    def _revive(self) -> None:
        """It is a dead letter no more; a review that was asked for another reason stays."""
        if self.needs_review == self.dead:
            self.needs_review = None
        self.dead = None

    def _ended(self, what: str, moved_minor: int, at: datetime) -> Fact:
        if self.dead is not None:
            self._revive()
        return self._fact(what, moved_minor, at)

    def _fact(self, what: str, moved_minor: int, at: datetime) -> Fact:
        self.seq += 1
        return _FACTS[self.kind, what](self.merchant_id, self.id, self.seq, at, self.view(), moved_minor)
