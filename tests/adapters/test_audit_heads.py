"""Heads on Kafka: told by the worker's own publisher, found among the events of payments."""

import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from cleartill.adapters.kafka import KafkaPublisher
from cleartill.adapters.kafka_heads import heads
from cleartill.domain.audit_chain import Head
from cleartill.domain.errors import Unavailable
from cleartill.embedded.scratch import free_port
from cleartill.ports import OutboxRow
from fakes.kafka import MockKafka

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


def told(head: Head) -> OutboxRow:
    fact = head.fact(AT)
    event = json.dumps(fact.cloud_event(None)).encode()
    return OutboxRow(fact.merchant_id, fact.subject_id, fact.seq, event, fact.type, None, at=fact.at)


async def test_they_are_found_among_everything_else(mock: MockKafka, topic: str) -> None:
    producer = Producer({"bootstrap.servers": mock.bootstrap})
    noise = [b"", b"\xff", b'{"type": "payment.captured", "data": {"metadata": {"audit.sealed": 1}}}', b"[]",
             b'{"type": "audit.sealed", "data": {}}', b'{"type": "audit.sealed"', b'"audit.sealed"']  # fmt: skip
    for number in range(200):
        producer.produce(topic, noise[number % len(noise)], f"pay_{number}".encode())
    assert producer.flush(30) == 0
    publisher = KafkaPublisher(mock.bootstrap, topic, message_timeout_s=10)
    written = [Head(chain, number, bytes([number]) * 32, AT) for chain in ("chn_1", "chn_2") for number in (1, 5, 9)]
    assert len(await publisher.publish([told(head) for head in written])) == 6
    publisher.close()
    assert sorted(heads(mock.bootstrap, topic), key=lambda head: (head.chain, head.number)) == written


def test_an_empty_topic_has_none(mock: MockKafka, topic: str) -> None:
    assert heads(mock.bootstrap, topic) == []


def test_a_broker_that_is_away_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        heads(f"127.0.0.1:{free_port()}", "nothing")
