"""One child process of the launcher: its log file, its end, and the wait until it is ready."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

LOG_MAX_BYTES = 10_000_000
"""A longer log is put aside (one old one is kept) when its process starts."""
TAIL_BYTES = 2_000
POLL_S = 0.05
ANSWER_TIMEOUT_S = 2.0
TIED = Path(__file__).with_name("tied.py")


class StartFailed(RuntimeError):
    """A part did not come up; the message says why, for a person."""


class Child:
    """A running process, tied to this one, whose output goes to `log`.

    `death_signal` is what it gets when this process dies, and first in `stop()`. `user` is the (uid, gid) it runs as,
    None for this one's. `keep_fds` stay open in it: a lock held through them lasts as long as any process has them.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        user: tuple[int, int] | None = None,
        keep_fds: Sequence[int] = (),
        stdin: IO[bytes] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.death_signal = death_signal
        uid, gid = user or (-1, -1)
        tie = [sys.executable, "-I", "-S", str(TIED), str(os.getpid()), str(int(death_signal)), str(uid), str(gid)]
        with _opened(log) as out:
            self._process = subprocess.Popen(  # noqa: S603  (commands of our own, no shell)
                [*tie, *map(str, command)],
                stdin=stdin or subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                pass_fds=keep_fds,
                # A session of its own: Ctrl-C in the terminal reaches the launcher alone, which stops things in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id; `tied` replaces itself by the command, so it is the command's."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """Waits for its end and answers the exit code; raises StartFailed, and stops it, when it takes too long."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise StartFailed(f"{self.name} did not finish within {timeout_s:.0f} s; see {self.log}") from None

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Returns when `ready()` is true; raises StartFailed, with the log's end, if it dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.exit_code is not None:
                raise StartFailed(f"{self.name} ended with code {self.exit_code}:\n{self.tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StartFailed(f"{self.name} was not ready within {timeout_s:.0f} s:\n{self.tail()}")
            time.sleep(POLL_S)

    def stop(self, timeout_s: float = 15.0) -> int:
        """Asks it to end, then makes it, together with whatever it started; answers the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(self.death_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self.reap()

    def reap(self) -> int:
        """After its end: ends what it left behind in its session, and answers the exit code."""
        code = self._process.wait(POLL_S * 100)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing left behind: the usual case
            os.killpg(self._process.pid, signal.SIGKILL)
        return code

    def tail(self) -> str:
        """The end of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_MAX_BYTES:
        log.replace(log.with_suffix(".1" + log.suffix))
    return log.open("ab")


def answers(url: str) -> bool:
    """Whether the URL, on this machine, answers 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=ANSWER_TIMEOUT_S) as response:
            return bool(response.status == 200)
    except OSError:
        return False
