"""The last line: rows that must not be possible are refused by the database itself, and the audit log only grows."""

from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors

from cleartill.adapters.postgres.engine import connect
from real import Room, captured, claim, intent, outcome, refund_intent, rows

IMPOSSIBLE = [
    ("transactions", "amount_minor = 0", "transactions_amount_positive"),
    ("transactions", "amount_minor = -1", "transactions_amount_positive"),
    ("transactions", "currency = 'usd'", "transactions_form"),
    ("transactions", "currency = 'USDT'", "transactions_form"),
    ("transactions", "status = 'paid'", "transactions_form"),
    ("transactions", "capture_method = 'sometimes'", "transactions_form"),
    ("transactions", "amount_captured_minor = amount_minor + 1", "transactions_capture_cap"),
    ("transactions", "amount_captured_minor = -1", "transactions_capture_cap"),
    ("transactions", "amount_refunded_minor = amount_captured_minor + 1", "transactions_refund_cap"),
    ("transactions", "refund_reserved_minor = amount_captured_minor + 1", "transactions_refund_cap"),
    ("transactions", "amount_refunded_minor = 6000, refund_reserved_minor = 4001", "transactions_refund_cap"),
    ("transactions", "amount_refunded_minor = -1", "transactions_refund_cap"),
    ("transactions", "refund_reserved_minor = -1", "transactions_refund_cap"),
    ("transactions", "version = 0", "transactions_form"),
    ("transactions", "seq = 0", "transactions_form"),
    ("transactions", "refund_count = -1", "transactions_form"),
    ("transactions", "attempt_count = -1", "transactions_form"),
    ("refunds", "status = 'pending'", "refunds_state_known"),
    ("refunds", "amount_minor = 0", "refunds_amount_positive"),
    ("refunds", "transaction_id = 'pay_nobody'", "refunds_merchant_id_transaction_id_fkey"),
    ("attempts", "kind = 'charge'", "attempts_form"),
    ("attempts", "status = 'unknown', settled_by = 'x', settled_at = now()", "attempts_form"),
    ("attempts", "reverts_to = 'captured'", "attempts_form"),
    ("attempts", "status = 'open'", "attempts_form"),
    ("attempts", "status = 'open', settled_at = NULL", "attempts_form"),
    ("attempts", "status = 'open', settled_by = NULL", "attempts_form"),
    ("attempts", "settled_by = NULL, settled_at = NULL", "attempts_form"),
    ("attempts", "settled_by = NULL", "attempts_form"),
    ("attempts", "settled_at = NULL", "attempts_form"),
    ("attempts", "amount_minor = 0", "attempts_amount_positive"),
    ("attempts", "transaction_id = 'pay_nobody'", "attempts_merchant_id_transaction_id_fkey"),
    ("idempotency_keys", "answer_body = NULL", "idempotency_keys_form"),
    ("idempotency_keys", "answer_status = NULL", "idempotency_keys_form"),
    ("idempotency_keys", "answered_at = NULL", "idempotency_keys_form"),
    ("idempotency_keys", "key = ''", "idempotency_keys_form"),
    ("idempotency_keys", "key = E'a\\nb'", "idempotency_keys_form"),
    ("idempotency_keys", "key = 'é'", "idempotency_keys_form"),
    ("idempotency_keys", "key = repeat('k', 256)", "idempotency_keys_form"),
    ("ledger_entries", "amount_minor = 0", "ledger_entries_move_something"),
    ("outbox", "shard = 16", "outbox_shard_range"),
    ("outbox", "shard = -1", "outbox_shard_range"),
    ("outbox_leases", "shard = 16", "outbox_leases_shard_check"),
]


@pytest.fixture
async def filled(room: Room, database_url: str) -> str:
    """A refunded payment, and everything that hangs on it."""
    asked = intent(under=claim("k"))
    await room.books.record(asked)
    await room.books.record(outcome(asked))
    back = refund_intent(asked.payment, 10)
    await room.books.record(back)
    await room.books.record(outcome(back))
    return database_url


@pytest.mark.parametrize(("table", "change", "constraint"), IMPOSSIBLE)
async def test_an_impossible_row_is_refused(filled: str, table: str, change: str, constraint: str) -> None:
    assert rows(filled, f"SELECT 1 FROM {table} LIMIT 1") == [(1,)]

    with pytest.raises(psycopg2.IntegrityError) as refused:
        rows(filled, f"UPDATE {table} SET {change}")

    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("transactions", "transactions_pkey"),
        ("refunds", "refunds_pkey"),
        ("attempts", "attempts_pkey"),
        ("idempotency_keys", "idempotency_keys_pkey"),
        ("ledger_entries", "ledger_entries_pkey"),
        ("audit_logs", "audit_logs_pkey"),
        ("outbox", "outbox_pkey"),
    ],
)
async def test_no_row_comes_twice(filled: str, table: str, key: str) -> None:
    written = (
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns "
        "WHERE table_name = %s AND is_generated = 'NEVER'"
    )
    ((names,),) = rows(filled, written, table)
    with pytest.raises(errors.UniqueViolation) as refused:
        rows(filled, f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}")

    assert refused.value.diag.constraint_name == key


