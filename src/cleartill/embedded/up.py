"""`cleartill up`: everything on one machine, started in order, watched, and stopped in reverse order.

Parts that the environment names (DATABASE_URL, REDIS_URL, KAFKA_BOOTSTRAP_SERVERS, BANKING_API_URL, DD_AGENT_HOST) are
used instead of the embedded ones. Ends at Ctrl-C, SIGTERM and SIGHUP; killed itself, it takes every child along.
"""

import base64
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from cleartill.embedded import beside
from cleartill.embedded.agent import PORTS as AGENT_PORTS
from cleartill.embedded.child import StartFailed
from cleartill.embedded.lock import InUse, hold
from cleartill.embedded.scratch import PORT_LIMIT, is_free, scratch_dir
from cleartill.embedded.stack import Stack

LOCK_WAIT_S = 30.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED, FAILED, REFUSED = 0, 1, 2
"""Exit codes: ended as asked; a part did not start; nothing was started (a port or the directory is taken)."""


class Refused(Exception):
    """Nothing was started; the message says why, for a person."""


class Stop(BaseException):
    """A signal asked for the end."""


def up(
    *,
    api_port: int = 8000,
    bank_port: int = 1080,
    postgres_port: int = 15432,
    redis_port: int = 16379,
    kafka_port: int = 19092,
    agent_port: int = 8126,
    statsd_port: int = 8125,
    data_dir: Path = Path(".cleartill"),
    ephemeral: bool = False,
    api_processes: int = 1,
    notes: Path | None = None,
) -> int:
    """Runs everything until asked to stop; answers the exit code. Call it from the main thread. `notes`: where commands
    look for what runs; it is told there if the data is elsewhere."""
    ports = {
        "api": api_port,
        "bank": bank_port,
        "postgres": postgres_port,
        "redis": redis_port,
        "kafka": kafka_port,
        "agent": agent_port,
        "statsd": statsd_port,
    }
    say = Console(stderr=True, highlight=False, soft_wrap=True)
    with _signals_as_stop(), contextlib.ExitStack() as undo:
        try:
            if ephemeral:
                data_dir = undo.enter_context(scratch_dir())
            stack = undo.enter_context(_locked(data_dir, ports, say))
            if notes is not None:
                undo.enter_context(beside.noted(data_dir, notes))
            stack.start(undo, api_processes)
            stack.watch()
        except Stop:
            _ignore_signals()
            say.print("stopping …")
            return STOPPED
        except Refused as refusal:
            say.print(f"[red]{escape(str(refusal))}[/]")
            return REFUSED
        except (StartFailed, InUse) as failure:
            _ignore_signals()
            say.print(f"[red]{escape(str(failure))}[/]")
            return FAILED


@contextlib.contextmanager
def _locked(data: Path, ports: dict[str, int], say: Console) -> Iterator[Stack]:
    """The data directory, held for this process and its children; raises Refused when anything is taken."""
    os.umask(0o077)  # keys, books and logs are their owner's alone
    data = data.absolute()
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        data.chmod(0o711)  # PostgreSQL's user must pass through to its own directory
    try:
        lock = hold(data / "lock", wait_s=LOCK_WAIT_S)
    except InUse as error:
        raise Refused(f"cleartill is up already here: {error}. Use its --data-dir, or stop it first.") from error
    try:
        environment = dict(os.environ)
        (data / "up.json").unlink(missing_ok=True)
        _check_ports(ports, environment)
        environment |= {"API_HOST": "127.0.0.1", "API_PORT": str(ports["api"]), beside.CHOSEN: str(data)}
        environment.setdefault("ENV", "development")
        environment.setdefault("DRAIN_GRACE_S", "0")  # no balancer has to notice that it stops
        if not environment.get("ENCRYPTION_KEY") and not environment.get("ENCRYPTION_KEY_FILE"):
            environment["ENCRYPTION_KEY_FILE"] = str(_encryption_key(data / "encryption.key"))
        yield Stack(data, ports, lock, say, environment)
    finally:
        os.close(lock)


def _encryption_key(file: Path) -> Path:
    """This directory's own key ring, made once: cards stored by one run can be read by the next."""
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
        fresh.replace(file)
    return file


def _check_ports(ports: dict[str, int], environment: dict[str, str]) -> None:
    """Raises Refused, naming the option, for a port that is taken, too high, or asked for twice."""
    replaced = {
        "bank": "BANKING_API_URL",
        "postgres": "DATABASE_URL",
        "redis": "REDIS_URL",
        "kafka": "KAFKA_BOOTSTRAP_SERVERS",
        "agent": "DD_AGENT_HOST",
        "statsd": "DD_AGENT_HOST",
    }
    seen: dict[tuple[int, socket.SocketKind], str] = {}
    for name, first in ports.items():
        if name in replaced and environment.get(replaced[name]):
            continue
        option = "--port" if name == "api" else f"--{name}-port"
        kind = socket.SOCK_DGRAM if name == "statsd" else socket.SOCK_STREAM
        for port in range(first, first + (AGENT_PORTS if name == "agent" else 1)):
            if not 0 < port < PORT_LIMIT:
                raise Refused(f"{option}: {port} is not between 1 and {PORT_LIMIT - 1}")
            if (port, kind) in seen:
                raise Refused(f"{option}: port {port} is wanted by {seen[port, kind]} too")
            if not is_free(port, kind):
                raise Refused(f"{option}: port {port} on 127.0.0.1 is taken; choose another with {option} N")
            seen[port, kind] = option


@contextlib.contextmanager
def _signals_as_stop() -> Iterator[None]:
    before = {number: signal.signal(number, _raise_stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stop


def _ignore_signals() -> None:
    """From here on everything is being stopped, each within its time limit; a second Ctrl-C must not leave half."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
