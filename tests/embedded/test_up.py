"""`up` with cleartill's own processes played by a stub: order, addresses, restarts, refusals, and the end of it all."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cleartill.embedded.beside import data_of_the_running
from cleartill.embedded.scratch import PORT_LIMIT, free_port, is_free, scratch_dir

PATIENCE_S = 60.0
STUB = """
import http.server, json, os, pathlib, sys, time
verb, *rest = sys.argv[1:]
names = ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "BANKING_API_URL", "API_PORT", "DD_TRACE_ENABLED")
told = {"verb": verb, "rest": rest, "environment": {name: os.environ.get(name) for name in names}}
with pathlib.Path(sys.path[0], "calls").open("a") as calls:
    calls.write(json.dumps(told) + "\\n")
class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
if verb in ("bank", "serve"):
    http.server.ThreadingHTTPServer(("127.0.0.1", int(rest[rest.index("--port") + 1])), Fine).serve_forever()
if verb == "work":
    time.sleep(600)
"""
START = """
import sys
from pathlib import Path, PosixPath
from cleartill.embedded import agent, launcher
from cleartill.embedded.up import up
launcher.COMMAND = (sys.executable, {stub!r})
agent.ENVIRONMENT = Path({stub!r}) / "no place for an environment"
sys.exit(up(**{options!r}, data_dir=Path({data!r})))
"""


@pytest.fixture
def place():
    with scratch_dir() as directory:
        (directory / "stub.py").write_text(STUB)
        yield directory


def free_ports() -> dict[str, int]:
    return {f"{name}_port": free_port() for name in ("api", "bank", "postgres", "redis", "kafka", "agent", "statsd")}


@contextlib.contextmanager
def launched(place: Path, options: dict[str, object], **environment: str) -> Iterator[subprocess.Popen[str]]:
    code = START.format(stub=str(place / "stub.py"), options=options, data=str(place / "data"))
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(pid: int) -> bool:
    """Whether the process has ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ready(place: Path, process: subprocess.Popen[str]) -> dict[str, object]:
    """What this launcher's up.json says once it is there."""
    file = place / "data" / "up.json"
    pid = f'"up": {process.pid},'
    assert eventually(lambda: (file.exists() and pid in file.read_text()) or process.poll() is not None)
    assert process.poll() is None, process.stderr and process.stderr.read()
    assert file.stat().st_mode & 0o777 == 0o600
    found: dict[str, object] = json.loads(file.read_text())
    return found


def calls(place: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (place / "calls").read_text().splitlines()]


def test_everything_starts_in_order_and_ends_at_sigterm(place):
    ports = free_ports()
    with launched(place, ports) as process:
        told = ready(place, process)
        assert told["api"] == f"http://127.0.0.1:{ports['api_port']}"
        assert told["kafka"] == f"127.0.0.1:{ports['kafka_port']}"
        assert str(told["demo_api_key"]).startswith("sk_test_")
        assert set(told["pids"]) == {"up", "postgres", "redis", "kafka", "statsd", "bank", "api", "worker"}
        assert told["traces"] is None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"cleartill.payments:1|c", ("127.0.0.1", ports["statsd_port"]))
        assert eventually(lambda: Path(str(told["statsd"])).read_text() == "cleartill.payments:1|c\n")
        assert eventually(lambda: calls(place)[-1]["verb"] == "work")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "without traces" in said
    assert [call["verb"] for call in calls(place)] == ["bank", "migrate", "seed", "serve", "work"]
    bank = calls(place)[0]["rest"]
    assert bank[bank.index("--callback-url") + 1] == f"{told['api']}/webhooks/bank-callback"
    environment = calls(place)[-1]["environment"]
    assert environment["DATABASE_URL"] == told["postgres"]
    assert environment["API_PORT"] == str(ports["api_port"])
    assert environment["DD_TRACE_ENABLED"] == "false"
    assert all(gone(pid) for pid in told["pids"].values())
    assert not (place / "data" / "up.json").exists()


def test_killed_it_takes_everything_along_and_the_next_one_starts(place):
    ports = free_ports()
    with launched(place, ports) as process:
        pids = ready(place, process)["pids"]
        process.kill()
        process.wait()
    with launched(place, ports) as process:
        ready(place, process)
        assert all(gone(pid) for pid in pids.values())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_an_api_that_dies_is_started_again_and_told_in_up_json(place):
    with launched(place, free_ports()) as process:
        first = ready(place, process)["pids"]["api"]
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: ready(place, process)["pids"]["api"] != first)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert "api ended with code -9 and was started again" in said


def test_a_second_one_on_the_same_directory_is_refused(place):
    with launched(place, free_ports()) as first:
        ready(place, first)
        with launched(place, free_ports()) as second:
            _, said = second.communicate(timeout=PATIENCE_S)
            assert second.returncode == 2
            assert f"process {first.pid}" in said
        assert ready(place, first)["pids"]["up"] == first.pid
        first.send_signal(signal.SIGTERM)
        first.wait(PATIENCE_S)


@pytest.mark.parametrize("name", ["api", "bank", "postgres", "redis", "kafka", "agent"])
def test_a_taken_port_is_said_before_anything_starts(place, name):
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports[f"{name}_port"])), launched(place, ports) as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert f"port {ports[f'{name}_port']} on 127.0.0.1 is taken" in said
    assert not (place / "calls").exists()
    assert not (place / "data" / "postgres").exists()


def test_a_port_the_kernel_may_hand_out_is_refused(place):
    with launched(place, {**free_ports(), "api_port": PORT_LIMIT}) as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "--port: 32768 is not between 1 and 32767" in said


def test_what_the_environment_names_is_used_and_not_started(place):
    ports = free_ports()
    given = {
        "DATABASE_URL": "postgresql://someone@db.example/cleartill",
        "REDIS_URL": "redis://redis.example",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "BANKING_API_URL": "https://bank.example",
        "DD_AGENT_HOST": "agent.example",
    }
    with launched(place, ports, **given) as process:
        told = ready(place, process)
        assert eventually(lambda: calls(place)[-1]["verb"] == "work")
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert set(told["pids"]) == {"up", "api", "worker"}
    assert told["postgres"] == given["DATABASE_URL"]
    assert [call["verb"] for call in calls(place)] == ["migrate", "seed", "serve", "work"]
    assert given.items() >= {k: v for k, v in calls(place)[0]["environment"].items() if k in given}.items()
    assert is_free(ports["postgres_port"])


def test_ephemeral_is_found_where_it_was_started_and_leaves_nothing(place, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.delenv("CLEARTILL_DATA_DIR", raising=False)
    notes = place / "here" / ".cleartill"
    notes.parent.mkdir()
    with launched(place, {**free_ports(), "ephemeral": True, "notes": notes}) as process:
        assert eventually(lambda: data_of_the_running(notes) is not None)
        assert data_of_the_running(notes) in place.glob("cleartill-*")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert not notes.exists()
    notes.parent.rmdir()
    assert {entry.name for entry in place.iterdir()} == {"stub.py", "calls"}


def test_a_failed_migration_ends_it_with_its_words(place):
    (place / "stub.py").write_text("import sys\nsys.exit(sys.argv[1] == 'migrate' and 'no such column')\n")
    with launched(place, free_ports(), BANKING_API_URL="https://bank.example") as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "no such column" in said
