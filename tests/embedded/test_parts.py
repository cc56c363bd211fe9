"""The embedded parts, really started: they serve, keep what they must, and leave nothing behind."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
import redis
from confluent_kafka import Consumer, Producer

from cleartill.embedded.child import Child, StartFailed
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.lock import InUse, hold
from cleartill.embedded.part import Part
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import PORT_LIMIT, free_port, is_free, scratch_dir
from cleartill.embedded.valkey import EmbeddedValkey

PATIENCE_S = 30.0


@pytest.fixture
def place():
    with scratch_dir() as directory:
        yield directory


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(pid: int) -> bool:
    """Whether the process has ended; one that waits to be reaped has."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ask(url: str, sql: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0] if cursor.description else None
    finally:
        connection.close()


def test_postgres_keeps_its_data_and_password_over_a_restart(place):
    with EmbeddedPostgres(place / "pg", free_port()) as first:
        assert ask(first.url, "SELECT current_setting('fsync')") == "on"
        assert str(ask(first.url, "SHOW server_version")).startswith("18.")
        ask(first.url, "CREATE TABLE kept AS SELECT 7 AS seven")
        password = first.url.split(":")[2].split("@")[0]
    with EmbeddedPostgres(place / "pg", free_port(), durable=False) as second:
        assert password in second.url
        assert ask(second.url, "SELECT seven FROM kept") == 7
        assert ask(second.url, "SELECT current_setting('fsync')") == "off"
        assert ask(second.admin_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is True


def test_postgres_refuses_a_wrong_password_and_listens_nowhere_else(place):
    with EmbeddedPostgres(place / "pg", free_port(), durable=False) as server:
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            ask(server.url.replace("cleartill:", "cleartill:not"), "SELECT 1")
        assert ask(server.url, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(server.admin_url, "SHOW unix_socket_directories") == ""


def test_postgres_never_runs_as_root(place):
    with EmbeddedPostgres(place / "pg", free_port(), durable=False) as server:
        assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0


def test_postgres_starts_over_a_dead_servers_pid_file(place):
    with EmbeddedPostgres(place / "pg", free_port(), durable=False) as server:
        ask(server.url, "CREATE TABLE kept AS SELECT 7 AS seven")
        server.process.stop()
        stale = place / "pg" / "data" / "postmaster.pid"
        stale.write_text(f"{os.getpid()}\n")  # a pid that is alive, and another's by now
    with EmbeddedPostgres(place / "pg", free_port(), durable=False) as server:
        assert ask(server.url, "SELECT seven FROM kept") == 7


def test_postgres_says_why_it_does_not_start(place):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        server = EmbeddedPostgres(place / "pg", port, durable=False)
        with pytest.raises(StartFailed, match="Address already in use"):
            server.start()
    assert server.start()  # nothing of the failed start is in the way
    server.stop()


def test_postgres_made_by_another_major_version_is_left_alone(place):
    server = EmbeddedPostgres(place / "pg", free_port(), durable=False)
    server.start()
    server.stop()
    version = place / "pg" / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(StartFailed, match="made by PostgreSQL 17"):
        server.start()


def test_postgres_works_in_a_place_closed_to_others_and_leaves_it_closed(place):
    """Root's server runs as another user, so its data goes elsewhere, by a link; anybody else's stays."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "pg", free_port(), durable=False) as server:
        assert ask(server.url, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
        real = (closed / "pg").resolve()
    try:
        assert real.is_relative_to(closed) is (os.geteuid() != 0)
    finally:
        subprocess.run(["rm", "-rf", str(real)], check=True)


def test_two_launchers_at_once_make_one_database(place):
    """Both want to initialise the same directory; the lock lets one, the other is refused, nothing is half made."""
    servers = [EmbeddedPostgres(place / "pg", free_port(), durable=False) for _ in range(2)]

    def attempt(server: EmbeddedPostgres) -> str:
        try:
            return server.start()
        except InUse:
            return "in use"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # the threads live until the servers are stopped
        answers = list(pool.map(attempt, servers))
        try:
            assert answers.count("in use") == 1
            url = next(answer for answer in answers if answer != "in use")
            assert ask(url, "SELECT 1") == 1
        finally:
            for server in servers:
                server.stop()
    assert not (place / "pg" / "data.new").exists()


def test_valkey_serves(place):
    with EmbeddedValkey(place, free_port()) as server, redis.Redis.from_url(server.url) as client:
        assert client.set("a", "1")
        assert client.get("a") == b"1"
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_kafka_serves_on_the_port_asked_for_alone(place):
    with EmbeddedKafka(place, free_port()) as broker:
        servers = {"bootstrap.servers": broker.bootstrap_servers}
        producer = Producer({**servers, "enable.idempotence": True})
        producer.produce("events", b"value", key=b"key")
        assert producer.flush(PATIENCE_S) == 0
        (advertised,) = producer.list_topics(timeout=PATIENCE_S).brokers.values()
        assert (advertised.host, advertised.port) == ("127.0.0.1", broker.port)
        consumer = Consumer({**servers, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe(["events"])
        try:
            message = consumer.poll(PATIENCE_S)
            assert message is not None
            assert (message.key(), message.value()) == (b"key", b"value")
        finally:
            consumer.close()
        assert eventually(lambda: listening_ports(broker.process.pid) == {broker.port})


def listening_ports(pid: int) -> set[int]:
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey, EmbeddedKafka])
def test_a_part_ends_with_a_launcher_that_is_killed(place, kind: type[Part]):
    port = free_port()
    script = (
        "import pathlib, sys, time\n"
        f"from {kind.__module__} import {kind.__name__} as Kind\n"
        f"part = Kind(pathlib.Path({str(place)!r}) / 'part', {port})\n"
        "part.start(); print(part.process.pid, flush=True); time.sleep(600)\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    with launcher.stdout:
        pid = int(launcher.stdout.readline())
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
    assert eventually(lambda: gone(pid))
    assert eventually(lambda: is_free(port))


def test_a_child_that_ignores_the_signal_is_ended_with_its_own_children(place):
    script = "import signal, subprocess, time; signal.signal(15, signal.SIG_IGN)\n"
    script += "print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"
    child = Child("stubborn", [sys.executable, "-c", script], log=place / "log")
    child.wait_ready(lambda: (place / "log").read_text().strip().isdigit(), PATIENCE_S)
    assert child.stop(timeout_s=0.1) == -signal.SIGKILL
    grandchild = int((place / "log").read_text())
    assert eventually(lambda: gone(grandchild))


def test_a_child_that_never_gets_ready_is_stopped_and_its_words_are_told(place):
    child = Child("mute", ["/bin/sh", "-c", "echo no luck; exec sleep 600"], log=place / "log")
    with pytest.raises(StartFailed, match=r"mute was not ready within 1 s:\nno luck"):
        child.wait_ready(lambda: False, 1.0)
    assert child.exit_code is not None


def test_a_lock_outlives_its_taker_while_a_child_has_it(place):
    fd = hold(place / "lock", wait_s=0)
    child = Child("keeper", ["/bin/sleep", "600"], log=place / "log", keep_fds=[fd])
    os.close(fd)
    (place / "lock").write_text("")  # as if the taker were gone
    with pytest.raises(InUse):
        hold(place / "lock", wait_s=0.1)
    child.stop()
    os.close(hold(place / "lock", wait_s=0))


def test_ports_are_below_the_kernels_own():
    assert all(free_port() < PORT_LIMIT for _ in range(20))
