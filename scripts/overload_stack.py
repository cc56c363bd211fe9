"""What scripts/overload runs on: the stack of `drill_stack`, what it says to DogStatsD, and an eye on its processes."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from drill_stack import Stack
from game_day_stack import READY_WITHIN_S

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.embedded.child import answers
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from cleartill.embedded.valkey import EmbeddedValkey

LOOK_S = 0.1
ASKED_WITHIN_S = 5.0
PACE = {"delay_ms": 20, "jitter_ms": 40}
"""The bank's, as of a good day."""


class Ground(Stack):
    """Two API processes, a worker and a bank that keeps its book in memory, on stores of their own."""

    valkey: EmbeddedValkey
    kafka: EmbeddedKafka
    bank: str

    @classmethod
    @contextlib.contextmanager
    def laid(cls, home: Path, statsd_port: int, data: Path | None = None) -> Iterator["Ground"]:
        """Everything runs. `data`: where PostgreSQL's files are. Raises StartFailed."""
        with contextlib.ExitStack() as undo:
            postgres = EmbeddedPostgres(data or home / "postgres", free_port(), log=home / "postgres.log")
            valkey = EmbeddedValkey(home / "valkey", free_port(), log=home / "valkey.log")
            kafka = EmbeddedKafka(home / "kafka", free_port(), log=home / "kafka.log")
            for part in (postgres, valkey, kafka):
                undo.callback(part.stop)
                part.start()
            told = {
                "DATABASE_URL": postgres.url,
                "REDIS_URL": valkey.url,
                "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "RATE_LIMIT_GLOBAL_PER_MIN": "1000000",
                "DD_METRICS_ENABLED": "true",
                "DD_DOGSTATSD_PORT": str(statsd_port),
            }
            ground = undo.enter_context(cls.on(home, postgres, told))
            assert isinstance(ground, Ground)
            ground.valkey, ground.kafka = valkey, kafka
            ground.start_bank()  # first: a command that is not told of every part looks for a stack that runs
            for step in ("migrate", "seed"):
                ground.run(step)
            for name in ("api1", "api2"):
                ground.start_api(name)
            ground.start("worker", "work")
            yield ground

    def start_bank(self) -> None:
        """With no file: to wait for a disk is not what is measured here."""
        port = str(free_port())
        self.bank = self.told["BANKING_API_URL"] = f"http://127.0.0.1:{port}"
        pace = ["--delay-ms", str(PACE["delay_ms"]), "--jitter-ms", str(PACE["jitter_ms"])]
        self.start("bank", "bank", "--port", port, *pace, health=f"{self.bank}/health")

    def conduct(self, **settings: Any) -> None:
        httpx.put(f"{self.bank}/_control", json=settings, timeout=30).raise_for_status()

    def statement(self, since: int) -> tuple[list[dict[str, Any]], int]:
        """The bank's book from there on, and how far it goes."""
        entries: list[dict[str, Any]] = []
        more = True
        while more:
            page = httpx.get(f"{self.bank}/v1/statement", params={"since": since, "limit": 1000}, timeout=30).json()
            entries += page["entries"]
            since, more = page["next"], page["has_more"]
        return entries, since

    def await_live(self) -> None:
        for name, url in self.apis.items():
            self.children[name].wait_ready(lambda url=url: answers(f"{url}/health/live"), READY_WITHIN_S)  # type: ignore[misc]

    # ── load ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, run: str, seconds: float, *, rate: float = 0.0, in_flight: int = 0) -> "Running":
        into = self.home / f"{run}.json"
        how = ["--rate", str(rate)] if rate else ["--in-flight", str(in_flight)]
        command = [sys.executable, str(Path(__file__).with_name("overload_load.py")), *self.apis.values()]
        command += ["--run", run, "--seconds", str(seconds), *how, "--into", str(into)]
        return Running(subprocess.Popen(command, env=self.told), into, run)


@dataclass
class Running:
    """A load that goes on by itself."""

    process: subprocess.Popen[bytes]
    into: Path
    run: str

    def stop(self) -> None:
        """Nothing more is asked; see `calls`."""
        self.process.terminate()

    def calls(self, within_s: float = 120.0) -> dict[str, Any]:
        """What became of it, when it is over."""
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if code:
            raise RuntimeError(f"the load {self.run} ended with {code}")
        told: dict[str, Any] = json.loads(self.into.read_text())
        return told


class Statsd:
    """A DogStatsD on a thread, from `with` to its end, that keeps our few metrics of the many."""

    KEPT = ("loop.lag", "http.shed", "ratelimit.degraded", "books.lost")

    def __init__(self) -> None:
        self.port = free_port()
        self.lags: list[tuple[float, float]] = []
        """When it was heard (monotonic seconds), and milliseconds."""
        self.counts: Counter[str] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="statsd", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def _listen(self) -> None:
        kept = tuple(f"cleartill.{name}:".encode() for name in self.KEPT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            server.bind(("127.0.0.1", self.port))
            server.settimeout(0.2)
            while not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    for line in server.recv(65_535).split(b"\n"):
                        if line.startswith(kept):
                            self._keep(line.decode())

    def _keep(self, line: str) -> None:
        name, *values = line.partition("|")[0].removeprefix("cleartill.").split(":")
        if name == "loop.lag":
            self.lags += [(time.monotonic(), float(value)) for value in values]
        else:
            self.counts[name] += sum(round(float(value)) for value in values)


@dataclass
class Eye:
    """Looks at the API processes ten times a second, from `with` to its end: are they alive, can a payment be read
    (each question on a new connection, as balancers ask), how much memory have they. Times are seconds."""

    ground: Ground
    payment_id: str = ""
    live: list[tuple[float, float, int]] = field(default_factory=list)
    """When asked, how long it took, status (0: none)."""
    reads: list[tuple[float, float, int]] = field(default_factory=list)
    memory_mb: float = 0.0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(name, url), daemon=True) for name, url in self.ground.apis.items()
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * ASKED_WITHIN_S)

    def _look(self, name: str, url: str) -> None:
        while not self._over.wait(LOOK_S):
            self.live.append(_asked(url, "/health/live"))
            if self.payment_id:
                self.reads.append(_asked(url, f"/api/v1/payments/{self.payment_id}"))
            with contextlib.suppress(OSError, KeyError):
                self.memory_mb = max(self.memory_mb, memory_mb(self.ground.children[name].pid))


def _asked(url: str, path: str) -> tuple[float, float, int]:
    began, status = time.monotonic(), 0
    caller = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ASKED_WITHIN_S)
    with contextlib.suppress(OSError, http.client.HTTPException):
        caller.request("GET", path, headers={"Authorization": f"Bearer {DEMO_API_KEY}"})
        answer = caller.getresponse()
        answer.read()
        status = answer.status
    caller.close()
    return began, time.monotonic() - began, status


def memory_mb(pid: int) -> float:
    """Resident. Raises OSError if it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
