"""Throw-away places: free ports, and directories that go away again."""

import contextlib
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

PORT_LIMIT = 32768
"""Ports from here on are the kernel's to hand out (Linux, ip_local_port_range), so no server of ours takes one."""
TEST_PORTS = range(20_000, PORT_LIMIT)
TRIES = 100


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether a server could listen on 127.0.0.1 at this port now. TCP, or UDP by SOCK_DGRAM."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free for TCP and UDP just now, from a range that is the tests'."""
    for port in random.sample(TEST_PORTS, TRIES):
        if is_free(port) and is_free(port, socket.SOCK_DGRAM):
            return port
    raise OSError(f"no free port in {TRIES} tries")


@contextlib.contextmanager
def scratch_dir() -> Iterator[Path]:
    """A directory that an unprivileged user can reach too (PostgreSQL's, when this is root), removed at the end."""
    place = Path(tempfile.mkdtemp(prefix="cleartill-", dir=_temporary_root()))
    place.chmod(0o711)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _temporary_root() -> str | None:
    if os.geteuid() != 0:
        return None
    roots = (tempfile.gettempdir(), "/var/tmp")  # noqa: S108  (a folder with a name nobody can guess is made in it)
    return next((root for root in roots if open_to_all(Path(root))), None)


def open_to_all(path: Path) -> bool:
    """Whether every user can pass through this directory (or read this program): all its parents let others through."""
    real = path.resolve()
    return all(step.stat().st_mode & 0o001 for step in (real, *real.parents))
