"""Datadog's stand-in for its agent, `ddapm-test-agent`: takes the traces, checks them, answers them at /test/traces.

It pins an old `opentelemetry-proto`, so it has an environment of its own, made at first use from the hashes in
agent.lock beside this file: by uv when there is one, by venv and pip otherwise. Without network there are no traces.
"""

import os
import shutil
import sys
from pathlib import Path

from cleartill.embedded.child import Child, StartFailed, answers
from cleartill.embedded.lock import hold
from cleartill.embedded.part import Part

REQUIREMENTS = Path(__file__).with_name("agent.lock")
ENVIRONMENT = Path(sys.prefix) / "trace-agent"
"""Inside this environment: made once for all data directories, and gone with it."""
MADE_FROM = "made-from.lock"
PORTS = 4
INSTALL_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 30.0
MAX_RESIDENT_BYTES = 400_000_000
"""The agent keeps every trace in memory; beyond this `trim` makes it forget them."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class EmbeddedAgent(Part):
    """The trace agent on `port`; the three ports after it are its too: OTLP by HTTP and gRPC (unused, but it insists),
    and its web page."""

    name = "agent"

    @property
    def url(self) -> str:
        """Where the tracer sends, and where /test/traces shows what came."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ports(self) -> range:
        """Every port it listens on, `port` first."""
        return range(self.port, self.port + PORTS)

    @property
    def page(self) -> str:
        """Its web page."""
        return f"http://127.0.0.1:{self.ports[-1]}"

    def start(self) -> str:
        self._home.mkdir(parents=True, exist_ok=True)
        install(ENVIRONMENT, self._log)
        program = ENVIRONMENT / "bin" / "ddapm-test-agent"
        listen = ["--host", "127.0.0.1", "--port", str(self.port)]
        others = dict(zip(("--otlp-http-port", "--otlp-grpc-port", "--web-ui-port"), self.ports[1:], strict=True))
        more = [str(word) for option in others.items() for word in option]
        self._process = Child(
            self.name,
            [program, *listen, *more, "--disable-llmobs-data-forwarding"],
            log=self._log,
            # No DD_* of ours: it would forward what it gets to the agent they name.
            env={"PATH": os.defpath, "LOG_LEVEL": "WARNING"},
            cwd=self._home,
            keep_fds=self._keep_fds,
        )
        self._process.wait_ready(lambda: answers(f"{self.url}/info"), READY_TIMEOUT_S)
        return self.url

    def trim(self) -> bool:
        """Makes it forget its traces when it has grown too large; answers whether it did."""
        resident = Path(f"/proc/{self.process.pid}/statm")
        if not resident.exists() or int(resident.read_text().split()[1]) * PAGE_BYTES < MAX_RESIDENT_BYTES:
            return False
        return answers(f"{self.url}/test/session/clear")


def is_installed(environment: Path = ENVIRONMENT, requirements: Path = REQUIREMENTS) -> bool:
    """Whether its environment stands, made from the lock of now."""
    made_from = environment / MADE_FROM
    return made_from.exists() and made_from.read_text() == requirements.read_text()


def install(environment: Path, log: Path, requirements: Path = REQUIREMENTS) -> None:
    """Makes an environment of its own, the agent's or that of `requirements`, unless it stands; raises StartFailed when
    it cannot."""
    lock: int | None = None
    try:
        environment.parent.mkdir(parents=True, exist_ok=True)
        lock = hold(environment.with_name(f".{environment.name}.lock"), wait_s=INSTALL_TIMEOUT_S)
        if is_installed(environment, requirements):
            return
        shutil.rmtree(environment, ignore_errors=True)
        for command in _install_commands(environment, requirements):
            step = Child(f"the installation of {environment.name}", command, log=log)
            if step.wait(INSTALL_TIMEOUT_S) != 0:
                raise StartFailed(f"{step.name} failed (no network?); see {log}")
        shutil.copyfile(requirements, environment / MADE_FROM)
    except OSError as error:
        raise StartFailed(f"{environment} cannot be made: {error}") from error
    finally:
        if lock is not None:
            os.close(lock)


def _install_commands(environment: Path, requirements: Path) -> list[list[str]]:
    python = str(environment / "bin" / "python")
    hashed = ["--require-hashes", "-r", str(requirements)]
    uv = shutil.which("uv")
    if uv:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(environment)],
            [uv, "pip", "install", "--quiet", "--python", python, *hashed],
        ]
    return [
        [sys.executable, "-m", "venv", str(environment)],
        [python, "-m", "pip", "install", "--quiet", *hashed],
    ]
