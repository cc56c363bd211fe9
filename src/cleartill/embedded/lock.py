"""A lock on a directory: one launcher at a time, and none while a dead launcher's children still run."""

import fcntl
import os
import time
from pathlib import Path

POLL_S = 0.05


class InUse(RuntimeError):
    """Another process holds the directory; the message says which, for a person."""


def hold(path: Path, *, wait_s: float) -> int:
    """Locks the file and answers its descriptor; closing it unlocks. Handed to a child (`keep_fds`), it stays locked
    until that has ended too, so that a lock won means: nobody is left.

    Raises InUse at once when the process that took it is alive, and after `wait_s` when that one is gone but what it
    started has not ended yet.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 20, 0).decode().strip()
            if (holder and _alive(int(holder))) or time.monotonic() > deadline:
                os.close(fd)
                raise InUse(f"{path.parent} is in use by process {holder or 'unknown'}") from None
            time.sleep(POLL_S)
        else:
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            return fd


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
