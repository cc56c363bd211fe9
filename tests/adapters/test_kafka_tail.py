"""The reader: what it shows, where it begins, how it ends."""

import json
import signal
from threading import Timer

import pytest
from confluent_kafka import Producer

from cleartill.adapters.kafka_tail import tail
from cleartill.domain.errors import Unavailable
from fakes.kafka import MockKafka


def put(mock: MockKafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": mock.bootstrap})
    for value in values:
        producer.produce(topic, value, b"pay_1")
    assert producer.flush(30) == 0


def event(sequence: int) -> bytes:
    return json.dumps({"specversion": "1.0", "sequence": sequence}).encode()


def test_a_message_is_shown_with_its_place_its_key_and_its_event(mock: MockKafka, topic: str) -> None:
    put(mock, topic, event(1), event(2))
    first, second = tail(mock.bootstrap, topic, from_beginning=True, follow=False)
    assert first == {"partition": second["partition"], "offset": 0, "key": "pay_1", "event": json.loads(event(1))}
    assert (second["offset"], second["event"]["sequence"]) == (1, 2)


def test_it_stops_at_its_limit(mock: MockKafka, topic: str) -> None:
    put(mock, topic, event(1), event(2), event(3))
    assert [shown["offset"] for shown in tail(mock.bootstrap, topic, from_beginning=True, limit=2)] == [0, 1]


def test_it_begins_at_the_end_unless_told(mock: MockKafka, topic: str) -> None:
    put(mock, topic, event(1))
    assert list(tail(mock.bootstrap, topic, follow=False)) == []


@pytest.mark.parametrize("value", [b"", b"\xff", b"not JSON", b"[1]", b"1", b'"text"', b"null", b'{"cut": '], ids=ascii)
def test_what_is_no_event_is_shown_as_none(mock: MockKafka, topic: str, value: bytes) -> None:
    put(mock, topic, value, event(2))
    first, second = tail(mock.bootstrap, topic, from_beginning=True, follow=False)
    assert (first["event"], second["event"]["sequence"]) == (None, 2)


def test_ctrl_c_ends_it(mock: MockKafka, topic: str) -> None:
    interrupt = Timer(0.5, signal.raise_signal, [signal.SIGINT])  # nothing comes, so it meets the reader waiting
    interrupt.start()
    assert list(tail(mock.bootstrap, topic)) == []
    interrupt.join()


def test_it_says_so_when_there_is_nothing_to_read() -> None:
    kafka = MockKafka()
    try:
        with pytest.raises(Unavailable, match="does not exist"):
            next(tail(kafka.bootstrap, "nobodys"))
        kafka.down()
        with pytest.raises(Unavailable, match="cannot be reached"):
            next(tail(kafka.bootstrap, "nobodys"))
    finally:
        kafka.end()
