"""Which stacks run beside a folder: `up` says where it keeps its data, and commands that are run there find it.

A stack in the folder's own `.cleartill` is found by its up.json. One that keeps its data elsewhere (`--ephemeral`,
`--data-dir`) leaves a note in `.cleartill/elsewhere/` for as long as it runs: a file that is named after its process
and holds the place of its data. Notes that the dead have left are passed over.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(".cleartill")
"""Where a stack keeps its data, and its notes are, seen from the folder it was started in."""
NOTES = "elsewhere"
UP = "up.json"
CHOSEN = "CLEARTILL_DATA_DIR"
"""Environment variable: the data directory of the stack that is meant, when there are several."""


class SeveralRun(RuntimeError):
    """Nobody said which one is meant; the message names them, for a person."""


@contextlib.contextmanager
def noted(data: Path, beside: Path) -> Iterator[None]:
    """While this lasts, `beside` tells that a stack has its data in `data`, unless nothing may be written there."""
    note = beside / NOTES / str(os.getpid())
    if data.absolute() == beside.absolute():
        yield
        return
    made = not beside.exists()
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{data.absolute()}\n")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # whose folder holds more, keeps it
            note.unlink(missing_ok=True)
            note.parent.rmdir()
            if made:
                beside.rmdir()


def data_of_the_running(beside: Path = DATA) -> Path | None:
    """The data directory of the stack that runs here: the one that CLEARTILL_DATA_DIR names, else the folder's own,
    else the only one elsewhere. None if there is none. Raises SeveralRun."""
    if chosen := os.environ.get(CHOSEN):
        return Path(chosen)
    if _launcher(beside):
        return beside
    found = sorted(_elsewhere(beside))
    if len(found) > 1:
        places = ", ".join(map(str, found))
        raise SeveralRun(
            f"Several stacks run here, with their data in {places}. Say which is meant: {CHOSEN}={found[0]}"
        )
    return found[0] if found else None


def what_it_says(data: Path | None) -> dict[str, Any]:
    """The up.json there: addresses, keys, processes. Nothing if there is none."""
    with contextlib.suppress(OSError, ValueError):
        if data is not None:
            return dict(json.loads((data / UP).read_text()))
    return {}


def _elsewhere(beside: Path) -> Iterator[Path]:
    for note in (beside / NOTES).glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            data = Path(note.read_text().strip())
            if _launcher(data) == int(note.name):
                yield data


def _launcher(data: Path) -> int | None:
    """The process of the `up` that has its data there; None if none lives. Killed, it leaves its up.json behind."""
    pids = what_it_says(data).get("pids")
    pid = pids.get("up") if isinstance(pids, dict) else None
    if not isinstance(pid, int):
        return None
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's, and alive
        return pid
    except OSError:
        return None
    return pid
