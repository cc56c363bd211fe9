"""Only one releases at a time: a container of a fixed name on the target, that lives as long as who started it.

It runs `cat` on a pipe from this process: when this one ends, however it ends, the pipe is closed and the container
gone. So a killed release blocks nobody, and no lock has to be broken by hand.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.engine import Engine
from deploy.target import ROOT, Refused

NAME = "cleartill-release"
HELD = "held"
END_S = 30.0


@contextmanager
def lease(engine: Engine, image: str) -> Iterator[None]:
    """Raises Refused if somebody else has it."""
    bounds = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")
    kept = ("run", "--rm", "--interactive", "--name", NAME, *bounds, "--entrypoint", "sh", image)
    if engine.dry:
        yield
        return
    command = engine.command(*kept, "-c", f"echo {HELD}; exec cat")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as held:
        assert held.stdout is not None
        assert held.stdin is not None
        said = held.stdout.readline().strip()
        if said != HELD:
            held.stdin.close()
            said += held.stdout.read()
            taken = "already in use" in said
            raise Refused("somebody else is releasing to this place" if taken else f"no lease to be had: {said}")
        try:
            yield
        finally:
            held.stdin.close()
            try:
                held.wait(END_S)
            except subprocess.TimeoutExpired:
                held.kill()
