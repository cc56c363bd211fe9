"""What scripts/chaos runs on: two API processes, two workers, the bank, PostgreSQL (fsync on), Valkey and Kafka, each
to be killed, frozen and started again; between the service and its bank, books and Kafka stand `chaos_wires`.

Children are tied to the thread that starts them: use it from the main thread.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg2
from game_day_stack import ONLY_GIVEN, READY_WITHIN_S, STEP_WITHIN_S, kill

from cleartill.embedded.child import Child, StartFailed, answers
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.lock import InUse
from cleartill.embedded.part import Part
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from cleartill.embedded.valkey import EmbeddedValkey

GONE_WITHIN_S = 30.0
WORKER_STARTS_S = 3.0
"""A worker tells nobody when it is ready."""
FAULTS_OF_THE_BANK = {"error500": 0.005, "reset": 0.005, "timeout_after": 0.002, "malformed": 0.003}


@dataclass
class Program:
    """A process of ours that is started again whenever it has ended. `thaw_at`: monotonic seconds, if it is frozen."""

    name: str
    arguments: list[str]
    health: str = ""
    child: Child | None = None
    since: float = 0.0
    ready: bool = False
    thaw_at: float | None = None
    failpoints: str = ""
    ended_by: str = ""
    """Why it will have ended, when that is known."""

    @property
    def frozen(self) -> bool:
        """Stopped by a signal, ours or its own."""
        if self.child is None:
            return False
        with contextlib.suppress(OSError, IndexError):
            return Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False


class Stack:
    """All the parts. `ports` of the wires: see `chaos_wires.Wires`, which listens there and leads to those here."""

    def __init__(self, home: Path, seed: int, budget_s: float) -> None:
        self.home, self._seed, self._budget_s = home, seed, budget_s
        self.wires = {name: free_port() for name in ("postgres", "kafka", "bank", "callbacks")}
        self.postgres = EmbeddedPostgres(home / "postgres", free_port(), log=home / "postgres.log")
        self.valkey = EmbeddedValkey(home / "valkey", free_port(), log=home / "valkey.log")
        self.kafka = EmbeddedKafka(home / "kafka", free_port(), log=home / "kafka.log")
        self.kafka.advertised = self.wires["kafka"]
        self.bank_port, api_ports = free_port(), (free_port(), free_port())
        self.apis = [f"http://127.0.0.1:{port}" for port in api_ports]
        bank = ["--port", str(self.bank_port), "--book", str(home / "bank.jsonl"), "--transfer-delay", "0.5"]
        bank += ["--callback-url", f"http://127.0.0.1:{self.wires['callbacks']}/", "--transfer-fail-rate", "0.1"]
        self.programs = {
            "bank": Program(
                "bank",
                ["bank", *bank, "--delay-ms", "4", "--jitter-ms", "12"],
                f"http://127.0.0.1:{self.bank_port}/health",
            ),
            **{
                f"api{number}": Program(f"api{number}", ["serve", "--port", str(port)], f"{url}/health/live")
                for number, (port, url) in enumerate(zip(api_ports, self.apis, strict=True), start=1)
            },
            **{f"worker{number}": Program(f"worker{number}", ["work"]) for number in (1, 2)},
        }
        self.environment: dict[str, str] = {}

    @property
    def book(self) -> Path:
        """The bank's own."""
        return self.home / "bank.jsonl"

    @contextlib.contextmanager
    def running(self, failpoints: Mapping[str, str]) -> Iterator[Self]:
        """Started in order, stopped in reverse, whatever happens. The wires must be there. `failpoints`: by program,
        of its first life. Raises StartFailed."""
        with contextlib.ExitStack() as undo:
            for part in (self.postgres, self.valkey, self.kafka):
                undo.callback(part.stop)
                part.start()
            self.environment = self._told()
            undo.callback(self._stop_programs)
            self.start(self.programs["bank"])
            for step in ("migrate", "seed"):
                if (child := self.command(step, step)).wait(STEP_WITHIN_S) != 0:
                    raise StartFailed(f"{step} failed:\n{child.tail()}")
            for program in self.programs.values():
                if program.child is None:
                    self.start(program, failpoints.get(program.name, ""))
            self.await_all(READY_WITHIN_S)
            yield self

    def _told(self) -> dict[str, str]:
        left_out = (*ONLY_GIVEN, "CHAOS_", "REQUEST_", "KAFKA_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return kept | {
            "ENV": "test",
            "DATABASE_URL": self.postgres.url.replace(f":{self.postgres.port}/", f":{self.wires['postgres']}/"),
            "REDIS_URL": self.valkey.url,
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.wires['kafka']}",
            "BANKING_API_URL": f"http://127.0.0.1:{self.wires['bank']}",
            "REQUEST_BUDGET_S": str(self._budget_s),
            "RATE_LIMIT_GLOBAL_PER_MIN": "0",
            "RATE_LIMIT_BALANCE_PER_MIN": "0",
            "BREAKER_OPEN_S": "1",
            "DRAIN_S": "5",
            "LOG_LEVEL": "WARNING",
            "LOG_REQUESTS": "false",
        }

    def command(self, name: str, *arguments: str, **environment: str) -> Child:
        """Another command of cleartill's, beside what runs."""
        command = [sys.executable, "-m", "cleartill", *arguments]
        return Child(name, command, log=self.home / f"{name}.log", env=self.environment | environment)

    def _stop_programs(self) -> None:
        for program in self.programs.values():
            if program.child is not None and program.child.exit_code is None:
                os.kill(program.child.pid, signal.SIGCONT)
                program.child.stop(10.0)

    # ── what the faults are made of ───────────────────────────────────────────────────────────────────────────────

    def start(self, program: Program, failpoints: str = "") -> None:
        program.child = self.command(program.name, *program.arguments, CHAOS_FAILPOINTS=failpoints)
        program.failpoints, program.since, program.ready = failpoints, time.monotonic(), False
        program.thaw_at, program.ended_by = None, ""

    def look(self, program: Program) -> bool:
        """Whether it is ready now; the bank is told once how to behave. Raises StartFailed if it never will be."""
        assert program.child is not None
        if not program.ready and not program.frozen and program.child.exit_code is None:
            waited_s = time.monotonic() - program.since
            program.ready = answers(program.health) if program.health else waited_s > WORKER_STARTS_S
            if program.ready and program.name == "bank":
                self.conduct(fault_rates=FAULTS_OF_THE_BANK, seed=self._seed)
            if not program.ready and waited_s > READY_WITHIN_S:
                raise StartFailed(f"{program.name} does not come up:\n{program.child.tail()}")
        return program.ready

    def await_all(self, within_s: float) -> None:
        end = time.monotonic() + within_s
        while not all(self.look(program) for program in self.programs.values()):
            if time.monotonic() > end:
                raise StartFailed(f"not everything is ready; see {self.home}")
            time.sleep(0.05)

    def conduct(self, **settings: object) -> None:
        """How the bank behaves from now on; it may be gone again."""
        with contextlib.suppress(httpx.TransportError):
            httpx.put(f"http://127.0.0.1:{self.bank_port}/_control", json=settings, timeout=5).raise_for_status()

    def restart(self, part: Part) -> None:
        """SIGKILL, and up again, as soon as what it has started is gone too. Raises InUse."""
        kill(part)
        end = time.monotonic() + GONE_WITHIN_S
        while True:
            try:
                part.start()
                return
            except InUse:
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def backends(self) -> list[int]:
        """The sessions of the service in PostgreSQL, by process id."""
        return [
            pid for (pid,) in self.rows("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'cleartill%'")
        ]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What our own books say, past all wires. Raises psycopg2.Error."""
        connection = psycopg2.connect(self.postgres.url, connect_timeout=3)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall()
