"""Kafkas that can be taken away and brought back, and what is found on them."""

import ctypes
import json
import subprocess
from collections import defaultdict
from pathlib import Path

from confluent_kafka import cimpl

from cleartill.adapters.kafka_tail import tail
from cleartill.ports import OutboxRow

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kafka_broker"
PRODUCE, INIT_PRODUCER_ID = 0, 22  # Kafka protocol, API keys
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


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


def row(subject_id: str, seq: int, padding: int = 0) -> OutboxRow:
    event = {"specversion": "1.0", "subject": subject_id, "sequence": seq, "data": "x" * padding}
    return OutboxRow("merchant_1", subject_id, seq, json.dumps(event).encode(), "payment.created", TRACEPARENT)


def stream(subjects: int, each: int) -> list[OutboxRow]:
    """Facts of many payments, mixed, in order per payment."""
    return [row(f"pay_{number}", seq) for seq in range(1, each + 1) for number in range(subjects)]


def on_the_log(bootstrap: str, topic: str) -> dict[str, list[int]]:
    """Sequences by key, as a reader meets them."""
    found = defaultdict(list)
    for message in tail(bootstrap, topic, from_beginning=True, follow=False):
        found[message["key"]].append(message["event"]["sequence"])
    return found


def without_repeats(sequences: list[int]) -> list[int]:
    """What a consumer keeps that drops everything not above the last it saw."""
    kept = [0]
    for sequence in sequences:
        if sequence > kept[-1]:
            kept.append(sequence)
    return kept[1:]
