"""The publisher and the reader on a mock cluster of three brokers, and on a real broker if KAFKA_REAL_BOOTSTRAP names
the one that `scripts/kafka_broker` started: the same suite, which ends and restarts either."""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from threading import Timer
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition, cimpl

from cleartill.adapters.kafka import KafkaPublisher, tail
from cleartill.domain.errors import Unavailable
from cleartill.ports import OutboxRow, Published

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka_broker"
REAL = os.environ.get("KAFKA_REAL_BOOTSTRAP")
PRODUCE, INIT_PRODUCER_ID = 0, 22  # Kafka protocol, API keys
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MAX_ROUNDS = 100


class MockKafka:
    """librdkafka's mock cluster, in this process, with its faults in reach."""

    brokers = (1, 2, 3)

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(cimpl.__file__)
        self._lib.rd_kafka_new.restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        self._client = ctypes.c_void_p(self._lib.rd_kafka_new(0, None, None, 0))
        self._cluster = ctypes.c_void_p(self._lib.rd_kafka_mock_cluster_new(self._client, len(self.brokers)))
        self.bootstrap = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def down(self) -> None:
        for broker in self.brokers:
            self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self) -> None:
        for broker in self.brokers:
            self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker)

    def create(self, topic: str) -> None:
        self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), 4, 3)

    def refuse(self, request: int, *errors: int) -> None:
        """The next requests of this kind get these answers."""
        self._lib.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(request), ctypes.c_size_t(len(errors)), (ctypes.c_int * len(errors))(*errors)
        )

    def end(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


class RealKafka:
    """Apache Kafka, ended by SIGKILL."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def down(self) -> None:
        subprocess.run([SCRIPT, "kill"], check=True)

    def up(self) -> None:
        port = self.bootstrap.rpartition(":")[2]
        subprocess.run([SCRIPT, "start", "--port", port], check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        """It goes on for the next test."""


Kafka = MockKafka | RealKafka


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    kafka = MockKafka()
    yield kafka
    kafka.end()


@pytest.fixture(params=["mock", "real"] if REAL else ["mock"])
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    kafka = RealKafka(str(REAL)) if request.param == "real" else MockKafka()
    yield kafka
    kafka.end()


@pytest.fixture
def topic() -> str:
    return f"events-{uuid4().hex}"


@pytest.fixture
async def publisher_on(topic: str) -> AsyncIterator[Callable[[Kafka], KafkaPublisher]]:
    made: list[KafkaPublisher] = []

    def make(kafka: Kafka, watch: object = None, message_timeout_s: float = 10) -> KafkaPublisher:
        made.append(KafkaPublisher(kafka.bootstrap, topic, message_timeout_s=message_timeout_s, watch=watch))
        return made[-1]

    yield make
    for publisher in made:
        await asyncio.to_thread(publisher.close)


class Counts(dict[str, float]):
    def count(self, name: str, value: float = 1, **tags: str) -> None:
        self[name] = self.get(name, 0) + value


def row(subject_id: str, seq: int, padding: int = 0) -> OutboxRow:
    event = {"specversion": "1.0", "subject": subject_id, "sequence": seq, "data": "x" * padding}
    return OutboxRow("merchant_1", subject_id, seq, json.dumps(event).encode(), "payment.created", TRACEPARENT)


def stream(subjects: int, each: int) -> list[OutboxRow]:
    """Facts of many payments, mixed, in order per payment."""
    return [row(f"pay_{number}", seq) for seq in range(1, each + 1) for number in range(subjects)]


def on_the_log(kafka: Kafka, topic: str) -> dict[str, list[int]]:
    """Sequences by key, as a reader meets them."""
    found = defaultdict(list)
    for message in tail(kafka.bootstrap, topic, from_beginning=True, follow=False):
        found[message["key"]].append(message["event"]["sequence"])
    return found


def without_repeats(sequences: list[int]) -> list[int]:
    """What a consumer keeps that drops everything not above the last it saw."""
    kept = [0]
    for sequence in sequences:
        if sequence > kept[-1]:
            kept.append(sequence)
    return kept[1:]


async def drain(
    publisher: KafkaPublisher, rows: list[OutboxRow], after_round: Callable[[int], None] = lambda _: None
) -> None:
    """Publishes as the worker does: what was not reported is tried again, in order."""
    pending = list(rows)
    for number in range(MAX_ROUNDS):
        reported = {id(report.row) for report in await publisher.publish(pending[:300])}
        pending = [row for row in pending if id(row) not in reported]
        if not pending:
            return
        after_round(number)
    pytest.fail(f"{len(pending)} events were never published")


async def test_a_row_is_a_cloud_event_under_its_subject(kafka: Kafka, topic: str, publisher_on) -> None:
    sent = row("pay_1", 1)
    [report] = await publisher_on(kafka).publish([sent])
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic})
    consumer.assign([TopicPartition(topic, report.partition, OFFSET_BEGINNING)])
    message = consumer.poll(30)
    consumer.close()
    assert report == Published(sent, message.partition(), message.offset())
    assert (message.key(), message.value()) == (b"pay_1", sent.event)
    assert message.headers() == [
        ("content-type", b"application/cloudevents+json; charset=UTF-8"),
        ("traceparent", TRACEPARENT.encode()),
    ]


async def test_events_of_a_subject_keep_their_order(kafka: Kafka, topic: str, publisher_on) -> None:
    rows = stream(subjects=20, each=10)
    reports = await publisher_on(kafka).publish(rows)
    assert {id(report.row) for report in reports} == {id(row) for row in rows}
    assert on_the_log(kafka, topic) == {f"pay_{number}": list(range(1, 11)) for number in range(20)}


async def test_absence_is_waited_out_and_nothing_is_lost(kafka: Kafka, topic: str, publisher_on) -> None:
    publisher = publisher_on(kafka, message_timeout_s=1)
    await drain(publisher, [row("pay_1", 1)])
    kafka.down()
    try:
        assert await publisher.publish([row("pay_1", 2), row("pay_2", 1)]) == []
    finally:
        kafka.up()
    await drain(publisher, [row("pay_1", 2), row("pay_2", 1)])
    assert {key: without_repeats(seen) for key, seen in on_the_log(kafka, topic).items()} == {
        "pay_1": [1, 2],
        "pay_2": [1],
    }


async def test_a_broker_lost_in_mid_stream_costs_neither_events_nor_order(
    kafka: Kafka, topic: str, publisher_on
) -> None:
    back: list[asyncio.Task[None]] = []

    async def restart() -> None:
        await asyncio.to_thread(kafka.down)
        await asyncio.to_thread(kafka.up)

    def lose(number: int) -> None:
        if number == 1:
            back.append(asyncio.create_task(restart()))

    publisher = publisher_on(kafka, message_timeout_s=1)
    await drain(publisher, stream(subjects=60, each=40), after_round=lose)
    await back[0]
    seen = on_the_log(kafka, topic)
    assert {key: without_repeats(numbers) for key, numbers in seen.items()} == {
        f"pay_{number}": list(range(1, 41)) for number in range(60)
    }


async def test_a_row_that_cannot_be_sent_holds_back_its_own_subject_only(
    kafka: Kafka, topic: str, publisher_on
) -> None:
    rows = [row("pay_1", 1), row("pay_1", 2, padding=2_000_000), row("pay_1", 3), row("pay_2", 1), row("pay_2", 2)]
    counts = Counts()
    reports = await publisher_on(kafka, counts).publish(rows)
    assert {(report.row.subject_id, report.row.seq) for report in reports} == {("pay_1", 1), ("pay_2", 1), ("pay_2", 2)}
    assert on_the_log(kafka, topic) == {"pay_1": [1], "pay_2": [1, 2]}
    assert counts == {"kafka.produced": 3, "kafka.failed": 2}


async def test_ping_tells_whether_a_broker_answers(mock: MockKafka, publisher_on) -> None:
    publisher = publisher_on(mock)
    await publisher.ping()
    mock.down()
    with pytest.raises(Unavailable):
        await publisher.ping()
    mock.up()
    await publisher.ping()


async def test_a_cancelled_publish_sends_no_more_and_leaves_a_publisher_that_works(
    mock: MockKafka, topic: str, publisher_on
) -> None:
    publisher = publisher_on(mock, message_timeout_s=1000)
    mock.down()
    hanging = asyncio.create_task(publisher.publish([row("pay_1", 1)]))
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    with pytest.raises(Unavailable):
        await publisher.ping()
    mock.up()
    await drain(publisher, [row("pay_2", 1), row("pay_2", 2)])
    assert on_the_log(mock, topic) == {"pay_2": [1, 2]}


async def test_closing_gives_up_what_hangs(mock: MockKafka, topic: str) -> None:
    publisher = KafkaPublisher(mock.bootstrap, topic, message_timeout_s=1000)
    mock.down()
    hanging = asyncio.create_task(publisher.publish([row("pay_1", 1)]))
    await asyncio.sleep(0)
    await asyncio.to_thread(publisher.close)
    assert await hanging == []


@pytest.mark.parametrize("error", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT])
async def test_a_passing_refusal_is_tried_again_in_order(mock: MockKafka, topic: str, publisher_on, error: int) -> None:
    publisher = publisher_on(mock)
    mock.refuse(PRODUCE, error, error)
    await drain(publisher, stream(subjects=5, each=5))
    seen = on_the_log(mock, topic)
    assert {key: without_repeats(numbers) for key, numbers in seen.items()} == {
        f"pay_{number}": [1, 2, 3, 4, 5] for number in range(5)
    }


async def test_a_lasting_refusal_leaves_the_row_out_and_the_later_ones_of_its_subject(
    mock: MockKafka, topic: str, publisher_on
) -> None:
    publisher = publisher_on(mock)
    assert len(await publisher.publish([row("pay_1", 1)])) == 1
    mock.refuse(PRODUCE, KafkaError.INVALID_RECORD)
    assert await publisher.publish([row("pay_1", 2), row("pay_1", 3)]) == []
    assert on_the_log(mock, topic) == {"pay_1": [1]}
    await drain(publisher, [row("pay_1", 2), row("pay_1", 3)])
    assert on_the_log(mock, topic) == {"pay_1": [1, 2, 3]}


async def test_after_a_fatal_error_the_producer_is_made_anew(mock: MockKafka, topic: str, publisher_on) -> None:
    publisher = publisher_on(mock)
    mock.refuse(INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert await publisher.publish([row("pay_1", 1)]) == []
    assert len(await publisher.publish([row("pay_1", 1)])) == 1
    assert on_the_log(mock, topic) == {"pay_1": [1]}


async def test_the_reader_stops_at_its_limit_and_shows_what_is_no_event(
    mock: MockKafka, topic: str, publisher_on
) -> None:
    rubbish = OutboxRow("merchant_1", "pay_1", 2, b"\xff not JSON", "payment.created", None)
    await publisher_on(mock).publish([row("pay_1", 1), rubbish, row("pay_1", 3)])
    first, second = tail(mock.bootstrap, topic, from_beginning=True, limit=2)
    assert (first["key"], first["offset"], first["event"]["sequence"]) == ("pay_1", 0, 1)
    assert (second["offset"], second["event"]) == (1, None)


async def test_no_rows_need_no_broker(publisher_on) -> None:
    nowhere = RealKafka("127.0.0.1:1")
    assert await publisher_on(nowhere).publish([]) == []


def test_ctrl_c_ends_the_reader(mock: MockKafka, topic: str) -> None:
    mock.create(topic)
    interrupt = Timer(0.5, signal.raise_signal, [signal.SIGINT])  # nothing comes, so it meets the reader waiting
    interrupt.start()
    assert list(tail(mock.bootstrap, topic)) == []
    interrupt.join()


async def test_the_reader_says_so_when_there_is_nothing_to_read(mock: MockKafka, topic: str) -> None:
    with pytest.raises(Unavailable):
        next(tail(mock.bootstrap, topic))
    mock.down()
    with pytest.raises(Unavailable):
        next(tail(mock.bootstrap, topic))
