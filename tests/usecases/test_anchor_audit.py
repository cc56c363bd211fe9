"""What is told of the audit chain, to whom, and in which words."""

import json
import logging
from dataclasses import replace

import pytest

from cleartill.domain.audit_chain import Head
from cleartill.usecases.anchor_audit import anchor_audit
from cleartill.usecases.seal_audit import seal_audit
from fakes import World
from fakes.chain import CHAIN, FakeChain
from real.chained import an_audit_row


async def test_the_head_goes_to_kafka_and_to_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain(world.clock)
    till = replace(world.till, chain=chain)
    chain.log += [an_audit_row(1), an_audit_row(2)]
    assert await seal_audit(till, "one") == 2
    caplog.set_level(logging.INFO)

    await anchor_audit(till, "one")
    await anchor_audit(till, "two")

    (row,) = world.publisher.rows
    assert (row.merchant_id, row.subject_id, row.seq, row.type) == ("cleartill", CHAIN, 2, "audit.sealed")
    assert Head.parse(json.loads(row.event)) == chain.head
    assert world.memory.outbox == {}, "no webhook is made of it"
    (line,) = caplog.records
    assert line.getMessage() == f"the audit chain goes to 2: {chain.head.seal.hex()}"
