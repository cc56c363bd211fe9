"""Accounts summed up over pages of the ledger: a merchant whose entries go on is carried from one page to the next.

What its accounts stand at is read together with the first of its entries, and of that moment are all of them: later
pages count an entry only if PostgreSQL's snapshot of then saw it (its `xmin` tells). So no page is of more than some
1,000 entries, none waits for a writer or a roll-up or keeps anything from them, and yet both sums are of one moment.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from cleartill.domain.invariants import AccountSums
from cleartill.ports import Looked

NOTHING_SEEN = "1:1:"
"""The snapshot that sees no transaction."""


def snapshot_of(after: tuple[str, ...]) -> str:
    """When the accounts of the merchant that the page before ended with were read."""
    return after[3] if after else NOTHING_SEEN


def whole(page: Looked[Any], after: tuple[str, ...]) -> Looked[AccountSums]:
    """The accounts of which all entries are summed up by now; those of the last merchant go into the page's end."""
    sums = {(one.account, one.currency): one for one in _carried(after)}
    done: list[AccountSums] = []
    going_on: list[AccountSums] = []
    last = page.end[0] if page.end else None
    for row in page.found:
        before = sums.pop((row.account, row.currency), None) if after and row.merchant_id == after[0] else None
        stands, entries = (before.stands, before.entries) if before else (0, 0)
        made = AccountSums(row.merchant_id, row.account, row.currency, stands + row.stands, entries + row.entries)
        (going_on if row.merchant_id == last else done).append(made)
    (going_on if after and after[0] == last else done).extend(sums.values())
    if page.end is None:
        return Looked(done, page.looked_at, None)
    began = snapshot_of(after) if after and after[0] == last else _now(page.found)
    return Looked(done, page.looked_at, (*page.end, began, _packed(going_on)))


def _now(found: Sequence[Any]) -> str:
    return next((str(row.now) for row in found), NOTHING_SEEN)


def _carried(after: tuple[str, ...]) -> list[AccountSums]:
    return [AccountSums(after[0], *one) for one in orjson.loads(after[4])] if after else []


def _packed(sums: Sequence[AccountSums]) -> str:
    return orjson.dumps([(one.account, one.currency, one.stands, one.entries) for one in sums]).decode()
