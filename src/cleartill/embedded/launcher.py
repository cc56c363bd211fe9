"""cleartill's own processes under `up`: started with the settings' environment, watched, started again, bounded."""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cleartill.embedded.child import Child, StartFailed, answers

READY_TIMEOUT_S = 60.0
RUN_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0
COMMAND: Sequence[str] = (sys.executable, "-m", "cleartill")
RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0
"""A process that ended more often than this in so short a time is left alone."""


@dataclass
class Program:
    """One `python -m cleartill …` that runs as long as `up` does, and is started again when it ends."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    logs: Path
    lock: int
    health: str | None = None
    """URL that answers 200 when it is ready; None: ready once it runs."""
    child: Child | None = None
    _restarts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS_MAX))

    def start(self) -> Child:
        """Starts it and waits until it is ready; raises StartFailed."""
        self.child = self._launch()
        health = self.health
        if health is not None:
            self.child.wait_ready(lambda: answers(health), READY_TIMEOUT_S)
        return self.child

    def run(self) -> None:
        """Runs it to its end; raises StartFailed when that is not a good one."""
        self.child = self._launch()
        code = self.child.wait(RUN_TIMEOUT_S)
        if code != 0:
            raise StartFailed(f"{self.name} failed with code {code}; {self.child.log} ends:\n{self.child.tail()}")

    def stop(self) -> None:
        """Ends it, letting it finish what it has begun."""
        if self.child is not None:
            self.child.stop(STOP_TIMEOUT_S)

    def start_again(self, say: Callable[[str], None]) -> bool:
        """After its end: says so and starts it once more, unless it ended too often lately; whether it had ended."""
        if self.child is None or self.child.exit_code is None:
            return False
        code, log = self.child.reap(), self.child.log
        now = time.monotonic()
        if len(self._restarts) == RESTARTS_MAX and now - self._restarts[0] < RESTARTS_WINDOW_S:
            self.child = None
            say(f"[red]{self.name} ended with code {code} once too often and stays down; see {log}[/]")
            return True
        self._restarts.append(now)
        self.child = self._launch()
        say(f"[yellow]{self.name} ended with code {code} and was started again (pid {self.child.pid}); see {log}[/]")
        return True

    def _launch(self) -> Child:
        return Child(
            self.name,
            [*COMMAND, *self.arguments],
            log=self.logs / f"{self.name}.log",
            env=self.environment,
            keep_fds=[self.lock],
        )
