"""What scripts/game_day runs on: every part of cleartill on this machine, each of which can be taken away and put back.

The parts are those of `make run`, on ports that are free, with data that goes away at the end; all settings are the
defaults, but for a rate limit that the load does not reach. Children are tied to the thread that starts them: use it
from the main thread.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from cleartill.embedded.child import Child, StartFailed, answers
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.part import Part
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port, scratch_dir
from cleartill.embedded.valkey import EmbeddedValkey

READY_WITHIN_S = 90.0
STEP_WITHIN_S = 120.0
ONLY_GIVEN = (
    "DATABASE_",
    "REDIS_",
    "KAFKA_",
    "BANKING_",
    "DD_",
    "STRIPE_",
    "RATE_LIMIT_",
    "BREAKER_",
    "ENV",
    "PROVIDER_",
)
"""Settings of the caller's environment that are left out: a game day is the same everywhere."""


class Stack:
    """PostgreSQL, Valkey, Kafka, the bank, two API processes and a worker, that say to `statsd_port` what they see."""

    def __init__(self, home: Path, statsd_port: int) -> None:
        self.home = home
        self.postgres = EmbeddedPostgres(home / "postgres", free_port(), log=home / "postgres.log")
        self.valkey = EmbeddedValkey(home / "valkey", free_port())
        self.kafka = EmbeddedKafka(home / "kafka", free_port())
        self.api, self._api_port = "", free_port()
        self._bank_port = free_port()
        self._statsd_port = statsd_port
        self._bank: Child | None = None
        self._environment: dict[str, str] = {}

    @classmethod
    @contextlib.contextmanager
    def running(cls, statsd_port: int) -> Iterator[Self]:
        """Started in order, stopped in reverse, whatever happens. Raises StartFailed."""
        with scratch_dir() as home, contextlib.ExitStack() as undo:
            made = cls(home, statsd_port)
            made._start(undo)
            yield made

    def _start(self, undo: contextlib.ExitStack) -> None:
        for part in (self.postgres, self.valkey, self.kafka):
            undo.callback(part.stop)
            part.start()
        self._environment = self._told()
        undo.callback(self._stop_bank)
        self.start_bank()
        for step in ("migrate", "seed"):
            child = self._child(step, step, undo=undo)
            if child.wait(STEP_WITHIN_S) != 0:
                raise StartFailed(f"{step} failed:\n{child.tail()}")
        self.api = f"http://127.0.0.1:{self._api_port}"
        serve = self._child("api", "serve", "--port", str(self._api_port), "--processes", "2", undo=undo)
        serve.wait_ready(lambda: answers(f"{self.api}/health/live"), READY_WITHIN_S)
        self._child("worker", "work", undo=undo)

    def _told(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ONLY_GIVEN)}
        return kept | {
            "ENV": "development",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "BANKING_API_URL": f"http://127.0.0.1:{self._bank_port}",
            "RATE_LIMIT_GLOBAL_PER_MIN": "1000000",
            "DD_AGENT_HOST": "127.0.0.1",
            "DD_DOGSTATSD_PORT": str(self._statsd_port),
            "DD_METRICS_ENABLED": "true",
            "DD_TRACE_ENABLED": "false",
            "DD_SERVICE": "cleartill",
            "DD_ENV": "game-day",
            "LOG_LEVEL": "WARNING",
            "LOG_REQUESTS": "false",
        }

    def _child(self, name: str, *arguments: str, undo: contextlib.ExitStack | None = None) -> Child:
        command = [sys.executable, "-m", "cleartill", *arguments]
        child = Child(name, command, log=self.home / f"{name}.log", env=self._environment)
        if undo is not None:
            undo.callback(child.stop, 40.0)
        return child

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_bank(self) -> None:
        """The bank, with its book, at its usual pace: 20 to 60 ms."""
        port, book = str(self._bank_port), str(self.home / "bank.jsonl")
        callback = f"http://127.0.0.1:{self._api_port}/webhooks/bank-callback"
        pace = ["--delay-ms", "20", "--jitter-ms", "40", "--transfer-fail-rate", "0.02"]
        self._bank = self._child("bank", "bank", "--port", port, "--book", book, "--callback-url", callback, *pace)
        self._bank.wait_ready(lambda: answers(f"http://127.0.0.1:{port}/health"), READY_WITHIN_S)

    def kill_bank(self) -> None:
        if self._bank is not None:
            kill(self._bank)
            self._bank = None

    def _stop_bank(self) -> None:
        if self._bank is not None:
            self._bank.stop()

    def conduct(self, **settings: Any) -> None:
        """How the bank behaves from now on (`simulator.conduct`)."""
        httpx.put(f"http://127.0.0.1:{self._bank_port}/_control", json=settings, timeout=20).raise_for_status()

    def log_tails(self) -> dict[str, str]:
        """The ends of all logs, for whoever must find out what went wrong."""
        return {log.name: log.read_text(errors="replace")[-1500:] for log in sorted(self.home.glob("*.log"))}


def kill(part: Part | Child) -> None:
    """Gone at once, without a word to anybody."""
    child = part.process if isinstance(part, Part) else part
    os.kill(child.pid, signal.SIGKILL)
    child.reap()
    if isinstance(part, Part):
        part.stop()
