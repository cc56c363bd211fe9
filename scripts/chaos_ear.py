"""The consumer of scripts/chaos: reads Kafka from the first event on, drops repeats, and notices what is out of order.

The broker keeps nothing when it is killed, as a real one would. So it is killed only when everything that was
acknowledged has been read (`Ear.has_all`, while nobody produces), and the reader begins anew with the new one.
"""

import json
import logging
import threading
import time
from collections import defaultdict
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

POLL_S, ANSWER_S = 0.1, 2.0
STILL_S = 0.3
HEADS = "chn_"
"""The audit chain's heads, which are published now and then, and are no facts of a subject."""

log = logging.getLogger(__name__)
log.setLevel(logging.CRITICAL)  # its connections are cut on purpose


class Ear:
    """A thread of its own, from `with` to its end. `last`: the highest sequence by subject; `wrong`: what was not in
    order; `repeats`: how many events came more than once."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._servers, self._topic = bootstrap_servers, topic
        self.last: dict[str, int] = defaultdict(int)
        self.wrong: list[str] = []
        self.events = self.repeats = 0
        self._ends = {"stop": threading.Event(), "anew": threading.Event(), "asked": threading.Event()}
        self._all = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ear", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends["stop"].set()
        self._thread.join(10)

    def has_all(self, within_s: float) -> bool:
        """Whether everything that the broker holds has been read, a moment long."""
        self._all.clear()
        self._ends["asked"].set()
        return self._all.wait(within_s)

    def begin_anew(self) -> None:
        """There is a new broker, which holds nothing."""
        self._ends["anew"].set()

    def _listen(self) -> None:
        while not self._ends["stop"].is_set():
            self._ends["anew"].clear()
            consumer = Consumer(
                {
                    "bootstrap.servers": self._servers,
                    "group.id": "chaos",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "reconnect.backoff.max.ms": 500,
                },
                logger=log,
            )
            try:
                self._follow(consumer)
            finally:
                consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        partitions: list[TopicPartition] = []
        quiet_since = time.monotonic()
        while not (self._ends["stop"].is_set() or self._ends["anew"].is_set()):
            if not partitions:
                partitions = self._partitions(consumer)
                continue
            message = consumer.poll(POLL_S)
            if message is not None and message.error() is None:
                self._hear(message.value() or b"")
                quiet_since = time.monotonic()
                continue
            asked = self._ends["asked"].is_set() and time.monotonic() - quiet_since > STILL_S
            if asked and self._is_at_the_end(consumer, partitions):
                self._ends["asked"].clear()
                self._all.set()

    def _partitions(self, consumer: Consumer) -> list[TopicPartition]:
        try:
            known = consumer.list_topics(timeout=ANSWER_S).topics.get(self._topic)
        except KafkaException:
            return []
        if known is None or known.error is not None or not known.partitions:
            if self._ends["asked"].is_set() and known is not None:
                self._all.set()
            time.sleep(POLL_S)
            return []
        found = [TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in known.partitions]
        consumer.assign(found)
        return found

    def _is_at_the_end(self, consumer: Consumer, partitions: list[TopicPartition]) -> bool:
        try:
            ends = [consumer.get_watermark_offsets(one, timeout=ANSWER_S)[1] for one in partitions]
        except KafkaException:
            return False
        places = consumer.position(partitions)
        return all(place.offset >= end or end == 0 for place, end in zip(places, ends, strict=True))

    def _hear(self, value: bytes) -> None:
        event = json.loads(value)
        subject, sequence = event["subject"], int(event["sequence"])
        if subject.startswith(HEADS):
            return
        self.events += 1
        last = self.last[subject]
        if sequence <= last:
            self.repeats += 1
            return
        if sequence != last + 1:
            self.wrong.append(f"I7: {subject}: event {sequence} came after {last}")
        self.last[subject] = sequence