def test_two_accounts_never_share_a_mail_address(database_url: str) -> None:
    insert = "INSERT INTO merchants (id, name, email, created_at) VALUES (%s, '', 'a@merchant.example', now())"
    rows(database_url, insert, "m_1")

    with pytest.raises(errors.UniqueViolation) as refused:
        rows(database_url, insert, "m_2")

    assert refused.value.diag.constraint_name == "merchants_email_one_account"


def test_a_key_is_kept_as_a_digest(database_url: str) -> None:
    rows(database_url, "INSERT INTO merchants (id, name, email, created_at) VALUES ('m', '', '', now())")
    with pytest.raises(errors.CheckViolation) as refused:
        rows(
            database_url,
            "INSERT INTO api_keys (merchant_id, id, prefix, digest, scopes, name, created_at) "
            "VALUES ('m', 'k', 'p', 'sk_test_plain', '{}', '', now())",
        )

    assert refused.value.diag.constraint_name == "api_keys_digest_is_sha256"


SEALED = "seal_number = seq, seal = sha256('x'), seal_previous = sha256('')"
UNSEALED = "seal_number = NULL, seal = NULL, seal_previous = NULL"


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_logs SET actor = 'somebody else'",
        "UPDATE audit_logs SET details = '{}'",
        "UPDATE audit_logs SET seal_number = 1",
        "UPDATE audit_logs SET seal_number = 1, seal = sha256('x')",
        "UPDATE audit_logs SET seal_number = seq, seal = 'x', seal_previous = sha256('')",
        "UPDATE audit_logs SET seal_number = -seq, seal = sha256('x'), seal_previous = sha256('')",
        f"UPDATE audit_logs SET {SEALED}, actor = 'somebody else'",
        f"UPDATE audit_logs SET {SEALED}, details = details || '{{\"event_id\": 1.0}}'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "TRUNCATE audit_logs CASCADE",
    ],
)
async def test_the_audit_log_only_grows(filled: str, tampering: str) -> None:
    before = rows(filled, "SELECT * FROM audit_logs ORDER BY seq")

    with pytest.raises(errors.RestrictViolation):
        rows(filled, tampering)

    assert rows(filled, "SELECT * FROM audit_logs ORDER BY seq") == before


async def test_the_seal_is_set_once(filled: str) -> None:
    rows(filled, f"UPDATE audit_logs SET {SEALED}")

    for again in ("seal = sha256('y')", "seal_number = seq + 1", "seal_previous = seal", SEALED, UNSEALED):
        with pytest.raises(errors.RestrictViolation):
            rows(filled, f"UPDATE audit_logs SET {again}")


async def test_the_number_of_a_seal_is_given_once(filled: str) -> None:
    with pytest.raises(errors.UniqueViolation) as refused:
        rows(filled, "UPDATE audit_logs SET seal_number = 7, seal = sha256('x'), seal_previous = sha256('')")
    assert refused.value.diag.constraint_name == "audit_logs_chain"


async def test_the_ledger_sums_to_zero_per_currency(room: Room, database_url: str) -> None:
    paid = [await captured(room.books, amount) for amount in (1, 99, 12_345)]
    back = refund_intent(paid[2], 45)
    await room.books.record(back)
    await room.books.record(outcome(back))

    for table in ("ledger_entries", "ledger_pending"):
        assert rows(database_url, f"SELECT currency, sum(amount_minor) FROM {table} GROUP BY 1") == [("USD", 0)]
        assert rows(database_url, f"SELECT sum(amount_minor) FROM {table} WHERE account = 'merchant'") == [(12_400,)]


def test_sessions_carry_their_timeouts(database_url: str) -> None:
    with closing(connect(database_url, name="t", pool_size=1).raw_connection()) as connection:
        cursor = connection.cursor()
        found = {}
        for setting in ("timezone", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {setting}")
            found[setting] = cursor.fetchone()[0]
    assert found == {
        "timezone": "UTC",
        "lock_timeout": "250ms",
        "transaction_timeout": "5s",
        "idle_in_transaction_session_timeout": "5s",
    }
