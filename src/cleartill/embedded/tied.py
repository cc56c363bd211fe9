"""Runs one command so that it ends with its launcher: `tied.py LAUNCHER_PID SIGNAL UID GID COMMAND ARGUMENT…`.

A program of its own, between launcher and part, because PR_SET_PDEATHSIG must be set after the fork, and after the user
has changed (the kernel clears it then), but running Python between fork and exec is unsafe in a process with threads.
The signal comes when the *thread* that started the child ends: start parts from a thread that lives as long as they do.
Linux only; elsewhere a part survives a launcher that is killed with SIGKILL. UID -1 keeps the user.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Becomes the command; returns only if the launcher is gone already."""
    launcher, death_signal, uid, gid = map(int, arguments[:4])
    command = arguments[4:]
    libc = ctypes.CDLL(None, use_errno=True)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux" and libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    if os.getppid() == launcher:
        os.execv(command[0], command)  # noqa: S606  (the launcher's command, no shell)


if __name__ == "__main__":
    main(sys.argv[1:])
