"""The way back from Kafka: a reader that shows what is on the topic, as nobody's group."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast
from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from cleartill.adapters.kafka import ANSWER_S, POLL_S, connection
from cleartill.domain.errors import Unavailable
from cleartill.ports import Consumed

log = logging.getLogger(__name__)

Around = Callable[[Consumed], AbstractContextManager[None]]
"""What is put around the handling of each message."""


def reader(bootstrap_servers: str, name: str) -> Consumer:
    """Of whole partitions that it is given, with their ends told; it leaves no trace on the broker."""
    return Consumer(
        {
            **connection(bootstrap_servers),
            "client.id": name,
            "group.id": f"{name}-{uuid4().hex}",  # has to have one; nothing is ever committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
        },
        logger=log,
    )


def tail(
    bootstrap_servers: str,
    topic: str,
    *,
    from_beginning: bool = False,
    follow: bool = True,
    limit: int | None = None,
    around: Around = lambda _: nullcontext(),
) -> Iterator[dict[str, Any]]:
    """What is on the topic: `partition`, `offset`, `key` and `event`, the parsed CloudEvent (None if it is none).

    Begins at the end, or with `from_beginning` at the oldest event there is; without `follow` it ends when it has
    reached the end of every partition. Ctrl-C ends it. An event may come more than once; the events of one subject come
    in order once everything is dropped whose `sequence` is not above the last one seen of it.

    `around` is entered when a message is read, and left when the next one is asked for.

    Raises Unavailable if no broker answers or nobody ever made the topic; a broker that goes away later is waited for.
    """
    consumer = reader(bootstrap_servers, "cleartill-tail")
    try:
        yield from _read(consumer, topic, from_beginning, follow, limit, around)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


def _read(
    consumer: Consumer, topic: str, from_beginning: bool, follow: bool, limit: int | None, around: Around
) -> Iterator[dict[str, Any]]:
    reading = _assign(consumer, topic, OFFSET_BEGINNING if from_beginning else OFFSET_END)
    left = limit
    while (reading or follow) and left != 0:
        message = consumer.poll(POLL_S)
        if message is None:
            continue
        error = message.error()
        if error is None:
            left = None if left is None else left - 1
            with around(_consumed(topic, message)):
                yield _shown(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            reading.discard(message.partition())
        elif error.fatal():
            raise Unavailable("Kafka refuses to be read")
        else:
            log.warning("Kafka: %s", error.str())


def _assign(consumer: Consumer, topic: str, start: int) -> set[int | None]:
    """Read every partition from `start`, as nobody's group; the partitions."""
    try:
        partitions = set(consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)
    except KafkaException:
        raise Unavailable("Kafka cannot be reached") from None
    if not partitions:
        raise Unavailable("The topic does not exist yet")
    consumer.assign([TopicPartition(topic, number, start) for number in partitions])
    return partitions


def _consumed(topic: str, message: Message) -> Consumed:
    partition, offset = (-1 if place is None else place for place in (message.partition(), message.offset()))
    key = (message.key() or b"").decode(errors="replace")
    carried = cast(list[tuple[str, bytes | None]], message.headers() or [])
    headers = [(name, value) for name, value in carried if value is not None]
    return Consumed(topic, partition, offset, key, headers)


def _shown(message: Message) -> dict[str, Any]:
    try:
        event = json.loads(message.value() or b"")
    except ValueError:
        event = None
    key = (message.key() or b"").decode(errors="replace")
    event = event if isinstance(event, dict) else None
    return {"partition": message.partition(), "offset": message.offset(), "key": key, "event": event}
