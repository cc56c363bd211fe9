"""The commands that ask: what they print, and how they end."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cleartill import cli

EVENT = {"type": "payment.captured", "time": "2026-01-01T00:00:00.000000Z", "data": {"amount": 10.0, "currency": "USD"}}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `up` runs here, and no setting is taken from a file."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unwell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An API that cannot take payments, since the bank is away."""
    health = {"status": "unavailable", "checks": {"bank": {"status": "down", "latency_ms": 1000.0}}}

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        monkeypatch.setenv("API_URL", f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.handle_request)
        serving.start()
        yield
        serving.join()


def test_doctor_names_the_part_that_is_away(unwell: None) -> None:
    told = CliRunner().invoke(cli.app, ["doctor"])

    assert told.exit_code == 1
    assert "is unavailable" in told.output
    assert "bank" in told.output


def test_doctor_says_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_URL", "http://127.0.0.1:1")
    told = CliRunner().invoke(cli.app, ["doctor"])

    assert (told.exit_code, "is away" in told.output) == (1, True)


def test_an_event_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    message = {"partition": 3, "offset": 28, "key": "pay_01kabcdefghjkmnpqrstvwxyz0", "event": EVENT}
    monkeypatch.setattr("cleartill.adapters.kafka_tail.tail", lambda *_, **__: iter([message]))
    told = CliRunner().invoke(cli.app, ["events", "tail"])

    assert told.output.split() == [EVENT["time"], EVENT["type"], message["key"], "10.0", "USD", "3:28"]
    assert told.output.count("\n") == 1
