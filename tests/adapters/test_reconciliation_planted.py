"""Each kind of discrepancy, planted in real books or in the bank's: it is found, and nothing else is."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from cleartill.domain.reconciliation import INVARIANT_OF, Done, Kind, Line
from real import Room
from real.audited import IN_STEP, Audited, audited, lives
from real.providers import simulator


@pytest.fixture
def bank_url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
async def books(room: Room, bank_url: str, database_url: str) -> AsyncIterator[Audited]:
    """Two rounds of payments, nothing in doubt, and all found right."""
    async with audited(room, bank_url, database_url) as made:
        await lives(made.steps, 2)
        await made.resolve_all()
        report = await made.reconcile()
        assert (report.clean, report.matched > 20) == (True, True), report.view()
        yield made


def tampered(books: Audited, one: str, with_: Callable[[Line], list[Line]]) -> None:
    before = books.bank.tamper

    def tamper(lines: list[Line]) -> list[Line]:
        return [made for line in before(lines) for made in (with_(line) if line.reference == one else [line])]

    books.bank.tamper = tamper


def reference(books: Audited, kind: str, status: str = "approved") -> str:
    found: str = books.rows(
        "SELECT key FROM attempts WHERE kind = %s AND status = %s AND provider = 'bank' ORDER BY key LIMIT 1",
        kind,
        status,
    )[0][0]
    return found


AT_THE_BANK: dict[str, tuple[str, str, Callable[[Line], list[Line]]]] = {
    "missing_at_bank": ("authorize", "approved", lambda line: []),
    "missing_at_bank refund": ("refund", "approved", lambda line: []),
    "missing_at_bank void": ("void", "approved", lambda line: []),
    "amount": ("capture", "approved", lambda line: [replace(line, amount_minor=line.amount_minor + 1)]),
    "amount currency": ("authorize", "approved", lambda line: [replace(line, currency="CHF")]),
    "state declined": ("refund", "approved", lambda line: [replace(line, done=Done.NO)]),
    "state open": ("authorize", "approved", lambda line: [replace(line, done=Done.OPEN)]),
    "state charged": ("authorize", "declined", lambda line: [replace(line, kind="authorization", done=Done.YES)]),
    "operation": ("refund", "approved", lambda line: [replace(line, kind="capture")]),
    "duplicate": ("authorize", "approved", lambda line: [line, line]),
    "missing_here": ("authorize", "approved", lambda line: [line, replace(line, reference="pay_0.authorize.1")]),
}


@pytest.mark.parametrize("what", AT_THE_BANK)
async def test_in_the_banks_book(books: Audited, what: str) -> None:
    kind, status, plant = AT_THE_BANK[what]
    one = reference(books, kind, status)
    tampered(books, one, plant)

    report = await books.reconcile()

    assert report.found == {Kind(what.split()[0]): 1}, report.view()
    found = report.listed[0]
    stranger = found.kind is Kind.MISSING_HERE
    assert found.reference == ("pay_0.authorize.1" if stranger else one)
    marked = books.rows("SELECT id, needs_review FROM transactions WHERE needs_review IS NOT NULL")
    assert marked == ([] if stranger else [(found.subject_id, f"{found.kind}: {found.details}")])


ONE_PAYMENT = (
    "(SELECT id FROM transactions WHERE status = 'captured' AND currency = 'USD' AND provider = 'bank' "
    "AND amount_refunded_minor = 0 AND capture_method = 'automatic' ORDER BY id LIMIT 1)"
)
ONE_JOURNAL = (
    f"(SELECT fact_id FROM ledger_entries WHERE transaction_id = {ONE_PAYMENT} AND account = 'acquirer' LIMIT 1)"
)
ONE_KEY = f"scope = 'process' AND transaction_id = {ONE_PAYMENT}"
ONE_HOLD = "(SELECT id FROM transactions WHERE status = 'voided' ORDER BY id LIMIT 1)"
KEYLESS_REFUND = (
    "(SELECT r.id FROM refunds r WHERE NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.refund_id = r.id) "
    "ORDER BY id LIMIT 1)"
)
ATTEMPT = (
    "INSERT INTO attempts (merchant_id, key, transaction_id, kind, provider, amount_minor, currency, status, origin, "
    "opened_by, settled_by, expires_at, resolve_at, settled_at) SELECT merchant_id, id || '.planted.9', id, '{kind}', "
    "'mock', amount_minor, currency, 'approved', '{{}}', 'u', 'u', now(), now(), now() FROM transactions "
    "WHERE id = {id}"
)
ENTRIES = (
    "INSERT INTO ledger_entries (merchant_id, fact_id, account, currency, amount_minor, transaction_id) "
    "SELECT merchant_id, 'evt_planted', account, currency, amount, id FROM transactions, "
    f"(VALUES ('merchant', 5), ('fees', -5)) AS e (account, amount) WHERE id = {ONE_PAYMENT}"
)

IN_OUR_BOOKS = {
    "charged_twice": ATTEMPT.format(kind="authorize", id=ONE_HOLD),
    "charged_twice key": f"UPDATE idempotency_keys SET attempt_key = 'pay_0.authorize.1' WHERE {ONE_KEY}",
    "claim_lost": f"DELETE FROM idempotency_keys WHERE {ONE_KEY}",
    "answer_lost": f"UPDATE idempotency_keys SET transaction_id = 'pay_0' WHERE {ONE_KEY}",
    "answer_state": "UPDATE idempotency_keys SET answer_body = replace(answer_body, '\"captured\"', '\"voided\"') "
    f"WHERE {ONE_KEY}",
    "answer_identity": "UPDATE idempotency_keys SET answer_body = replace(answer_body, '\"pay_', '\"pay_0') "
    f"WHERE {ONE_KEY}",
    "answer_identity unreadable": f"UPDATE idempotency_keys SET answer_body = '' WHERE {ONE_KEY}",
    "ledger_unbalanced": "UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE account = 'merchant' "
    f"AND fact_id = {ONE_JOURNAL}{IN_STEP}",
    "ledger_unbalanced currency": "UPDATE ledger_entries SET currency = 'EUR' WHERE account = 'merchant' "
    f"AND fact_id = {ONE_JOURNAL}{IN_STEP}",
    "ledger_orphan": ENTRIES + IN_STEP,
    "ledger_sum": f"UPDATE ledger_entries SET amount_minor = 2 * amount_minor WHERE fact_id = {ONE_JOURNAL}{IN_STEP}",
    "ledger_sum gone": f"DELETE FROM ledger_entries WHERE fact_id = {ONE_JOURNAL}{IN_STEP}",
    "balance_sum": "UPDATE ledger_pending SET amount_minor = amount_minor + 1 WHERE ctid = "
    "(SELECT min(ctid) FROM ledger_pending WHERE account = 'merchant')",
    "refunds_exceed": f"UPDATE refunds SET amount_minor = 99999 WHERE id = {KEYLESS_REFUND}",
    "refunds_exceed in doubt": "INSERT INTO refunds (merchant_id, id, transaction_id, status, amount_minor, currency, "
    "provider, trace_id, created_at, updated_at) SELECT merchant_id, 'ref_0', id, 'in_doubt', 10001, currency, "
    f"provider, '', now(), now() FROM transactions WHERE id = {ONE_PAYMENT}",
    "sums": f"UPDATE refunds SET amount_minor = amount_minor - 1 WHERE id = {KEYLESS_REFUND}",
    "sums failed": f"UPDATE refunds SET status = 'failed' WHERE id = {KEYLESS_REFUND}",
    "captured_and_voided": ATTEMPT.format(kind="void", id=ONE_PAYMENT),
    "captured_and_voided late": ATTEMPT.format(kind="capture", id=ONE_HOLD),
    "seq_gap": f"UPDATE transactions SET seq = seq + 1 WHERE id = {ONE_PAYMENT}",
    "event_missing": f"DELETE FROM outbox WHERE subject_id = {ONE_PAYMENT} AND seq = 2",
    "unpublished": f"UPDATE outbox SET created_at = now() - interval '1 hour' WHERE subject_id = {ONE_PAYMENT}",
}


@pytest.mark.parametrize("what", IN_OUR_BOOKS)
async def test_in_our_own_books(books: Audited, what: str) -> None:
    books.rows(IN_OUR_BOOKS[what])
    kind = Kind(what.split()[0])

    report = await books.reconcile()

    assert report.found == {kind: 1}, report.view()
    assert (report.clean, report.new) == (False, 1)
    assert books.counted("reconcile.mismatch") == [{"kind": str(kind)}]
    assert {"name": INVARIANT_OF[kind]} in books.counted("invariant.breach")
    marked = {id for (id,) in books.rows("SELECT id FROM transactions WHERE needs_review IS NOT NULL")}
    there = {id for (id,) in books.rows("SELECT id FROM transactions")}
    assert marked == {report.listed[0].subject_id} & there


MERCHANT_ROW = "INSERT INTO merchants VALUES ('mer_0', 'Planted', 'p@merchant.example', '{{}}', now(), {seq})"
ENDPOINT = (
    "INSERT INTO webhook_endpoints (merchant_id, id, url, event_types, secret, key_version, seq, created_at, "
    "updated_at) VALUES ('mer_0', 'whe_0', 'https://a.example', '{}', '', 1, 1, now(), now())"
)


async def test_the_facts_of_merchants_and_of_their_endpoints_are_counted_too(books: Audited) -> None:
    books.rows(MERCHANT_ROW.format(seq=2))
    books.rows(ENDPOINT)
    found = (await books.reconcile()).listed
    assert {(one.kind, one.subject_id) for one in found} == {(Kind.SEQ_GAP, "mer_0"), (Kind.SEQ_GAP, "whe_0")}


def test_every_kind_is_planted() -> None:
    """But for a changed audit row, of which every way is in test_audit_tampering."""
    planted = {what.split()[0] for what in (*AT_THE_BANK, *IN_OUR_BOOKS)}
    assert planted == {str(kind) for kind in Kind} - {"audit_chain"}


@pytest.mark.parametrize(
    "unsound",
    ["UPDATE idempotency_keys SET created_at = now() - interval '2 days'", "UPDATE outbox SET published_at = now()"],
)
async def test_what_only_looks_strange_is_let_be(books: Audited, unsound: str) -> None:
    books.rows(unsound)
    assert await books.kinds() == {}


async def test_old_keys_and_events_may_have_been_purged(books: Audited) -> None:
    books.rows("DELETE FROM idempotency_keys")
    books.rows("UPDATE attempts SET settled_at = settled_at - interval '2 days' WHERE settled_at IS NOT NULL")
    books.rows("DELETE FROM outbox")
    # The trail of facts refuses every change; its times are those of the database, which stand in for an old one here.
    books.rows("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_append_only")
    try:
        books.rows("UPDATE audit_logs SET recorded_at = recorded_at - interval '2 days'")
        assert await books.kinds() == {}
    finally:
        books.rows("ALTER TABLE audit_logs ENABLE TRIGGER audit_logs_append_only")


async def test_several_at_once_are_all_found(books: Audited) -> None:
    for what in ("answer_state", "ledger_unbalanced", "balance_sum", "seq_gap"):
        books.rows(IN_OUR_BOOKS[what])
    tampered(books, reference(books, "refund"), lambda line: [])
    found: dict[str, Any] = await books.kinds()
    assert found == {
        "answer_state": 1, "ledger_unbalanced": 1, "balance_sum": 1, "seq_gap": 1, "missing_at_bank": 1,
    }  # fmt: skip
