"""The ledger: double entry, append-only. Every journal sums to zero; a balance is only ever a sum of entries.

Accounts of a merchant: `merchant` (what we owe it and it may withdraw), `merchant_reserved` (what we owe it and it is
withdrawing), `fees` (what it has paid us), `acquirer` (below zero: what the bank owes us for its payments) and `bank`
(below zero: what the bank has taken in for its deposits and not paid out for its withdrawals).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cleartill.domain.events import (
    DepositSucceeded,
    Fact,
    PaymentCaptured,
    RefundSucceeded,
    WithdrawalCreated,
    WithdrawalFailed,
    WithdrawalRetried,
    WithdrawalSucceeded,
)

MERCHANT, RESERVED, FEES, ACQUIRER, BANK = "merchant", "merchant_reserved", "fees", "acquirer", "bank"


@dataclass(frozen=True, slots=True)
class Entry:
    account: str
    amount_minor: int
    """Signed: a credit to the account is positive."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What one fact moves, named after the fact. Its entries sum to zero."""

    fact_id: str
    merchant_id: str
    subject_id: str
    currency: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account of a merchant sums up to."""

    account: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Fees:
    """What a merchant pays for a capture: a share in hundredths of a percent, rounded half up to a minor unit, and
    a fixed number of minor units; together at most what was captured. A refund gives no fee back."""

    basis_points: int = 0
    fixed_minor: int = 0

    def of(self, amount_minor: int) -> int:
        return min(amount_minor, (amount_minor * self.basis_points + 5_000) // 10_000 + self.fixed_minor)


NO_FEES = Fees()

_MOVES: dict[type[Fact], tuple[str, str]] = {
    PaymentCaptured: (ACQUIRER, MERCHANT),
    RefundSucceeded: (MERCHANT, ACQUIRER),
    DepositSucceeded: (BANK, MERCHANT),
    WithdrawalCreated: (MERCHANT, RESERVED),
    WithdrawalRetried: (MERCHANT, RESERVED),
    WithdrawalSucceeded: (RESERVED, BANK),
    WithdrawalFailed: (RESERVED, MERCHANT),
}
"""From which account to which a fact moves its amount. Every other fact moves nothing."""


def journals(facts: Sequence[Fact], fees: Fees = NO_FEES) -> list[Journal]:
    """The journals of the facts that move money; a capture's has the fee in it, if there is one."""
    made = []
    for fact in facts:
        move = _MOVES.get(type(fact))
        if move is None or not fact.amount_minor:
            continue
        sums = {move[0]: -fact.amount_minor, move[1]: fact.amount_minor}
        if isinstance(fact, PaymentCaptured):
            fee = fees.of(fact.amount_minor)
            sums |= {MERCHANT: fact.amount_minor - fee, FEES: fee}
        entries = tuple(Entry(account, amount) for account, amount in sorted(sums.items()) if amount)
        made.append(Journal(fact.id, fact.merchant_id, fact.subject_id, fact.data["currency"], entries))
    return made
