"""Anchor the audit chain: tell its head to Kafka and to the log, where whoever can change the books has no hand in."""

import json
import logging

from cleartill.ports import OutboxRow, Till

EVERY_S = 10.0
"""At most so often, however many processes there are, and only if the head has moved."""

log = logging.getLogger(__name__)


async def anchor_audit(till: Till, _owner: str) -> int:
    """Tell of the head if it is time; whether that was done. It does not pass the outbox, where it could still be
    changed, and no merchant hears of it. Should Kafka not take it, the log has it, and the next round tries again."""
    head = await till.chain.anchor_due(EVERY_S)
    if head is None:
        return 0
    log.info("the audit chain goes to %d: %s", head.number, head.seal.hex(), extra=head.view())
    fact = head.fact(till.clock.now())
    event = json.dumps(fact.cloud_event(None), separators=(",", ":")).encode()
    told = OutboxRow(fact.merchant_id, fact.subject_id, fact.seq, event, fact.type, None, at=fact.at)
    if not await till.publisher.publish([told]):
        return 0
    await till.chain.anchored(head)
    return 0
