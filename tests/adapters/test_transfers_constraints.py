"""The last line: rows about transfers that PostgreSQL itself refuses."""

import psycopg2
import pytest

from cleartill.ports import Till
from fakes.transfers_desk import DEPOSIT, TransferDesk
from real import rows

WRONG = {
    "transfers_kind_known": "kind = 'gift'",
    "transfers_kind_of_id": "kind = 'withdrawal'",
    "transfers_state_known": "status = 'done'",
    "transfers_amount_positive": "amount_minor = 0",
    "transfers_currency_code": "currency = 'usd'",
    "transfers_counts": "round = 0",
    "transfers_final_rest": "status = 'succeeded'",
    "transfers_dead_rest": "dead = 'why'",
    "transfers_failed_why": "error = '{}'",
    "transfers_leased_whole": "lease_owner = 'w'",
}


@pytest.mark.parametrize("constraint", WRONG)
async def test_a_wrong_row_is_impossible(till: Till, database_url: str, constraint: str) -> None:
    await TransferDesk(till).make(DEPOSIT)
    with pytest.raises(psycopg2.errors.CheckViolation) as refusal:
        rows(database_url, f"UPDATE transfers SET {WRONG[constraint]}")
    broken = {constraint, "transfers_kind_of_id"} if constraint == "transfers_kind_known" else {constraint}
    assert refusal.value.diag.constraint_name in broken


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT FROM transfers WHERE next_at <= now() ORDER BY next_at LIMIT 32", "transfers_due"),
        ("SELECT FROM transfers WHERE dead IS NOT NULL ORDER BY id DESC LIMIT 20", "transfers_dead"),
        ("SELECT FROM transfers WHERE id = 'dep_1'", "transfers_by_id"),
        (
            "SELECT FROM transfers WHERE merchant_id = 'm' AND id BETWEEN 'dep_' AND 'dep_~' ORDER BY id DESC LIMIT 21",
            "transfers_pkey",
        ),
    ],
)
def test_what_each_index_is_for(database_url: str, query: str, index: str) -> None:
    plan = rows(database_url, f"SET enable_seqscan = off; SET enable_sort = off; EXPLAIN {query}")
    assert index in str(plan)
