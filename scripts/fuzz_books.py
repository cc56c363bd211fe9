"""What the fuzzer's calls have left in the books: a refused one nothing, the others what they may."""

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg2

_PAY = {"POST /api/v1/payments", "POST /api/v1/payments/process"}
_REFUND = {"POST /api/v1/payments/{id}/refund", "POST /api/v1/refunds"}
_TRANSFER = {"POST /api/v1/deposits", "POST /api/v1/withdrawals"}
_KEYS = {"POST /api/v1/merchants", "POST /api/v1/merchants/{id}/keys"}
_ENDPOINTS = {"POST /api/v1/merchants", "POST /api/v1/webhook-endpoints"}
MAY_ADD: dict[str, set[str]] = {
    "transactions": _PAY,
    "refunds": _REFUND,
    "transfers": _TRANSFER,
    "merchants": {"POST /api/v1/merchants"},
    "api_keys": _KEYS,
    "webhook_endpoints": _ENDPOINTS,
    "sessions": {"POST /api/v1/auth/login"},
    "card_vault": {*_PAY, "POST /api/v1/payments/{id}/confirm"},
}
"""Table → the operations that may add one row to it for each call that they took on; nobody else may."""
ALWAYS = ("transactions", "refunds", "transfers", "merchants", "api_keys")
"""Those to which each such call does add a row."""
_BY_A_REFUSED_ONE = """
SELECT request_id, event FROM audit_logs WHERE request_id = ANY(%s) ORDER BY recorded_at LIMIT 20
"""


@dataclass(frozen=True)
class Call:
    """`operation`: method and path as the description has it."""

    operation: str
    request_id: str
    status: int
    replayed: bool

    @property
    def taken_on(self) -> bool:
        return self.status < 300 and not self.replayed

    @property
    def may_have_written(self) -> bool:
        """A 503 is written down when the provider could not be asked, after it was meant to be."""
        return self.taken_on or self.status == 503


def calls_in(file: Path) -> list[Call]:
    return [Call(**json.loads(line)) for line in file.read_text().splitlines()]


def rows(database_url: str) -> dict[str, int]:
    """How many there are in each table of MAY_ADD."""
    connection = psycopg2.connect(database_url)
    with contextlib.closing(connection), connection.cursor() as cursor:
        found = {}
        for table in MAY_ADD:
            cursor.execute(f"SELECT count(*) FROM {table}")
            (found[table],) = cursor.fetchone() or (0,)
        return found


def wrong_rows(database_url: str, calls: Sequence[Call], before: dict[str, int]) -> list[str]:
    """Rows that a refused call has made, and more or fewer than the others may; each in words."""
    after, wrong = rows(database_url), []
    for table, operations in MAY_ADD.items():
        added = after[table] - before[table]
        theirs = [call for call in calls if call.operation in operations]
        most = sum(call.may_have_written for call in theirs)
        least = sum(call.taken_on for call in theirs) if table in ALWAYS else 0
        if not least <= added <= most:
            wrong.append(f"{table} has {added} rows more; the calls that were taken on make {least} to {most}")
    refused = {call.request_id: call for call in calls if 400 <= call.status < 500 or call.replayed}
    connection = psycopg2.connect(database_url)
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(_BY_A_REFUSED_ONE, (list(refused),))
        for request_id, event in cursor.fetchall():
            call = refused[request_id]
            wrong.append(f"{call.operation} answered {call.status}, and {event} is in the books ({request_id})")
    return wrong


def never_done(calls: Sequence[Call], operations: set[str]) -> list[str]:
    """Operations that were not carried out once, with what they answered instead."""
    answers: dict[str, Counter[int]] = defaultdict(Counter)
    for call in calls:
        answers[call.operation][call.status] += 1
    return [
        f"{operation} was never carried out: {dict(sorted(answers[operation].items()))}"
        for operation in sorted(operations)
        if not any(200 <= status < 300 for status in answers[operation])
    ]
