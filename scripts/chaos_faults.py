"""The faults of scripts/chaos: which process is killed, frozen or asked to end, where failpoints are set, when a COMMIT
is lost. What is done next is decided by a seed; when it happens, by how far the load has come."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg2
from chaos_ear import Ear
from chaos_stack import Program, Stack
from chaos_wires import COMMIT_PRANKS
from game_day_stack import kill

KILLS = {"api": 45, "worker": 18, "bank": 16, "postgres": 8, "session": 5, "valkey": 4, "kafka": 4}
OTHERS = {
    "commit": 45,
    "freeze api": 14,
    "freeze worker": 9,
    "freeze bank": 12,
    "freeze session": 10,
    "freeze valkey": 4,
    "freeze kafka": 6,
    "cut kafka": 8,
    "SIGTERM": 7,
}
FAILPOINTS = {
    "before_intent:kill": (5, 150),
    "before_send:kill": (5, 150),
    "after_bank:kill": (5, 150),
    "before_send:stop": (5, 150),
    "after_bank:stop": (5, 150),
    "before_send:unsent": (1, 100),
    "before_intent:ahead_7200": (5, 100),
    "before_intent:behind_7200": (5, 100),
    "after_bank:ahead_45": (5, 100),
    "after_bank:behind_45": (5, 100),
}
"""Of an API process, with the range of the passage at which they strike."""
WORKERS_FAILPOINTS = {
    "before_produce:kill": (1, 12),
    "after_produce:kill": (1, 12),
    "before_send:kill": (1, 8),
    "after_bank:kill": (1, 8),
    "before_send:ahead_7200": (1, 4),
}
"""None sets a worker's clock back: by its word to the bank (`expires_at`) all its transfers would come too late, and
after five tries be for a person to look at, as they should."""
FIRST = {
    "api1": "after_bank:kill@40",
    "api2": "before_send:kill@60",
    "worker1": "before_produce:kill@8",
    "worker2": "after_produce:kill@4",
}
"""Every run, however short, begins with these."""
ARMED = 0.6
"""The share of processes that are born with a failpoint."""
FROZEN_S, LONG_S = (0.2, 4.0), 33.0
"""`LONG_S`: longer than a worker's lease on the outbox."""
GAP_S, OTHERS_GAP_S = 0.4, 1.6


@dataclass
class Timeline:
    """What was done, and when. `outages`: when the bank was away; seconds since the epoch."""

    faults: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    outages: list[list[float]] = field(default_factory=list)

    def note(self, kind: str, target: str, details: str = "", *, kills: bool = False) -> None:
        self.faults.append({"at": time.time(), "kind": kind, "target": target, "details": details})
        self.kinds[kind] += 1
        self.kills += kills


