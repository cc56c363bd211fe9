"""No card number outside ciphertext and no CVV at rest, anywhere (TRUST I10): hundreds of unique ones go through every
kind of end, then every sink is searched; and a planted one is found in each, so the search can fail."""

import base64
import contextlib
import hashlib
import random
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import redis
from confluent_kafka import Producer

from cleartill.adapters.kafka import tail
from cleartill.domain.card import passes_luhn
from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.postgres import EmbeddedPostgres, binaries
from cleartill.embedded.scratch import free_port
from e2e.conftest import running
from service import Service, charge_body, eventually

HEADERS = {"Authorization": f"Bearer {DEMO_API_KEY}"}
CVV = re.compile(rb"(?i)(cvv|cvc|security_code)[\"'\\]*\s*[:=]\s*[\"'\\]*\d{3,4}\b")
SINKS = ("database", "logs", "postgres log", "traces", "statsd", "kafka", "redis", "answers")


def unique_pans(count: int, seed: int) -> list[str]:
    chance, made = random.Random(seed), set[str]()
    while len(made) < count:
        pan = "4539" + "".join(str(chance.randrange(10)) for _ in range(12))
        if passes_luhn(pan):
            made.add(pan)
    return sorted(made)


def disguises(pan: str) -> Iterator[bytes]:
    """The forms a card number may leak in."""
    yield pan.encode()
    groups = [pan[at : at + 4] for at in range(0, 16, 4)]
    yield from (" ".join(groups).encode(), "-".join(groups).encode())
    yield pan.encode().hex().encode()
    yield hashlib.sha256(pan.encode()).hexdigest().encode()
    for shift in range(3):  # base64 of a text that holds it, at each alignment
        whole = base64.b64encode(b"x" * shift + pan.encode())
        yield whole[4 if shift else 0 : -4]


