"""The publisher on a mock cluster of three brokers, and on a real broker if KAFKA_REAL_BOOTSTRAP names
the one that `scripts/kafka_broker` started: the same suite, which ends and restarts either."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from cleartill.adapters.kafka import KafkaPublisher
from cleartill.domain.errors import Unavailable
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.scratch import free_port
from cleartill.ports import OutboxRow, Published
from fakes.kafka import (
    INIT_PRODUCER_ID,
    PRODUCE,
    TRACEPARENT,
    Kafka,
    MockKafka,
    RealKafka,
    on_the_log,
    row,
    stream,
    without_repeats,
)

REAL = os.environ.get("KAFKA_REAL_BOOTSTRAP")
MAX_ROUNDS = 100


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
async def publisher_on(topic: str) -> AsyncIterator[Callable[[str], KafkaPublisher]]:
    made: list[KafkaPublisher] = []

    def make(bootstrap: str, watch: object = None, message_timeout_s: float = 10) -> KafkaPublisher:
        made.append(KafkaPublisher(bootstrap, topic, message_timeout_s=message_timeout_s, watch=watch))
        return made[-1]

    yield make
    for publisher in made:
        await asyncio.to_thread(publisher.close)


class Counts(dict[str, float]):
    def count(self, name: str, value: float = 1, **tags: str) -> None:
        self[name] = self.get(name, 0) + value


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
    [report] = await publisher_on(kafka.bootstrap).publish([sent])
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
    reports = await publisher_on(kafka.bootstrap).publish(rows)
    assert {id(report.row) for report in reports} == {id(row) for row in rows}
    assert on_the_log(kafka.bootstrap, topic) == {f"pay_{number}": list(range(1, 11)) for number in range(20)}


async def test_absence_is_waited_out_and_nothing_is_lost(kafka: Kafka, topic: str, publisher_on) -> None:
    publisher = publisher_on(kafka.bootstrap, message_timeout_s=1)
    await drain(publisher, [row("pay_1", 1)])
    kafka.down()
    try:
        assert await publisher.publish([row("pay_1", 2), row("pay_2", 1)]) == []
    finally:
        kafka.up()
    await drain(publisher, [row("pay_1", 2), row("pay_2", 1)])
    assert {key: without_repeats(seen) for key, seen in on_the_log(kafka.bootstrap, topic).items()} == {
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

    publisher = publisher_on(kafka.bootstrap, message_timeout_s=1)
    await drain(publisher, stream(subjects=60, each=40), after_round=lose)
    await back[0]
    seen = on_the_log(kafka.bootstrap, topic)
    assert {key: without_repeats(numbers) for key, numbers in seen.items()} == {
        f"pay_{number}": list(range(1, 41)) for number in range(60)
    }


async def test_a_frozen_broker_sees_repeats_at_worst(tmp_path: Path, topic: str, publisher_on) -> None:
    rows = stream(subjects=10, each=6)
    with EmbeddedKafka(tmp_path, free_port()) as broker:
        publisher = publisher_on(broker.bootstrap_servers, message_timeout_s=1)
        await drain(publisher, rows[:30])
        os.kill(broker.process.pid, signal.SIGSTOP)
        try:
            assert await publisher.publish(rows[30:]) == []
        finally:
            os.kill(broker.process.pid, signal.SIGCONT)
        await drain(publisher, rows[30:])
        seen = on_the_log(broker.bootstrap_servers, topic)
    assert {key: without_repeats(numbers) for key, numbers in seen.items()} == {
        f"pay_{number}": [1, 2, 3, 4, 5, 6] for number in range(10)
    }


async def test_a_row_that_cannot_be_sent_holds_back_its_own_subject_only(
    kafka: Kafka, topic: str, publisher_on
) -> None:
    rows = [row("pay_1", 1), row("pay_1", 2, padding=2_000_000), row("pay_1", 3), row("pay_2", 1), row("pay_2", 2)]
    counts = Counts()
    reports = await publisher_on(kafka.bootstrap, counts).publish(rows)
    assert {(report.row.subject_id, report.row.seq) for report in reports} == {("pay_1", 1), ("pay_2", 1), ("pay_2", 2)}
    assert on_the_log(kafka.bootstrap, topic) == {"pay_1": [1], "pay_2": [1, 2]}
    assert counts == {"kafka.produced": 3, "kafka.failed": 2}


async def test_ping_tells_whether_a_broker_answers(mock: MockKafka, publisher_on) -> None:
    publisher = publisher_on(mock.bootstrap)
    await publisher.ping()
    mock.down()
    with pytest.raises(Unavailable):
        await publisher.ping()
    mock.up()
    await publisher.ping()


async def test_a_cancelled_publish_sends_no_more_and_leaves_a_publisher_that_works(
    mock: MockKafka, topic: str, publisher_on
) -> None:
    publisher = publisher_on(mock.bootstrap, message_timeout_s=1000)
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
    assert on_the_log(mock.bootstrap, topic) == {"pay_2": [1, 2]}


async def test_closing_gives_up_what_hangs(mock: MockKafka, topic: str) -> None:
    publisher = KafkaPublisher(mock.bootstrap, topic, message_timeout_s=1000)
    mock.down()
    hanging = asyncio.create_task(publisher.publish([row("pay_1", 1)]))
    await asyncio.sleep(0)
    await asyncio.to_thread(publisher.close)
    assert await hanging == []


@pytest.mark.parametrize("error", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT])
async def test_a_passing_refusal_is_tried_again_in_order(mock: MockKafka, topic: str, publisher_on, error: int) -> None:
    publisher = publisher_on(mock.bootstrap)
    mock.refuse(PRODUCE, error, error)
    await drain(publisher, stream(subjects=5, each=5))
    seen = on_the_log(mock.bootstrap, topic)
    assert {key: without_repeats(numbers) for key, numbers in seen.items()} == {
        f"pay_{number}": [1, 2, 3, 4, 5] for number in range(5)
    }


async def test_a_lasting_refusal_leaves_the_row_out_and_the_later_ones_of_its_subject(
    mock: MockKafka, topic: str, publisher_on
) -> None:
    publisher = publisher_on(mock.bootstrap)
    assert len(await publisher.publish([row("pay_1", 1)])) == 1
    mock.refuse(PRODUCE, KafkaError.INVALID_RECORD)
    assert await publisher.publish([row("pay_1", 2), row("pay_1", 3)]) == []
    assert on_the_log(mock.bootstrap, topic) == {"pay_1": [1]}
    await drain(publisher, [row("pay_1", 2), row("pay_1", 3)])
    assert on_the_log(mock.bootstrap, topic) == {"pay_1": [1, 2, 3]}


async def test_a_row_the_broker_has_already_counts_as_delivered(mock: MockKafka, publisher_on) -> None:
    publisher = publisher_on(mock.bootstrap)
    mock.refuse(PRODUCE, KafkaError.DUPLICATE_SEQUENCE_NUMBER)
    [report] = await publisher.publish([row("pay_1", 1)])
    assert (report.row.seq, report.offset) == (1, -1)


async def test_after_a_fatal_error_the_producer_is_made_anew(mock: MockKafka, topic: str, publisher_on) -> None:
    publisher = publisher_on(mock.bootstrap)
    mock.refuse(INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert await publisher.publish([row("pay_1", 1)]) == []
    assert len(await publisher.publish([row("pay_1", 1)])) == 1
    assert on_the_log(mock.bootstrap, topic) == {"pay_1": [1]}


async def test_no_rows_need_no_broker(publisher_on) -> None:
    assert await publisher_on("127.0.0.1:1").publish([]) == []
