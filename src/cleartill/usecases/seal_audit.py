"""Seal the audit log: committed rows get their numbers, and the seals that chain them, a moment after their commit.

A payment waits for none of it: its rows are written without a seal. Numbers follow what is committed, not ids or times:
a row whose transaction took long gets a later number than younger ones, and no number is ever left out.
"""

from cleartill.domain.audit_chain import link
from cleartill.ports import Till

BATCH = 500
"""Rows sealed in one transaction: some tens of milliseconds."""


async def seal_audit(till: Till, owner: str) -> int:
    """One round: how many rows were sealed, BATCH at most; 0 too if another process seals now."""
    lease = await till.chain.lease(owner)
    if lease is None:
        return 0
    rows = await till.chain.unsealed(BATCH)
    if not rows or not await till.chain.seal(lease, link(lease.head, rows)):
        return 0
    return len(rows)