class Ears:
    """Where traces and metrics go: everything that arrives is kept as bytes."""

    def __init__(self) -> None:
        ears, self.traces, self.metrics = self, bytearray(), bytearray()

        class Agent(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                ears.traces += self.rfile.read(int(self.headers.get("Content-Length", 0)))
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
        self.threads = [threading.Thread(target=self.agent.serve_forever), threading.Thread(target=self._listen)]
        for thread in self.threads:
            thread.start()

    def _listen(self) -> None:
        while (heard := self.statsd.recv(65536)) != b"end":
            self.metrics += heard + b"\n"

    def close(self) -> None:
        self.agent.shutdown()
        self.agent.server_close()
        self.statsd.sendto(b"end", self.statsd.getsockname())
        for thread in self.threads:
            thread.join()
        self.statsd.close()


@pytest.fixture
def ears() -> Iterator[Ears]:
    made = Ears()
    yield made
    made.close()


def spend(service: Service, pans: list[str]) -> bytes:
    """Every kind of end; what callers were answered."""
    answers = bytearray()

    def post(body: dict[str, Any], **headers: str) -> None:
        with contextlib.suppress(httpx.TransportError):
            answer = caller.post("/api/v1/payments/process", json=body, headers=headers)
            answers.extend(answer.content + str(answer.headers).encode())

    with httpx.Client(base_url=service.apis[0], headers=HEADERS, timeout=15) as caller:
        for turn, pan in enumerate(pans):
            body = charge_body(pan)
            match turn % 6:
                case 0:
                    post(body)  # captured
                case 1:
                    post({**body, "currency": "ZZZ"})  # 422 with a good card in it
                case 2:
                    post({**body, "card_data": {**body["card_data"], "card_number": pan[:-1] + "x"}})
                case 3:
                    post({**body, "description": f"card {pan}", "metadata": {pan: pan}})
                case 4:
                    post(body, **{"Idempotency-Key": pan, "X-Request-ID": pan})
                case 5:
                    answers.extend(caller.get(f"/api/v1/payments/{pan}?card={pan}").content)
        service.control(fault_rates={"timeout_after": 0.5, "error500": 0.5})
        for pan in pans[:2]:
            post(charge_body(pan))
        service.control(fault_rates={}, delay_ms=1500)
        doomed = threading.Thread(target=post, args=(charge_body(pans[0]),))
        doomed.start()
        eventually(lambda: service.rows("SELECT 1 FROM attempts WHERE status = 'open' AND tries = 0"))
        service.kill("api1")
        doomed.join()
        service.control(delay_ms=0)
    return bytes(answers)


def sinks(service: Service, ears: Ears, answers: bytes, postgres_log: Path) -> dict[str, bytes]:
    dumped = subprocess.run(
        [binaries() / "pg_dump", service.database_url], capture_output=True, check=True, timeout=60
    ).stdout
    messages = tail(
        service.environment["KAFKA_BOOTSTRAP_SERVERS"],
        service.environment["KAFKA_TOPIC"],
        from_beginning=True,
        follow=False,
    )
    store = redis.Redis.from_url(service.environment["REDIS_URL"])
    kept = b"".join(key + (store.dump(key) or b"") for key in store.scan_iter())
    store.close()
    return {
        "database": dumped,
        "logs": b"".join(file.read_bytes() for file in service.folder.glob("*.log")),
        "postgres log": postgres_log.read_bytes(),
        "traces": bytes(ears.traces),
        "statsd": bytes(ears.metrics),
        "kafka": "".join(map(str, messages)).encode(),
        "redis": kept,
        "answers": answers,
    }


def plant(service: Service, ears: Ears, pan: str, postgres_log: Path) -> bytes:
    """Put a card number where none may be, in every sink; what a careless answer would have said."""
    connection = psycopg2.connect(service.database_url)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute("UPDATE merchants SET settings = jsonb_build_object('note', %s)", (pan,))
    with service.log("api1").open("ab") as log:
        log.write(" ".join(pan[at : at + 4] for at in range(0, 16, 4)).encode())
    with postgres_log.open("ab") as log:
        log.write(pan.encode())
    httpx.put(
        f"http://127.0.0.1:{ears.agent.server_port}/v0.4/traces", content=hashlib.sha256(pan.encode()).hexdigest()
    )
    ears.statsd.sendto(base64.b64encode(b"ab" + pan.encode()), ears.statsd.getsockname())
    eventually(lambda: base64.b64encode(b"ab" + pan.encode()) in ears.metrics)
    producer = Producer({"bootstrap.servers": service.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    producer.produce(service.environment["KAFKA_TOPIC"], key=pan, value="{}")
    assert producer.flush(10) == 0
    store = redis.Redis.from_url(service.environment["REDIS_URL"])
    store.set("planted", pan.encode().hex())
    store.close()
    return pan.encode()


def found(pans: list[str], text: bytes) -> list[str]:
    return [pan for pan in pans if any(form in text for form in disguises(pan))]


def test_no_card_number_anywhere_and_a_planted_one_everywhere(
    postgres: EmbeddedPostgres, stores: dict[str, str], scratch: Path, ears: Ears
) -> None:
    telemetry = {
        "DD_TRACE_ENABLED": "true",
        "DD_METRICS_ENABLED": "true",
        "DD_TRACE_AGENT_PORT": str(ears.agent.server_port),
        "DD_DOGSTATSD_PORT": str(ears.statsd.getsockname()[1]),
        "DEBUG": "true",
    }
    pans, planted = unique_pans(300, seed=7), unique_pans(301, seed=8)[-1:]
    with running(postgres, stores, scratch, **telemetry) as service:
        answers = spend(service, pans)
        eventually(lambda: not service.rows("SELECT 1 FROM outbox WHERE published_at IS NULL"))
        eventually(lambda: not service.rows("SELECT 1 FROM attempts WHERE status = 'open'"))
        service.kill("worker", 15)
        seen = sinks(service, ears, answers, scratch / "postgres.log")
        assert all(seen[sink] for sink in SINKS if sink != "redis")
        assert b"payment.charge" in seen["traces"]
        assert b"cleartill.payment.count" in seen["statsd"]
        assert {sink: found(pans, text) for sink, text in seen.items() if found(pans, text)} == {}
        assert [sink for sink, text in seen.items() if CVV.search(text)] == []
        careless = plant(service, ears, planted[0], scratch / "postgres.log")
        after = sinks(service, ears, answers + careless, scratch / "postgres.log")
        assert [sink for sink in SINKS if not found(planted, after[sink])] == []
