"""The ledger: double entry, append-only. Every journal sums to zero; a balance is only ever a sum of entries.

Accounts of a merchant: `merchant` (what we owe it) and `acquirer` (what the bank owes us for it).
"""

from dataclasses import dataclass

from cleartill.domain.events import Fact, PaymentCaptured, RefundSucceeded


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


_SIGNS: dict[type[Fact], int] = {PaymentCaptured: 1, RefundSucceeded: -1}


def journals(facts: list[Fact]) -> list[Journal]:
    """The journals of the facts that move money: a capture credits the merchant, a refund debits it."""
    made = []
    for fact in facts:
        sign = _SIGNS.get(type(fact))
        if sign:
            amount = sign * fact.amount_minor
            entries = (Entry("acquirer", -amount), Entry("merchant", amount))
            made.append(Journal(fact.id, fact.merchant_id, fact.subject_id, fact.data["currency"], entries))
    return made
