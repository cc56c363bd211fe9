"""The invariants that our own books must keep: I4, I6 and I7; what hangs on an idempotency key is in `key_invariants`.

Pure: each check is handed what was read in one moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cleartill.domain.reconciliation import Discrepancy, Kind, money

_UNTOUCHED = frozenset({"pending", "authorized", "failed", "voided", "expired"})
"""The settled states in which no money was taken."""


# ── I4 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class JournalSums:
    """`off_minor`: what is left of each currency, all accounts summed up, where it is not zero. `known`: whether a
    recorded fact caused it. With every journal at zero in each of its currencies, so is the whole ledger."""

    merchant_id: str
    fact_id: str
    subject_id: str
    off_minor: Mapping[str, int]
    known: bool


def check_journal(journal: JournalSums) -> Iterator[Discrepancy]:
    if journal.off_minor:
        left = ", ".join(money(amount, currency) for currency, amount in sorted(journal.off_minor.items()))
        yield Discrepancy(
            Kind.LEDGER_UNBALANCED,
            journal.merchant_id,
            journal.subject_id,
            journal.fact_id,
            f"its entries sum to {left}",
        )
    if not journal.known:
        yield Discrepancy(
            Kind.LEDGER_ORPHAN, journal.merchant_id, journal.subject_id, journal.fact_id, "no recorded fact caused it"
        )


@dataclass(frozen=True, slots=True)
class AccountSums:
    """What an account of a merchant stands at in one currency (rolled up and waiting to be), and what its entries add
    up to; both of one moment. Minor units."""

    merchant_id: str
    account: str
    currency: str
    stands: int
    entries: int


def check_account(sums: AccountSums) -> Iterator[Discrepancy]:
    """A balance is never more than a sum of entries."""
    if sums.stands != sums.entries:
        stands, entries = money(sums.stands, sums.currency), money(sums.entries, sums.currency)
        details = f"it stands at {stands}, its entries sum to {entries}"
        reference = f"{sums.account} {sums.currency}"
        yield Discrepancy(Kind.BALANCE_SUM, sums.merchant_id, None, reference, details)


# ── I2, I4, I6 and I7, of one payment ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PaymentSums:
    """A payment's own columns, and beside them what its refunds, approved attempts, ledger, facts and events add up to;
    all of one moment. Amounts in minor units."""

    merchant_id: str
    id: str
    status: str
    currency: str
    captured: int
    refunded: int
    reserved: int
    refunds_succeeded: int
    refunds_open: int
    authorizations: int
    releases: int
    attempts_captured: int
    attempts_refunded: int
    ledger: int
    """What the acquirer owes us for it."""
    seq: int
    facts: int
    first_seq: int
    last_seq: int
    without_event: int
    """Facts of the time in which events are still kept that have none."""


def check_payment(sums: PaymentSums) -> Iterator[Discrepancy]:
    def found(kind: Kind, details: str) -> Discrepancy:
        return Discrepancy(kind, sums.merchant_id, sums.id, sums.id, details)

    def shown(amount_minor: int) -> str:
        return money(amount_minor, sums.currency)

    if sums.authorizations > 1:
        yield found(Kind.CHARGED_TWICE, f"{sums.authorizations} of its authorizations were approved")
    net = sums.captured - sums.refunded
    if sums.ledger != net:
        yield found(
            Kind.LEDGER_SUM, f"captured less refunded is {shown(net)}, in the ledger it is {shown(sums.ledger)}"
        )
    back = max(sums.refunded + sums.reserved, sums.refunds_succeeded + sums.refunds_open, sums.attempts_refunded)
    captured = min(sums.captured, sums.attempts_captured)
    released = bool(sums.releases) or sums.status in ("voided", "expired")
    if back > captured:
        yield found(Kind.REFUNDS_EXCEED, f"{shown(back)} went or is going back of {shown(captured)} captured")
    elif released and max(sums.captured, sums.attempts_captured):
        taken = max(sums.captured, sums.attempts_captured)
        yield found(Kind.CAPTURED_AND_VOIDED, f"{shown(taken)} was captured, and the hold released")
    elif wrong := _wrong_sums(sums):
        yield found(Kind.SUMS, wrong)
    yield from check_seq(NumberedFacts(sums.merchant_id, sums.id, sums.seq, sums.facts, sums.first_seq, sums.last_seq))
    if sums.without_event:
        yield found(Kind.EVENT_MISSING, f"{sums.without_event} of its facts have no event to publish")


def _wrong_sums(sums: PaymentSums) -> str:
    """The first of a payment's own sums that is not what it is a sum of; empty: none."""
    for name, own, added in (
        ("captured", sums.captured, sums.attempts_captured),
        ("refunded", sums.refunded, sums.refunds_succeeded),
        ("refunded", sums.refunded, sums.attempts_refunded),
        ("reserved for refunds", sums.reserved, sums.refunds_open),
    ):
        if own != added:
            return f"{name}: {money(own, sums.currency)}, which adds up to {money(added, sums.currency)}"
    if sums.captured and sums.status in _UNTOUCHED:
        return f"captured: {money(sums.captured, sums.currency)} of a payment that is {sums.status}"
    return ""


