"""Reconciliation finds its rows fact by fact, also in the first minutes, when nothing is known of the tables yet.

(A merchant's 16,000 payments took 9 s a page and no page ended: a transaction may last for 5 s.)
"""

import re
from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import pytest
from sqlalchemy import TextClause

from cleartill.adapters.postgres import audit_queries
from real import MERCHANT, rows

FACTS = """
INSERT INTO audit_logs (merchant_id, subject_id, seq, event, actor, request_id, trace_id, details, at)
SELECT %s, 'pay_' || n, seq, 'payment.captured', 'key_1', 'r', 't', jsonb_build_object('event_id', 'evt_' || n), now()
FROM generate_series(1, 10000) n, generate_series(1, 2) seq
"""
ENTRIES = """
INSERT INTO ledger_entries (merchant_id, fact_id, account, currency, amount_minor, transaction_id)
SELECT %s, 'evt_' || n, account, 'USD', 1, 'pay_' || n
FROM generate_series(1, 10000) n, unnest(ARRAY['acquirer', 'merchant']) account
"""
ASKED = {
    "after_0": "",
    "after_1": "",
    "end_0": MERCHANT,
    "end_1": "~",
    "last": False,
    "since": datetime(1970, 1, 1, tzinfo=UTC),
    "events_kept_s": 60,
}


@pytest.mark.parametrize("query", [audit_queries.PAYMENTS, audit_queries.TRANSFER_SUMS], ids=["payments", "transfers"])
def test_entries_are_looked_up_by_their_fact(query: TextClause, database_url: str) -> None:
    rows(database_url, FACTS, MERCHANT)
    rows(database_url, ENTRIES, MERCHANT)
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(audit_queries.BY_INDEX.text)
        cursor.execute("EXPLAIN " + re.sub(r"(?<!:):(\w+)", r"%(\1)s", query.text.replace("%", "%%")), ASKED)
        plan = [line.strip() for (line,) in cursor]
    (place,) = (number for number, line in enumerate(plan) if "ledger_entries_pkey" in line)
    condition = next(line for line in plan[place:] if "Cond:" in line)
    assert "merchant_id =" in condition
    assert "fact_id =" in condition
