"""Heads of audit chains, as Kafka has them: what was told of a chain, read back to hold the chain against it."""

import json
import logging

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from cleartill.adapters.kafka import ANSWER_S, POLL_S
from cleartill.adapters.kafka_tail import reader
from cleartill.domain.audit_chain import Head
from cleartill.domain.errors import Unavailable
from cleartill.domain.events import AuditSealed

AT_ONCE = 10_000
SILENT_MAX = 100
"""So many polls in a row may bring nothing before the broker is taken for lost: 10 s."""
_MARK = AuditSealed.type.encode()

log = logging.getLogger(__name__)


def heads(bootstrap_servers: str, topic: str) -> list[Head]:
    """Every head that is on the topic, the events of payments passed over; none if nobody ever made the topic. Raises
    Unavailable if no broker answers, or one goes away meanwhile: then some may be missing."""
    consumer = reader(bootstrap_servers, "cleartill-heads")
    try:
        return _read(consumer, topic)
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str) -> list[Head]:
    try:
        known = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic]
    except KafkaException:
        raise Unavailable("Kafka cannot be reached") from None
    reading = set[int | None](known.partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in known.partitions])
    found, silent = list[Head](), 0
    while reading:
        messages = consumer.consume(AT_ONCE, POLL_S)
        silent = 0 if messages else silent + 1
        if silent > SILENT_MAX:
            raise Unavailable("Kafka does not answer any more")
        for message in messages:
            error = message.error()
            if error is None:
                found.extend(_head(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                reading.discard(message.partition())
            else:
                raise Unavailable(f"Kafka cannot be read: {error.name()}")
    return found


def _head(message: Message) -> list[Head]:
    """The head that it tells of; what only looks like one is nobody's proof of anything."""
    value = message.value() or b""
    if _MARK not in value:
        return []
    try:
        event = json.loads(value)
        return [Head.parse(event)] if isinstance(event, dict) and event.get("type") == AuditSealed.type else []
    except ValueError:
        log.warning(
            "an event of the audit chain cannot be read: partition %s, %s", message.partition(), message.offset()
        )
        return []
