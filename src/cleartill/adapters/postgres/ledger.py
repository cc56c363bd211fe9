"""The Ledger port: balances, and the roll-up that keeps reading them cheap.

An entry is appended to `ledger_entries` for ever and to `ledger_pending` until it is rolled up: no writer of entries
ever waits for a row that another one holds. A balance is what is rolled up and what waits, read in one statement and so
of one moment: 0.4 ms with ten million entries of one merchant, 0.6 ms if a thousand of them wait, 50 ms if 100,000 do
(the roll-up takes 250,000 a second). Whoever rolls up, and whoever needs
cover, first locks the balance's row and *then*, in a statement of its own and so with a newer view, looks at what
waits: in one statement with the lock, entries that were rolled up while it waited would count twice.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, text

from cleartill.adapters.postgres.engine import ConnectionPool
from cleartill.domain.ledger import Balance

ENTRIES_AT_ONCE = 10_000
"""Of one account in one transaction: some 30 ms."""

BALANCES = text("""
SELECT account, currency, sum(amount_minor)::bigint AS amount_minor
FROM (
    SELECT account, currency, amount_minor FROM balances WHERE merchant_id = :merchant_id
    UNION ALL
    SELECT account, currency, amount_minor FROM ledger_pending WHERE merchant_id = :merchant_id
) AS parts
GROUP BY account, currency ORDER BY account, currency
""")

# One step down the index for each account, however many entries of it wait.
_WAITING = text("""
WITH RECURSIVE waiting AS (
    (SELECT merchant_id, account, currency FROM ledger_pending
     WHERE (merchant_id, account, currency) > (:merchant_id, :account, :currency)
     ORDER BY merchant_id, account, currency LIMIT 1)
    UNION ALL
    SELECT later.* FROM waiting w CROSS JOIN LATERAL (
        SELECT p.merchant_id, p.account, p.currency FROM ledger_pending p
        WHERE (p.merchant_id, p.account, p.currency) > (w.merchant_id, w.account, w.currency)
        ORDER BY p.merchant_id, p.account, p.currency LIMIT 1) AS later
)
SELECT * FROM waiting LIMIT :limit
""")

_MAKE = text("""
INSERT INTO balances (merchant_id, account, currency) VALUES (:merchant_id, :account, :currency) ON CONFLICT DO NOTHING
""")
_LOCK = text("""
SELECT amount_minor FROM balances
WHERE merchant_id = :merchant_id AND account = :account AND currency = :currency FOR NO KEY UPDATE
""")
_LOCK_IF_FREE = text("""
SELECT amount_minor FROM balances
WHERE merchant_id = :merchant_id AND account = :account AND currency = :currency FOR NO KEY UPDATE SKIP LOCKED
""")
_PENDING = text("""
SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_pending
WHERE merchant_id = :merchant_id AND account = :account AND currency = :currency
""")
_ROLL_UP = text("""
WITH gone AS (
    DELETE FROM ledger_pending WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ledger_pending
        WHERE merchant_id = :merchant_id AND account = :account AND currency = :currency LIMIT :most))
    RETURNING amount_minor
), moved AS (
    UPDATE balances SET amount_minor = amount_minor + (SELECT coalesce(sum(amount_minor), 0) FROM gone)
    WHERE merchant_id = :merchant_id AND account = :account AND currency = :currency
)
SELECT count(*) FROM gone
""")

_START = {"merchant_id": "", "account": "", "currency": ""}


def covered(connection: Connection, merchant_id: str, account: str, currency: str) -> int:
    """What the account has; nobody else takes cover from it, and nobody rolls it up, before the transaction ends."""
    key = {"merchant_id": merchant_id, "account": account, "currency": currency}
    connection.execute(_MAKE, key)
    rolled_up: int = connection.execute(_LOCK, key).scalar_one()
    waiting: int = connection.execute(_PENDING, key).scalar_one()
    return rolled_up + waiting


class PostgresLedger:
    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._after = _START
        """The account that the last round ended with: the next one goes on behind it, so that none is forgotten."""

    async def balances(self, merchant_id: str) -> list[Balance]:
        def work(connection: Connection) -> list[Balance]:
            found = connection.execute(BALANCES, {"merchant_id": merchant_id})
            return [Balance(row.account, row.currency, row.amount_minor) for row in found]

        return await self._pool.run(work)

    async def roll_up(self, limit: int) -> int:
        after = self._after
        found = await self._pool.run(lambda connection: connection.execute(_WAITING, {**after, "limit": limit}).all())
        self._after = _START if len(found) < limit else _key(found[-1])
        if not found and after is not _START:
            return await self.roll_up(limit)  # from the beginning, once
        done = 0
        for row in found:
            done += await self._pool.run(partial(_roll_up, key=_key(row)))
        return done


def _key(row: Row[Any]) -> dict[str, str]:
    return {"merchant_id": row.merchant_id, "account": row.account, "currency": row.currency}


def _roll_up(connection: Connection, *, key: dict[str, str]) -> int:
    """A bounded batch of one account's entries; none if somebody else has its balance's row."""
    connection.execute(_MAKE, key)
    if connection.execute(_LOCK_IF_FREE, key).one_or_none() is None:
        return 0
    done: int = connection.execute(_ROLL_UP, {**key, "most": ENTRIES_AT_ONCE}).scalar_one()
    return done
