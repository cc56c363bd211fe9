"""What scripts/prod_check runs, in order, and what each ending means."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
BIN = Path(sys.executable).parent
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Of the environment, when an env file is judged: what a program needs to run, and no setting."""
STOP_S = 20.0
DOCKER_S = 15.0


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_KNOWN = "not known"
    """It was asked, and nobody could say."""
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Ended:
    result: Result
    seconds: float
    note: str = ""
    """Why it is not simply passed or failed."""


def always() -> str:
    return ""


@dataclass(frozen=True)
class Check:
    """`commands` are run one after the other, all of them; `unable` says why they cannot be here, if so. `settings`:
    the whole environment, in place of this one's. `unknown`: the exit code that says that nothing could be learnt."""

    name: str
    what: str
    commands: tuple[tuple[str, ...], ...]
    at_most_s: float = 600.0
    takes_minutes: bool = False
    unknown: int | None = None
    unable: Callable[[], str] = always
    settings: Mapping[str, str] | None = field(default=None, repr=False)
    cwd: Path = ROOT

    def run(self, log: Path) -> Ended:
        """What it says goes to `log`. Stopped from outside, it takes its children with it."""
        if why := self.unable():
            return Ended(Result.NOT_RUN, 0.0, why)
        began, codes = time.monotonic(), []
        with log.open("wb") as out:
            for command in self.commands:
                out.write(f"$ {' '.join(command)}\n".encode())
                out.flush()
                left = self.at_most_s - (time.monotonic() - began)
                codes.append(_run(command, out.fileno(), left, self.settings, self.cwd))
        seconds = time.monotonic() - began
        if None in codes:
            return Ended(Result.FAILED, seconds, f"not done within {self.at_most_s:.0f} s")
        wrong = [code for code in codes if code]
        if wrong and all(code == self.unknown for code in wrong):
            return Ended(Result.NOT_KNOWN, seconds, "nobody here could say")
        return Ended(Result.FAILED if wrong else Result.PASSED, seconds)


def _run(
    command: tuple[str, ...], out: int, left_s: float, settings: Mapping[str, str] | None, cwd: Path
) -> int | None:
    """The exit code; None if it took too long, and 127 if there is no such program."""
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=settings if settings is not None else _without_makes_own(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it and its children can be ended together
        )
    except FileNotFoundError as absent:
        os.write(out, f"{absent}\n".encode())
        return 127
    try:
        return process.wait(max(0.1, left_s))
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            _end(process)


def _without_makes_own() -> dict[str, str]:
    """This environment, without what a make that called us hands on to every make below: its ARGS were meant for us."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS")}


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started: first asked, then made to."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def production_settings(env_file: Path | None, scratch: Path) -> dict[str, str]:
    """An environment that says of itself that it is production: the caller's, or one with nothing but the file's lines
    in it. A stack that happens to run here lends it nothing."""
    if env_file is None:
        told = dict(os.environ)
    else:
        told = {name: value for name in KEPT if (value := os.environ.get(name)) is not None}
        told |= {name.upper(): value for name, value in dotenv_values(env_file).items() if value is not None}
    return told | {"ENV": "production", "CLEARTILL_DATA_DIR": str(scratch)}


def without_docker() -> str:
    """Why no image can be built here; empty if one can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker command here"
    try:
        asked = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=DOCKER_S)
    except subprocess.TimeoutExpired:
        return "the Docker engine does not answer"
    return "no Docker engine answers here" if asked.returncode else ""


def checks(env_file: Path | None, scratch: Path) -> list[Check]:
    """All of them, the quick ones first. `scratch`: an empty folder."""
    python, ruff = sys.executable, str(BIN / "ruff")
    data = str(SCRIPTS / "prod_check_licences.py")
    settings = production_settings(env_file, scratch)
    return [
        Check(
            "lint",
            "style, form, what Datadog would take",
            (
                (ruff, "check", "."),
                (ruff, "format", "--check", "."),
                (python, str(SCRIPTS / "datadog"), "validate", "--quiet"),
            ),
        ),
        Check("types", "mypy, strict", ((str(BIN / "mypy"),),)),
        Check("imports", "who may import whom", ((str(BIN / "lint-imports"),),)),
        # S101 by hand: rules that are named here do away with pyproject.toml's, where it says why.
        Check(
            "security",
            "ruff's security rules over the service",
            ((ruff, "check", "--select", "S", "--ignore", "S101", "src"),),
        ),
        Check("licences", "of every locked package", ((python, data),)),
        Check(
            "settings",
            f"would production start with {env_file or 'this environment'}",
            ((python, "-m", "cleartill", "doctor", "--settings"),),
            settings=settings,
            # Only where nobody named a file does .env count, as it does for everything that is run here.
            cwd=scratch if env_file else ROOT,
        ),
        Check(
            "delivery",
            "compose files, Dockerfiles, manifests",
            ((python, str(SCRIPTS / "delivery_check")),),
        ),
        Check(
            "audit",
            "known weaknesses of every locked package",
            ((python, str(SCRIPTS / "supply_chain"), "audit"),),
            unknown=2,
        ),
        Check(
            "migrations",
            "up, down and up again on a database with data",
            ((str(BIN / "pytest"), "tests/adapters/test_migrations.py"),),
        ),
        Check(
            "fuzz",
            "Schemathesis over the whole OpenAPI document, a short run",
            ((python, str(SCRIPTS / "fuzz"), "--examples", "5"),),
            at_most_s=1800.0,
            takes_minutes=True,
        ),
        Check(
            "tests",
            "all of them, on real PostgreSQL, Valkey and Kafka",
            (("make", "--no-print-directory", "test"),),
            at_most_s=3600.0,
            takes_minutes=True,
        ),
        Check(
            "image",
            "it can be built",
            (("docker", "build", "--tag", "cleartill:prod-check", "."),),
            at_most_s=1800.0,
            unable=without_docker,
        ),
    ]
