"""What scripts/rotate_drill and scripts/backup_drill run on: the service's processes, on stores that are given or made.

Children are tied to the thread that starts them: use it from the main thread.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from game_day_stack import ONLY_GIVEN, READY_WITHIN_S, STEP_WITHIN_S

from cleartill.embedded.child import Child, StartFailed, answers
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from cleartill.embedded.valkey import EmbeddedValkey

STOP_S = 40.0


@dataclass
class Stack:
    """A bank with a book of its own, API processes and workers, on `postgres` and the stores of `told`."""

    home: Path
    postgres: EmbeddedPostgres
    told: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)
    apis: dict[str, str] = field(default_factory=dict)
    """Address of each API process, by name."""

    @classmethod
    @contextlib.contextmanager
    def running(cls, home: Path) -> Iterator["Stack"]:
        """With stores of its own, durable as in production; migrated and seeded. Raises StartFailed."""
        with contextlib.ExitStack() as undo:
            postgres = EmbeddedPostgres(home / "postgres", free_port(), log=home / "postgres.log")
            valkey = EmbeddedValkey(home / "valkey", free_port(), log=home / "valkey.log")
            kafka = EmbeddedKafka(home / "kafka", free_port(), log=home / "kafka.log")
            for part in (postgres, valkey, kafka):
                undo.enter_context(part)
            stores = {"REDIS_URL": valkey.url, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
            stack = undo.enter_context(cls.on(home, postgres, {"DATABASE_URL": postgres.url, **stores}))
            for step in ("migrate", "seed"):
                stack.run(step)
            yield stack

    @classmethod
    @contextlib.contextmanager
    def on(cls, home: Path, postgres: EmbeddedPostgres, stores: dict[str, str]) -> Iterator["Stack"]:
        """On these stores; whatever it starts is stopped in the end."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith((*ONLY_GIVEN, "ENCRYPTION_"))}
        rules = {"ENV": "test", "RATE_LIMIT_GLOBAL_PER_MIN": "0", "LOG_LEVEL": "WARNING", "LOG_REQUESTS": "false"}
        stack = cls(home, postgres, kept | rules | stores)
        try:
            yield stack
        finally:
            for child in reversed(stack.children.values()):
                child.stop(STOP_S)

    def start(self, name: str, *arguments: str, health: str = "", **environment: str) -> Child:
        """A process of ours that stays. Raises StartFailed."""
        command = [sys.executable, "-m", "cleartill", *arguments]
        child = self.children[name] = Child(name, command, log=self.home / f"{name}.log", env=self.told | environment)
        if health:
            child.wait_ready(lambda: answers(health), READY_WITHIN_S)
        return child

    def start_bank(self) -> None:
        """At its usual pace: 20 to 60 ms."""
        port = str(free_port())
        self.told["BANKING_API_URL"] = url = f"http://127.0.0.1:{port}"
        book = ["--book", str(self.home / "bank.jsonl")]
        self.start(
            "bank", "bank", "--port", port, *book, "--delay-ms", "20", "--jitter-ms", "40", health=f"{url}/health"
        )

    def start_api(self, name: str, **environment: str) -> str:
        """Its address: the one it had before, if it ran."""
        url = self.apis.setdefault(name, f"http://127.0.0.1:{free_port()}")
        self.start(name, "serve", "--port", url.rpartition(":")[2], health=f"{url}/health/live", **environment)
        return url

    def stop(self, name: str) -> None:
        self.children.pop(name).stop(STOP_S)

    def kill(self, name: str) -> None:
        child = self.children.pop(name)
        os.kill(child.pid, signal.SIGKILL)
        child.reap()

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,), **environment: str) -> str:
        """What a command of ours prints. Raises StartFailed if it ends with none of `codes`."""
        ended = subprocess.run(
            [sys.executable, "-m", "cleartill", *arguments],
            env=self.told | environment,
            capture_output=True,
            text=True,
            timeout=STEP_WITHIN_S,
            check=False,
        )
        if ended.returncode not in codes:
            said = (ended.stdout + ended.stderr)[-2000:]
            raise StartFailed(f"cleartill {' '.join(arguments)} ended with {ended.returncode}:\n{said}")
        return ended.stdout

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(self.told["DATABASE_URL"])) as connection, connection:
            cursor = connection.cursor()
            cursor.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def stopping_in_order() -> Iterator[None]:
    """SIGTERM ends like Ctrl-C; while everything is being stopped, a second one must not leave half."""

    def stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    yield
