"""The road to Kafka: a publisher for the outbox. The way back is in `kafka_tail`.

Order. A consumer that drops what has `sequence` ≤ the last it saw of a subject must never lose an event, so a later
event must never get to the log before an earlier one. Idempotence alone does not promise that: when a message runs out
of time, librdkafka goes on with the ones behind it. So a subject has one event on its way at a time, and the delivery
report of one hands over the next; different subjects go side by side. That costs a round trip per event of one subject.

Time. A message that is not delivered within `message_timeout_s` has failed, and nothing more is handed over after that
time: `publish` ends within twice `message_timeout_s`, which must be shorter than the lease on the outbox.

Threads. One thread owns the producer; it makes it at the first use and makes it anew after a fatal error.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from cleartill.domain.errors import Unavailable
from cleartill.ports import NoWatch, OutboxRow, Published, Watch

CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
"""CloudEvents 1.0, Kafka protocol binding, structured mode."""
POLL_S = 0.1
GRACE_S = 3.0
"""librdkafka looks for messages that ran out of time once a second."""
ANSWER_S = 2.0
"""How long a broker may take to say what topics there are."""
CLOSE_S = 5.0

log = logging.getLogger(__name__)


class KafkaPublisher:
    """`ports.Publisher`: every row is one message, keyed by its subject, in its own JSON bytes.

    Kafka's absence is no error: `publish` answers with what was delivered in time, which may be nothing.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, *, message_timeout_s: float = 10.0, watch: Watch | None = None
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._message_timeout_s = message_timeout_s
        self._watch = NoWatch() if watch is None else watch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._closing = Event()
        self._producer: Producer | None = None

    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        """A report's offset is -1 if the broker has the row from an earlier try and does not say where.

        Cancelled, it gives up at once what is still on its way; a row may have been delivered all the same.
        """
        if not rows:
            return []
        given_up = Event()
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, rows, given_up)
        try:
            reports = await running
        except asyncio.CancelledError:
            given_up.set()
            raise
        self._watch.count("kafka.produced", len(reports))
        if len(reports) < len(rows):
            self._watch.count("kafka.failed", len(rows) - len(reports))
        return reports

    async def ping(self) -> None:
        """Raises Unavailable if no broker answers within ANSWER_S; while a publish hangs, none does."""
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._ask_metadata)
        try:
            await asyncio.wait_for(asked, ANSWER_S + 0.5)
        except (KafkaException, TimeoutError):
            raise Unavailable("Kafka cannot be reached") from None

    def close(self) -> None:
        """Gives up what is still on its way and lets the producer go; bounded by a few seconds."""
        self._closing.set()
        self._thread.submit(self._let_go)
        self._thread.shutdown(wait=True)

    # ── in the producer's thread ──────────────────────────────────────────────────────────────────────────────────

    def _deliver(self, rows: Sequence[OutboxRow], given_up: Event) -> list[Published]:
        if self._closing.is_set() or given_up.is_set():
            return []
        handed_over_until = time.monotonic() + self._message_timeout_s
        producer = self._made_producer()
        delivery = _Delivery(producer, self._topic, rows, handed_over_until)
        delivery.start()
        hopeless_at = handed_over_until + self._message_timeout_s + GRACE_S
        try:
            while delivery.on_the_way and time.monotonic() < hopeless_at:
                producer.poll(POLL_S)
                if self._closing.is_set() or given_up.is_set():
                    break
        except KafkaException as error:  # how the client says that it is of no more use
            delivery.failed(error.args[0])
        if delivery.on_the_way or delivery.fatal:
            delivery.stop()
            self._let_go()
        if delivery.failures:
            log.warning("Kafka did not take some events; they stay in the outbox: %s", dict(delivery.failures))
        return delivery.reports

    def _ask_metadata(self) -> None:
        producer = self._made_producer()
        producer.list_topics(self._topic, timeout=ANSWER_S)
        producer.poll(0)  # what it has to say goes to the log

    def _made_producer(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **connection(self._bootstrap_servers),
                    "client.id": "cleartill",
                    "acks": "all",
                    "enable.idempotence": True,
                    "message.timeout.ms": int(self._message_timeout_s * 1000),
                    "linger.ms": 2,
                    "partitioner": "murmur2_random",  # the one of Kafka's own clients
                    "error_cb": _heard,
                },
                logger=log,
            )
        return self._producer

    def _let_go(self) -> None:
        """The producer ends here, and whatever it still holds: it would be of no use to anybody."""
        if self._producer is not None:
            with suppress(KafkaException):  # a fatal error once more
                self._producer.purge()
                self._producer.flush(CLOSE_S)
            self._producer = None


class _Delivery:
    """One call's rows on their way: one of each subject at a time, in order."""

    def __init__(self, producer: Producer, topic: str, rows: Sequence[OutboxRow], until: float) -> None:
        self.reports: list[Published] = []
        self.failures: Counter[str] = Counter()
        self.on_the_way = 0
        self.fatal = False
        self._producer, self._topic, self._until = producer, topic, until
        self._waiting: dict[str, deque[OutboxRow]] = defaultdict(deque)
        for row in rows:
            self._waiting[row.subject_id].append(row)

    def start(self) -> None:
        for subject_id in self._waiting:
            self._hand_over_next(subject_id)

    def stop(self) -> None:
        self._waiting.clear()

    def _hand_over_next(self, subject_id: str) -> None:
        waiting = self._waiting[subject_id]
        if not waiting or time.monotonic() > self._until:
            return
        row = waiting.popleft()
        headers: list[tuple[str, str | bytes | None]] = [("content-type", CONTENT_TYPE)]
        if row.headers:
            headers += row.headers
        elif row.traceparent:
            headers.append(("traceparent", row.traceparent))
        try:
            reported = partial(self._reported, row)
            self._producer.produce(
                self._topic, row.event, row.subject_id.encode(), headers=headers, on_delivery=reported
            )
        except BufferError:
            self.failures["queue full"] += 1
        except KafkaException as error:
            self.failed(error.args[0])
        else:
            self.on_the_way += 1

    def _reported(self, row: OutboxRow, error: KafkaError | None, message: Message) -> None:
        self.on_the_way -= 1
        if error is not None:
            self.failed(error)
            return
        partition, offset = (-1 if place is None else place for place in (message.partition(), message.offset()))
        self.reports.append(Published(row, partition, offset))
        self._hand_over_next(row.subject_id)

    def failed(self, error: KafkaError) -> None:
        self.failures[error.name()] += 1
        self.fatal = self.fatal or error.fatal() or error.code() == KafkaError._FATAL


def connection(bootstrap_servers: str) -> dict[str, Any]:
    """How every client of ours connects."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "reconnect.backoff.max.ms": 1000,
        "socket.timeout.ms": 10_000,
        "log.connection.close": False,
    }


def _heard(error: KafkaError) -> None:
    log.warning("Kafka: %s", error.str())
