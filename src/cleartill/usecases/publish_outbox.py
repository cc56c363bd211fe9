"""Publish the outbox: committed events to Kafka, at least once and in order per subject."""

from cleartill.ports import Till

SHARE = 16
BATCH = 2000


async def publish_outbox(till: Till, owner: str, share: int = SHARE) -> int:
    """One round: lease partitions, read what is unpublished, produce, mark what was reported; how many.

    A row is marked only after its delivery report, so a crash in between publishes it again: consumers drop what has
    a sequence at or below the last one they saw.
    """
    lease = await till.backlog.lease_outbox(owner, share)
    rows = await till.backlog.unpublished(lease, BATCH)
    if not rows:
        return 0
    reports = await till.publisher.publish(rows)
    return await till.backlog.mark_published(lease, reports) if reports else 0