class Monkey:
    """`wires`: the books', bank's and Kafka's; `on_loop` calls them where they live. `tick` often, from the main
    thread; `strike` when it is time."""

    def __init__(
        self, stack: Stack, wires: dict[str, Any], ear: Ear, random: Random, on_loop: Callable[[Any], None]
    ) -> None:
        self._stack, self._wires, self._ear, self._random, self._on_loop = stack, wires, ear, random, on_loop
        self.timeline = Timeline()
        self._thaws: list[tuple[float, int]] = []
        self._killed_at = self._other_at = 0.0
        self._arming = True

    # ── what goes on ──────────────────────────────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Start again what has ended, thaw what was frozen for long enough. Raises StartFailed."""
        now = time.monotonic()
        self.thaw_parts(now)
        for program in self._stack.programs.values():
            assert program.child is not None
            if program.child.exit_code is not None:
                self._again(program)
            elif program.frozen or program.thaw_at is not None:
                self._thaw(program, now)
            elif program.ended_by or program.ready:
                continue  # it is ending, or runs
            elif self._stack.look(program) and program.name == "bank":
                self._on_loop(self._wires["bank"].accept())
                self._bank_is_back()

    def _again(self, program: Program) -> None:
        assert program.child is not None
        if not program.ended_by and program.child.exit_code == -signal.SIGKILL:
            self.timeline.note(f"killed {program.failpoints.partition('@')[0]}", program.name, kills=True)
        elif not program.ended_by:
            self.timeline.note("ended by itself", program.name, f"exit code {program.child.exit_code}")
        program.child.reap()
        self._stack.start(program, self._failpoint(program))

    def _failpoint(self, program: Program) -> str:
        choice = {"a": FAILPOINTS, "w": WORKERS_FAILPOINTS}.get(program.name[0])
        if choice is None or not self._arming or self._random.random() > ARMED:
            return ""
        name = self._random.choice(list(choice))
        return f"{name}@{self._random.randint(*choice[name])}"

    def _thaw(self, program: Program, now: float) -> None:
        assert program.child is not None
        if program.thaw_at is None:  # it has stopped itself
            program.thaw_at = now + self._random.uniform(1.0, 14.0)
            if ":stop" in program.failpoints:
                self.timeline.note(f"stopped {program.failpoints.partition('@')[0]}", program.name)
        if program.thaw_at <= now:
            program.thaw_at = None
            os.kill(program.child.pid, signal.SIGCONT)
            if program.name == "bank":
                self._bank_is_back()

    def thaw_parts(self, until: float = float("inf")) -> None:
        """Sessions, Valkey and Kafka, if they were to be frozen no longer than until then (monotonic seconds)."""
        for due in [one for one in self._thaws if one[0] <= until]:
            self._thaws.remove(due)
            self._signal(due[1], signal.SIGCONT)

    def heal(self) -> None:
        """No fault from now on, and an end of those that are; returns when everything runs. Raises StartFailed."""
        self._arming = False
        self._wires["books"].prank = None
        self.thaw_parts()
        for program in self._stack.programs.values():
            if program.failpoints and not program.ended_by:  # it must not strike any more
                self._end(program, signal.SIGKILL, "disarmed")
            program.thaw_at = program.thaw_at and 0.0
        end = time.monotonic() + 90
        while time.monotonic() < end:
            self.tick()
            if all(one.ready and not one.frozen for one in self._stack.programs.values()):
                break
            time.sleep(0.05)
        self._on_loop(self._wires["bank"].accept())

    # ── what is done ──────────────────────────────────────────────────────────────────────────────────────────────

    def strike(self, kills_due: int) -> None:
        """Kill, if there are fewer kills than are due, or do something else."""
        now = time.monotonic()
        if self.timeline.kills < kills_due and now - self._killed_at > GAP_S:
            self._killed_at = now
            self._kill(self._random.choices(list(KILLS), list(KILLS.values()))[0])
        elif now - self._other_at > OTHERS_GAP_S * self._random.uniform(0.5, 2.0):
            self._other_at = now
            self._other(self._random.choices(list(OTHERS), list(OTHERS.values()))[0])

    def _kill(self, whom: str) -> None:
        stack = self._stack
        match whom:
            case "api" | "worker" | "bank":
                if program := self._one(whom):
                    self.timeline.note("SIGKILL", program.name, kills=True)
                    self._end(program, signal.SIGKILL, "SIGKILL")
            case "postgres":
                self.timeline.note("SIGKILL", "postgres", kills=True)
                self.thaw_parts()  # a frozen session would outlive its server
                stack.restart(stack.postgres)
            case "session":
                if pid := self._session():
                    self.timeline.note("SIGKILL", "a session of postgres", kills=True)
                    self._signal(pid, signal.SIGKILL)
            case "valkey":
                self.timeline.note("SIGKILL", "valkey", kills=True)
                stack.restart(stack.valkey)
            case _:
                self._kill_kafka()

    def _kill_kafka(self) -> None:
        """Nobody produces, and all that was acknowledged has been read: a real broker would have kept it."""
        workers = [one for one in self._stack.programs.values() if one.name.startswith("worker") and one.child]
        for worker in workers:
            assert worker.child is not None
            self._signal(worker.child.pid, signal.SIGSTOP)
        try:
            if self._ear.has_all(5.0):
                self.timeline.note("SIGKILL", "kafka", kills=True)
                kill(self._stack.kafka)
                self._on_loop(self._cut("kafka"))
                self._stack.kafka.start()
                self._ear.begin_anew()
        finally:
            for worker in workers:
                assert worker.child is not None
                self._signal(worker.child.pid, signal.SIGCONT)

    async def _cut(self, name: str) -> None:
        self._wires[name].cut()

    def _end(self, program: Program, number: signal.Signals, why: str) -> None:
        assert program.child is not None
        program.ended_by, program.ready = why, False
        if program.name == "bank":
            self._bank_is_away()
            self._on_loop(self._wires["bank"].refuse())
        self._signal(program.child.pid, number)

    def _other(self, what: str) -> None:
        verb, _, whom = what.partition(" ")
        for_s = self._random.uniform(*FROZEN_S)
        match verb:
            case "commit":
                prank = self._random.choice(COMMIT_PRANKS)
                self._wires["books"].prank = prank
                self.timeline.note(prank, "postgres")
            case "cut":
                self.timeline.note("connections cut", whom)
                self._on_loop(self._cut(whom))
            case "SIGTERM":
                if program := self._one("api"):
                    self.timeline.note("SIGTERM", program.name)
                    self._end(program, signal.SIGTERM, "SIGTERM")
            case _ if whom in ("api", "worker", "bank"):
                self._freeze_program(whom, for_s)
            case _:
                self._freeze_part(whom, for_s)

    def _freeze_program(self, whom: str, for_s: float) -> None:
        if whom == "worker" and self._random.random() < 0.15:
            for_s = LONG_S
        if program := self._one(whom):
            assert program.child is not None
            program.thaw_at = time.monotonic() + for_s
            if whom == "bank":
                self._bank_is_away()
            self.timeline.note("SIGSTOP", program.name, f"for {for_s:.1f} s")
            self._signal(program.child.pid, signal.SIGSTOP)

    def _freeze_part(self, whom: str, for_s: float) -> None:
        stack = self._stack
        pid = self._session() if whom == "session" else (stack.valkey if whom == "valkey" else stack.kafka).process.pid
        if pid:
            self.timeline.note("SIGSTOP", "a session of postgres" if whom == "session" else whom, f"for {for_s:.1f} s")
            self._signal(pid, signal.SIGSTOP)
            self._thaws.append((time.monotonic() + for_s, pid))
            alarm = threading.Timer(for_s, self._signal, (pid, signal.SIGCONT))  # also when we ourselves are held up
            alarm.daemon = True
            alarm.start()

    # ── whom ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _one(self, kind: str) -> Program | None:
        """One that is up and not frozen; of two, the other need not be."""
        found = [one for one in self._stack.programs.values() if one.name.startswith(kind) and one.ready]
        found = [one for one in found if one.thaw_at is None and not one.frozen]
        return self._random.choice(found) if found else None

    def _session(self) -> int | None:
        """One of the service's; none while another is frozen: it may hold a lock that our own question needs."""
        if self._thaws:
            return None
        try:
            found = self._stack.backends()
        except psycopg2.Error:
            return None
        return self._random.choice(found) if found else None

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _bank_is_away(self) -> None:
        self.timeline.outages.append([time.time(), 0.0])

    def _bank_is_back(self) -> None:
        if self.timeline.outages and not self.timeline.outages[-1][1]:
            self.timeline.outages[-1][1] = time.time()
