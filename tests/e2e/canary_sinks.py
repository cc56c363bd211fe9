"""Every place where a card number might be written down, read whole as bytes; and how to write one there."""

import base64
import contextlib
import gzip
import hashlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psycopg2
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from cleartill.embedded.postgres import EmbeddedPostgres, binaries
from cleartill.embedded.scratch import free_port
from e2e.overheard import Receiver
from service import Service, eventually

SETTLED_S = 1.0
"""A file whose time lies so much before the test began was not touched by it."""


class Ears:
    """Where traces, metrics and what is said to Valkey go: everything that arrives is kept as bytes."""

    def __init__(self, redis_url: str) -> None:
        ears, self.traces, self.metrics, self.commands = self, bytearray(), bytearray(), bytearray()

        class Agent(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                zipped = self.headers.get("Content-Encoding") == "gzip"
                ears.traces += str(self.headers).encode() + (gzip.decompress(body) if zipped else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_POST(self) -> None:
                self.do_PUT()

            def do_GET(self) -> None:
                self.do_PUT()

            def log_message(self, *_: object) -> None: ...

        self.agent = ThreadingHTTPServer(("127.0.0.1", free_port()), Agent)
        self.statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.statsd.bind(("127.0.0.1", free_port()))
        where = redis.connection.parse_url(redis_url)
        self.monitor = socket.create_connection((where["host"], where["port"]))
        self.monitor.sendall(b"MONITOR\r\n")
        serving = (self.agent.serve_forever, self._hear_metrics, self._hear_commands)
        self.threads = [threading.Thread(target=one) for one in serving]
        for thread in self.threads:
            thread.start()

    def _hear_metrics(self) -> None:
        while (heard := self.statsd.recv(65536)) != b"end":
            self.metrics += heard + b"\n"

    def _hear_commands(self) -> None:
        while heard := self.monitor.recv(65536):
            self.commands += heard

    def close(self) -> None:
        self.agent.shutdown()
        self.agent.server_close()
        self.statsd.sendto(b"end", self.statsd.getsockname())
        self.monitor.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.statsd.close()
        self.monitor.close()


@dataclass
class Sinks:
    """All that a service has left behind since it was made; `answers` is what its callers were told."""

    service: Service
    postgres: EmbeddedPostgres
    scratch: Path
    ears: Ears
    receiver: Receiver
    answers: bytearray = field(default_factory=bytearray)
    since: float = field(default_factory=time.time)

    @property
    def environment(self) -> dict[str, str]:
        return self.service.environment

    @property
    def temporary(self) -> Path:
        return Path(self.environment["TMPDIR"])

    @property
    def _data(self) -> Path:
        return self.scratch / "postgres" / "data"

    def read(self) -> dict[str, Callable[[], Iterator[bytes]]]:
        """By name, how to read each of them, piece by piece."""
        with contextlib.closing(psycopg2.connect(self.postgres.admin_url)) as admin:
            admin.autocommit = True
            admin.cursor().execute("CHECKPOINT")
        return {
            "database": self._dumped,
            "data files": lambda: self._files(self._data, but="pg_wal"),
            "WAL": lambda: self._files(self._data / "pg_wal"),
            "PostgreSQL's log": lambda: iter([(self.scratch / "postgres.log").read_bytes()]),
            "Valkey": self._valkey,
            "Kafka": self._messages,
            "traces": lambda: iter([bytes(self.ears.traces)]),
            "statsd": lambda: iter([bytes(self.ears.metrics)]),
            "webhooks": lambda: (str(headers).encode() + body for headers, body in list(self.receiver.letters)),
            "answers": lambda: iter([bytes(self.answers)]),
            "output": lambda: (log.read_bytes() for log in self._logs()),
            "temporary files": self._temporary,
        }

    def _files(self, folder: Path, but: str = "") -> Iterator[bytes]:
        for file in folder.rglob("*"):
            if file.is_file() and but not in file.parts and file.stat().st_mtime > self.since - SETTLED_S:
                yield file.read_bytes()

    def _dumped(self) -> Iterator[bytes]:
        command = [binaries() / "pg_dump", self.service.database_url]
        yield subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def _valkey(self) -> Iterator[bytes]:
        """What it was told, and what it would write to its file, uncompressed."""
        yield bytes(self.ears.commands)
        with contextlib.closing(redis.Redis.from_url(self.environment["REDIS_URL"])) as store:
            store.config_set("rdbcompression", "no")
            store.save()
            told = store.config_get("*")
            yield (Path(told["dir"]) / told["dbfilename"]).read_bytes()

    def _messages(self) -> Iterator[bytes]:
        """Keys, headers and values, from the oldest on."""
        servers, topic = self.environment["KAFKA_BOOTSTRAP_SERVERS"], self.environment["KAFKA_TOPIC"]
        consumer = Consumer({"bootstrap.servers": servers, "group.id": "canary", "enable.partition.eof": True})
        with contextlib.closing(consumer):
            left = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
            consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
            end = time.monotonic() + 30
            while left and time.monotonic() < end:
                for message in consumer.consume(1000, timeout=0.1):
                    if message.error() is None:
                        yield b"\n".join(
                            (message.key() or b"", str(message.headers()).encode(), message.value() or b"")
                        )
                    else:
                        assert message.error().code() == KafkaError._PARTITION_EOF
                        left.discard(message.partition())
            assert not left

    def _logs(self) -> Iterator[Path]:
        """Of all processes: ours, the bank's, and the stores'."""
        yield from self.service.folder.glob("*.log")
        yield from (self.scratch / part / f"{part}.log" for part in ("valkey", "kafka"))

    def _temporary(self) -> Iterator[bytes]:
        """All else that the processes wrote where they work; the bank's own book may hold what a bank holds."""
        for file in (*self.service.folder.rglob("*"), *self.temporary.rglob("*")):
            if file.is_file() and file.suffix != ".log" and not file.name.startswith("bank.jsonl"):
                yield file.read_bytes()

    # ── and a careless service's work ─────────────────────────────────────────────────────────────────────────────────

    def plant(self, pans: dict[str, str]) -> None:
        """The number of each sink goes there, and nowhere else where that can be: now this way, now that."""
        said = {sink: pan.encode() for sink, pan in pans.items()}
        with contextlib.closing(psycopg2.connect(self.service.database_url)) as connection:
            cursor = connection.cursor()
            note = "UPDATE merchants SET settings = jsonb_build_object('note', %s::text)"
            cursor.execute(note, (pans["data files"],))
            connection.rollback()  # what was never committed stands in the files all the same
            cursor.execute(note, (pans["database"],))
            connection.commit()
            cursor.execute("SELECT pg_logical_emit_message(false, 'note', %s)", (pans["WAL"],))
            connection.commit()
            with contextlib.suppress(psycopg2.Error):
                cursor.execute("SELECT CAST(%s AS integer)", (pans["PostgreSQL's log"],))  # it says which is too large
        with contextlib.closing(redis.Redis.from_url(self.environment["REDIS_URL"])) as store:
            store.set("planted", said["Valkey"].hex(), px=1)
        producer = Producer({"bootstrap.servers": self.environment["KAFKA_BOOTSTRAP_SERVERS"]})
        headers = [("tracestate", said["Kafka"])]
        producer.produce(self.environment["KAFKA_TOPIC"], key="planted", value="{}", headers=headers)
        assert producer.flush(10) == 0
        agent = f"http://127.0.0.1:{self.ears.agent.server_port}/v0.4/traces"
        httpx.put(agent, content=gzip.compress(_digest(said["traces"])), headers={"Content-Encoding": "gzip"})
        metric = base64.b64encode(b"ab" + said["statsd"])
        self.ears.statsd.sendto(metric, self.ears.statsd.getsockname())
        httpx.post(self.receiver.url, content="%20".join(_fours(pans["webhooks"])))
        self.answers += " ".join(_fours(pans["answers"])).encode()
        with self.service.log("api1").open("ab") as log:
            log.write("-".join(_fours(pans["output"])).encode())
        (Path(self.environment["TMPDIR"]) / "core").write_bytes(
            b"\0\1" + said["temporary files"].decode().encode("utf-16-le")
        )
        eventually(lambda: metric in self.ears.metrics and said["Valkey"].hex().encode() in self.ears.commands)


def _digest(pan: bytes) -> bytes:
    return hashlib.sha256(pan).hexdigest().encode()


def _fours(pan: str) -> list[str]:
    return [pan[at : at + 4] for at in range(0, 16, 4)]
