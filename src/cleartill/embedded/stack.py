"""The running stack of `up`: what it starts, in which order, what each process is told, and where everything is."""

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY
from cleartill.embedded.agent import EmbeddedAgent, is_installed
from cleartill.embedded.child import Child, StartFailed
from cleartill.embedded.kafka import EmbeddedKafka
from cleartill.embedded.launcher import Program
from cleartill.embedded.part import Part
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.valkey import EmbeddedValkey

WATCH_S = 0.5
TRIM_EVERY_S = 60.0
WHERE = ("api", "console", "bank", "postgres", "redis", "kafka", "traces", "statsd")
"""Addresses in up.json; null for what there is none of."""


@dataclass
class Stack:
    """What runs, where it is, and what its processes are told."""

    data: Path
    ports: dict[str, int]
    lock: int
    say: Console
    environment: dict[str, str]
    where: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Child] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)
    agent: EmbeddedAgent | None = None

    def start(self, undo: contextlib.ExitStack, api_processes: int) -> None:
        """Starts everything in order; each is stopped by `undo`. Raises StartFailed."""
        self._start_stores(undo)
        self._start_telemetry(undo)
        if not self._given("bank", "BANKING_API_URL"):
            port = str(self.ports["bank"])
            callback = f"http://127.0.0.1:{self.ports['api']}/webhooks/bank-callback"
            command = ["bank", "--port", port, "--book", str(self.data / "bank.jsonl"), "--callback-url", callback]
            bank = self._program("bank", command, undo, health=f"http://127.0.0.1:{port}/health")
            self.where["bank"] = self.environment["BANKING_API_URL"] = f"http://127.0.0.1:{port}"
            self._said(bank.name, self.where["bank"])
        for step in ("migrate", "seed"):
            self._program(step, [step], undo, once=True)
        self._said("migrated and seeded", "")
        api = f"http://127.0.0.1:{self.ports['api']}"
        serve = ["serve", "--port", str(self.ports["api"]), "--processes", str(api_processes)]
        self._program("api", serve, undo, health=f"{api}/health/live")
        self._program("worker", ["work"], undo)
        self.where["api"] = api
        undo.callback((self.data / "up.json").unlink, missing_ok=True)
        self._write_up_json()
        self._welcome()

    def watch(self) -> NoReturn:
        """Says what died, starts the API, the worker and the bank again; ends by Stop only."""
        trim_at = time.monotonic() + TRIM_EVERY_S
        while True:
            time.sleep(WATCH_S)
            for name, part in list(self.parts.items()):
                if part.exit_code is not None:
                    del self.parts[name]
                    self.say.print(f"[red]{name} ended with code {part.exit_code}; see {part.log}[/]")
                    self._write_up_json()
            for program in self.programs:
                if program.start_again(self.say.print):
                    self._write_up_json()
            if self.agent and "agent" in self.parts and time.monotonic() > trim_at:
                trim_at = time.monotonic() + TRIM_EVERY_S
                if self.agent.trim():
                    self.say.print("the trace agent had grown too large and forgot its traces")

    def _start_stores(self, undo: contextlib.ExitStack) -> None:
        logs, kept = self.data / "logs", [self.lock]
        kinds: tuple[tuple[str, str, type[Part]], ...] = (
            ("postgres", "DATABASE_URL", EmbeddedPostgres),
            ("redis", "REDIS_URL", EmbeddedValkey),
            ("kafka", "KAFKA_BOOTSTRAP_SERVERS", EmbeddedKafka),
        )
        for name, variable, kind in kinds:
            if self._given(name, variable):
                continue
            part = kind(self.data / name, self.ports[name], log=logs / f"{name}.log", keep_fds=kept)
            undo.callback(part.stop)
            self.where[name] = self.environment[variable] = part.start()
            self.parts[name] = part.process
            self._said(name, f"127.0.0.1:{self.ports[name]}")

    def _start_telemetry(self, undo: contextlib.ExitStack) -> None:
        """The trace agent and the DogStatsD listener; without the former it goes on, and says so."""
        tell = self.environment
        if tell.get("DD_AGENT_HOST"):
            self.where["traces"] = f"http://{tell['DD_AGENT_HOST']}:{tell.get('DD_TRACE_AGENT_PORT', '8126')}"
            tell.setdefault("DD_TRACE_ENABLED", "true")
            tell.setdefault("DD_METRICS_ENABLED", "true")
            return
        logs, heard = self.data / "logs", self.data / "statsd.txt"
        tell |= {
            "DD_AGENT_HOST": "127.0.0.1",
            "DD_TRACE_AGENT_PORT": str(self.ports["agent"]),
            "DD_DOGSTATSD_PORT": str(self.ports["statsd"]),
            "DD_METRICS_ENABLED": "true",
        }
        command = [sys.executable, "-m", "cleartill.embedded.statsd", str(self.ports["statsd"]), str(heard)]
        listener = self.parts["statsd"] = Child("statsd", command, log=logs / "statsd.log", keep_fds=[self.lock])
        undo.callback(listener.stop)
        self.where["statsd"] = str(heard)
        self._said("statsd", f"127.0.0.1:{self.ports['statsd']} → {heard}")
        agent = EmbeddedAgent(self.data / "agent", self.ports["agent"], log=logs / "agent.log", keep_fds=[self.lock])
        undo.callback(agent.stop)
        try:
            if not is_installed():
                self.say.print("  … making the trace agent's environment, the first time only")
            self.where["traces"] = agent.start()
        except StartFailed as failure:
            tell["DD_TRACE_ENABLED"] = "false"
            self.say.print(f"[yellow]  without traces: {escape(str(failure))}[/]")
            return
        tell.setdefault("DD_TRACE_ENABLED", "true")
        tell.setdefault("TRACE_URL", f"{agent.page}/traces/{{trace_id_64}}")
        self.agent, self.parts["agent"] = agent, agent.process
        self._said("traces", f"{agent.url}, page {agent.page}")

    def _given(self, name: str, variable: str) -> bool:
        """Whether the environment names the real thing."""
        address = self.environment.get(variable)
        if not address:
            return False
        self.where[name] = address
        self._said(name, f"given by {variable}")
        return True

    def _program(
        self,
        name: str,
        arguments: list[str],
        undo: contextlib.ExitStack,
        *,
        health: str | None = None,
        once: bool = False,
    ) -> Program:
        program = Program(name, arguments, dict(self.environment), self.data / "logs", self.lock, health)
        undo.callback(program.stop)
        if once:
            program.run()
        else:
            self.programs.append(program)
            program.start()
        return program

    def _said(self, what: str, where: str) -> None:
        self.say.print(f"  [green]✓[/] {what:<10} {escape(where)}")

    def _write_up_json(self) -> None:
        """Where everything is, for scripts; it holds passwords and keys, so only the owner reads it."""
        running = {name: part.pid for name, part in self.parts.items()}
        running |= {program.name: program.child.pid for program in self.programs if program.child}
        told = {name: self.where.get(name) for name in WHERE}
        told |= {"demo_api_key": DEMO_API_KEY, "admin_api_key": DEMO_ADMIN_KEY}
        fresh = self.data / "up.json.new"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({**told, "pids": {"up": os.getpid(), **running}}, indent=2) + "\n")
        fresh.replace(self.data / "up.json")

    def _welcome(self) -> None:
        table = Table(title="cleartill is up", box=None, show_header=False, title_justify="left", title_style="bold")
        table.add_row("API", f"{self.where['api']}  (docs at /docs)")
        table.add_row("demo key", DEMO_API_KEY)
        if self.agent:
            table.add_row("traces", self.agent.page)
        table.add_row("metrics", "make metrics, in another terminal")
        table.add_row("a payment", "cleartill explain pay_…, its whole story")
        table.add_row("logs", f"{self.data / 'logs'}, addresses and keys in {self.data / 'up.json'}")
        self.say.print(table)
        self.say.print("Ctrl-C stops it all.")
