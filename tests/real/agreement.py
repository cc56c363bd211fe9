"""The provider's book beside ours: what it says it did, what our tables say, and what must hold of both."""

from collections import defaultdict
from dataclasses import dataclass

from cleartill.domain.outcome import Approved
from cleartill.ports import Authorization
from fakes import FakeProvider
from real.room import rows


@dataclass(slots=True)
class Told:
    """What happened to one payment, in minor units."""

    captured: int = 0
    refunded: int = 0
    released: int = 0


def provider_book(*providers: FakeProvider) -> dict[str, Told]:
    """By our payment's id: everything that was approved, once per attempt key."""
    book: dict[str, Told] = defaultdict(Told)
    named: dict[str, str] = {}
    for provider in providers:
        asked = {ask.attempt_key: (verb, ask) for verb, ask in provider.asked if verb != "prepare"}
        for key, (verb, ask) in asked.items():
            said = provider.truth.get(key)
            if not isinstance(said, Approved):
                continue
            if isinstance(ask, Authorization):
                named[said.provider_id] = ask.payment_id
                book[ask.payment_id].captured += ask.amount_minor if ask.capture else 0
                continue
            told = book[named[ask.provider_payment_id]]
            match verb:
                case "capture":
                    told.captured += ask.amount_minor
                case "void":
                    told.released += ask.amount_minor
                case "refund":
                    told.refunded += ask.amount_minor
    return book


def our_book(url: str) -> dict[str, Told]:
    """By payment id, of those that money was held or moved for."""
    found = rows(
        url,
        "SELECT id, amount_captured_minor, amount_refunded_minor, "
        "CASE WHEN status IN ('voided', 'expired') THEN amount_minor ELSE 0 END FROM transactions "
        "WHERE status NOT IN ('pending', 'failed')",
    )
    return {id: Told(captured, refunded, released) for id, captured, refunded, released in found}


BREACHES = {
    "an attempt is open": "SELECT key FROM attempts WHERE status = 'open'",
    "money is reserved": "SELECT id FROM transactions WHERE refund_reserved_minor <> 0",
    "a payment waits for a person": "SELECT id FROM transactions WHERE needs_review IS NOT NULL",
    "a journal does not sum to zero": (
        "SELECT fact_id FROM ledger_entries GROUP BY merchant_id, fact_id HAVING sum(amount_minor) <> 0"
    ),
    "the ledger is not what the payments say": (
        "SELECT t.id FROM transactions t LEFT JOIN ledger_entries e ON e.transaction_id = t.id "
        "AND e.merchant_id = t.merchant_id AND e.account = 'merchant' "
        "GROUP BY t.merchant_id, t.id "
        "HAVING coalesce(sum(e.amount_minor), 0) <> t.amount_captured_minor - t.amount_refunded_minor"
    ),
    "a payment ended twice": (
        "SELECT subject_id FROM outbox "
        "WHERE type IN ('payment.captured', 'payment.voided', 'payment.failed', 'payment.expired') "
        "GROUP BY merchant_id, subject_id HAVING count(*) > 1"
    ),
    "facts are missing": (
        "SELECT t.id FROM transactions t LEFT JOIN outbox o ON o.merchant_id = t.merchant_id AND o.subject_id = t.id "
        "GROUP BY t.merchant_id, t.id HAVING count(o.seq) <> t.seq OR max(o.seq) <> t.seq"
    ),
    "the audit log says something else than the events": (
        "SELECT subject_id FROM outbox FULL JOIN audit_logs a USING (merchant_id, subject_id, seq) "
        "WHERE outbox.type IS DISTINCT FROM a.event"
    ),
}


def assert_they_agree(url: str, *providers: FakeProvider) -> None:
    """Every cent stands in both books alike, nothing happened twice, and nothing was forgotten."""
    for what, query in BREACHES.items():
        assert rows(url, query) == [], what
    theirs = provider_book(*providers)
    ours = our_book(url)
    assert {id: told for id, told in theirs.items() if told != Told()} == {
        id: told for id, told in ours.items() if told != Told()
    }