@dataclass(frozen=True, slots=True)
class TransferSums:
    """A transfer, and what its ledger, facts and events add up to; all of one moment. Amounts in minor units."""

    merchant_id: str
    id: str
    kind: str
    status: str
    currency: str
    amount: int
    bank: int
    """What the bank has taken in (below zero) or paid out for it."""
    reserved: int
    seq: int
    facts: int
    first_seq: int
    last_seq: int
    without_event: int


def check_transfer(sums: TransferSums) -> Iterator[Discrepancy]:
    """A withdrawal reserves its amount until it is final; only success moves money."""
    paid_out = sums.amount if sums.kind == "withdrawal" else -sums.amount
    bank = paid_out if sums.status == "succeeded" else 0
    reserved = sums.amount if sums.kind == "withdrawal" and sums.status not in ("succeeded", "failed") else 0
    if (sums.bank, sums.reserved) != (bank, reserved):
        moved, held = money(sums.bank, sums.currency), money(sums.reserved, sums.currency)
        details = f"a {sums.kind} that is {sums.status} has moved {moved} and reserves {held} in the ledger"
        yield Discrepancy(Kind.LEDGER_SUM, sums.merchant_id, sums.id, sums.id, details)
    yield from check_seq(NumberedFacts(sums.merchant_id, sums.id, sums.seq, sums.facts, sums.first_seq, sums.last_seq))
    if sums.without_event:
        details = f"{sums.without_event} of its facts have no event to publish"
        yield Discrepancy(Kind.EVENT_MISSING, sums.merchant_id, sums.id, sums.id, details)


@dataclass(frozen=True, slots=True)
class NumberedFacts:
    """How many facts a subject says it has (`seq`), and those on record."""

    merchant_id: str
    subject_id: str
    seq: int
    facts: int
    first_seq: int
    last_seq: int


def check_seq(numbered: NumberedFacts) -> Iterator[Discrepancy]:
    """1, 2, 3 … up to the last. (No number stands twice: it is part of the key.)"""
    whole = numbered.facts == numbered.seq == numbered.last_seq and numbered.first_seq == min(1, numbered.seq)
    if not whole:
        details = f"{numbered.seq} facts were numbered, {numbered.facts} are on record"
        yield Discrepancy(Kind.SEQ_GAP, numbered.merchant_id, numbered.subject_id, numbered.subject_id, details)


# ── I7, of the outbox ─────────────────────────────────────────────────────────────────────────────────────────────────


def check_outbox(late: int, oldest_s: float) -> Iterator[Discrepancy]:
    """`late`: events that wait for longer than they may; `oldest_s`: the age of the oldest, in seconds."""
    if late:
        details = f"{late} events or more are late, the oldest by {oldest_s:.0f} s"
        yield Discrepancy(Kind.UNPUBLISHED, "", None, "outbox", details)
