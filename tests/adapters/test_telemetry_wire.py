"""What really leaves the process for Datadog's agent, heard on loopback: ddtrace's traces and DogStatsD's packets."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest

from cleartill.telemetry.datadog.datagrams import Sample, parse
from cleartill.telemetry.metrics import Metrics, StatsdSink

T = TypeVar("T")

PROGRAM = """
import json, sys, threading
from cleartill.telemetry import telemetry
watched = telemetry(
    service="cleartill", env="test", version="1.2.3", agent_host="127.0.0.1", trace_port=int(sys.argv[1]),
    statsd_port=1, traces=sys.argv[2] == "on", metrics=False, keep_share=1.0, log_level="INFO", log_requests=True,
)
with watched.flights.background("payment.resolve") as origin:
    pass
import asyncio, http.client, logging, signal, sqlite3
said = {
    "trace_id": origin.trace_id, "span_id": origin.span_id, "ddtrace": "ddtrace" in sys.modules,
    "datadog": "datadog" in sys.modules, "threads": [thread.name for thread in threading.enumerate()],
    "signals": [signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGINT) is
        signal.default_int_handler, sys.excepthook.__module__],
    "patched": [str(found) for found in (asyncio.create_task, http.client.HTTPConnection.request, sqlite3.connect,
        logging.Logger.makeRecord) if hasattr(found, "__wrapped__") or "ddtrace" in getattr(found, "__module__", "")],
}
watched.close()
print(json.dumps(said), file=sys.stderr)
"""


class Agent(BaseHTTPRequestHandler):
    """Takes everything, and remembers it."""

    heard: list[tuple[str, bytes]]

    def do_PUT(self) -> None:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).heard.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"rate_by_service":{}}')

    do_POST = do_GET = do_PUT  # noqa: N815 - http.server chose the names

    def log_message(self, *_: Any) -> None: ...


def at_a_free_port(listen: Callable[[tuple[str, int]], T]) -> T:
    """What `listen` makes of the first address that is free."""
    for port in range(21_000, 21_200):
        try:
            return listen(("127.0.0.1", port))
        except OSError:
            continue
    raise AssertionError("no port is free")


def udp(address: tuple[str, int]) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind(address)
    except OSError:
        server.close()
        raise
    server.settimeout(10)
    return server


@pytest.fixture
def agent() -> Iterator[ThreadingHTTPServer]:
    Agent.heard = []
    server = at_a_free_port(lambda address: ThreadingHTTPServer(address, Agent))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def run(port: int, traces: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DD_", "_DD_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(port), traces],
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == b"" or json.loads(done.stdout.splitlines()[0])
    said: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return said


def test_a_trace_reaches_the_agent_and_nothing_else_does(agent: ThreadingHTTPServer) -> None:
    said = run(agent.server_address[1], "on")
    assert said["ddtrace"]
    assert said["patched"] == []
    assert said["signals"] == [True, True, "cleartill.telemetry.logs"]
    assert said["threads"] == ["MainThread", "log-outlet"]
    traces = [body for path, body in Agent.heard if path.endswith("/traces")]
    assert {path for path, _ in Agent.heard} <= {"/info", "/v0.4/traces", "/v0.5/traces"}
    (body,) = traces
    low, span = (bytes.fromhex(said["trace_id"][16:]), bytes.fromhex(said["span_id"]))
    for part in (b"payment.resolve", b"cleartill", b"1.2.3", said["trace_id"][:16].encode(), b"_dd.p.tid"):
        assert part in body, part
    for number in (low, span):
        assert b"\xcf" + number in body or b"\xce" + number[4:] in body


def test_switched_off_nothing_is_imported_and_nothing_is_sent(agent: ThreadingHTTPServer) -> None:
    said = run(agent.server_address[1], "off")
    assert not said["ddtrace"]
    assert not said["datadog"]
    assert said["threads"] == ["MainThread", "log-outlet"]
    assert Agent.heard == []


def test_packets_reach_the_agent_with_the_unified_tags() -> None:
    with at_a_free_port(udp) as server:
        sink = StatsdSink(
            host="127.0.0.1", port=server.getsockname()[1], service="cleartill", env="test", version="1.2.3"
        )
        metrics = Metrics(sink, strict=True)
        metrics.count("books.conflict")
        metrics.count("books.conflict", 2)
        metrics.gauge("breaker.state", 2, provider="bank")
        metrics.observe("provider.latency", 12.3456, provider="bank", operation="authorize", outcome="approved")
        sink.close()
        lines: set[str] = set()
        while len(lines) < 3:
            lines |= set(server.recv(65_535).decode().split())
    unified = "service:cleartill,env:test,version:1.2.3"
    assert lines == {
        f"cleartill.books.conflict:3|c|#{unified}",
        f"cleartill.breaker.state:2|g|#provider:bank,{unified}",
        f"cleartill.provider.latency:12.346|d|#provider:bank,operation:authorize,outcome:approved,{unified}",
    }


def test_every_value_of_a_distribution_arrives_many_to_a_line() -> None:
    """And no datagram is longer than a network carries in one piece, whatever the values and tags."""
    asked = dict.fromkeys(("provider", "operation"), "x" * 100)
    with at_a_free_port(udp) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sink = StatsdSink(
            host="127.0.0.1", port=server.getsockname()[1], service="cleartill", env="test", version="1.2.3"
        )
        metrics = Metrics(sink, strict=True)
        for number in range(500):
            metrics.observe("provider.latency", 123_456.789 + number, outcome="approved", **asked)
        sink.close()
        lines: list[Sample] = []
        while sum(len(line.values) for line in lines) < 500:
            datagram = server.recv(65_535)
            assert len(datagram) <= 1432
            lines += parse(datagram)
    assert len(lines) == 8
    assert [value for line in lines for value in line.values] == [
        round(123_456.789 + number, 3) for number in range(500)
    ]


def test_an_agent_that_is_away_harms_nobody() -> None:
    with at_a_free_port(udp) as server:
        port = server.getsockname()[1]
    sink = StatsdSink(host="127.0.0.1", port=port, service="cleartill", env="test", version="1.2.3")
    metrics = Metrics(sink, strict=True)
    for number in range(5000):
        metrics.observe("books.commit", number)
    sink.close()


LOGGING = """
import logging, warnings, threading
from cleartill.telemetry import telemetry
off = dict(traces=False, metrics=False, keep_share=1.0, log_level="INFO", log_requests=True)
watched = telemetry(service="s", env="test", version="1", agent_host="127.0.0.1", trace_port=1, statsd_port=1, **off)
logging.getLogger("uvicorn.access").info('GET /x?card=4111111111111111')
logging.getLogger("uvicorn.error").info("started")
logging.getLogger("sqlalchemy.engine").warning("row %s", {"pan": "4111 1111 1111 1111"})
warnings.warn("card 4111-1111-1111-1111")
def die(): raise ValueError("4111111111111111")
thread = threading.Thread(target=die)
thread.start()
thread.join()
die()
"""


def test_every_line_of_a_process_is_json_without_cards() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == b""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["logger"] for line in lines] == [
        "uvicorn.error",
        "sqlalchemy.engine",
        "py.warnings",
        "cleartill",
        "cleartill",
    ]
    assert lines[-1]["error"]["type"] == "ValueError"
    assert done.stdout.count(b"[PAN dropped]") == 4
    assert b"4111" not in done.stdout
