"""The full disk of scripts/overload: PostgreSQL on a small file system of its own, where one can be mounted."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from overload_judge import BankBook, Figure, agreed, manners, reconciled
from overload_scenes import BACK_WITHIN_S, Capacity, Scale, Stage
from overload_stack import Ground, Statsd

SIZE_MB = 384
RATE, BEFORE_S, FULL_S, AFTER_S = 40.0, 2.0, 8.0, 8.0
REFUSING_WITHIN_S = 2.0
PIECE = b"\0" * (1 << 20)


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[bool]:
    """A file system of SIZE_MB at `place`; False if this user may not mount one."""
    place.mkdir(mode=0o711)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0711", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=False, timeout=10)


def fill_up(file: Path) -> None:
    """To the last byte."""
    with file.open("ab", buffering=0) as ballast:
        for piece in (PIECE, PIECE[:4096], PIECE[:1]):
            with contextlib.suppress(OSError):
                while ballast.write(piece):
                    pass


def disk_full(home: Path, scale: Scale, say: Callable[[str], None]) -> list[Figure]:
    """PostgreSQL's disk is full, and then is not."""
    with small_disk(home / "disk") as mounted:
        if not mounted:
            return [Figure("not run", "", "no file system can be mounted here: that takes root", None)]
        (home / "small").mkdir(mode=0o711)
        with Statsd() as statsd, Ground.laid(home / "small", statsd.port, home / "disk" / "postgres") as ground:
            stage = Stage(ground, statsd, scale, say, BankBook(ground), Capacity())
            return _filled(stage, home / "disk" / "ballast")


def _filled(stage: Stage, ballast: Path) -> list[Figure]:
    ground = stage.ground
    with stage.under("disk", RATE) as tolds:
        time.sleep(BEFORE_S)
        fill_up(ballast)
        full_at = time.monotonic()
        time.sleep(FULL_S)
        ballast.unlink()
        supervised = ground.postgres.process.exit_code is not None
        if supervised:  # as whoever runs it would: it gives up where it cannot even write that it has recovered
            ground.postgres.stop()
            ground.postgres.start()
        free_at = time.monotonic()
        time.sleep(AFTER_S)
    told = tolds[0]
    refused = [due + took for due, took, status, _ in told.rows(full_at, free_at) if status == 503]
    taken = told.answered_per_s(full_at + REFUSING_WITHIN_S, free_at)
    back = told.back_after(free_at, 0.9 * RATE)
    how = ", PostgreSQL started again" if supervised else ", by itself"
    return [
        Figure("refused while it is full", "some", f"{len(refused):,}", bool(refused), timed=False),
        Figure("captured while it is full", "", f"{taken:.1f}/s", None),
        Figure(
            "serving again",
            f"≤ {BACK_WITHIN_S:.0f} s",
            ("never" if back is None else f"{back:.1f} s") + how,
            back is not None and back <= BACK_WITHIN_S,
        ),
        *manners(told, 202),
        *agreed(ground, stage.book, told),
        reconciled(ground),
    ]
