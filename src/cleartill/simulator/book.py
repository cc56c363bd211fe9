"""The bank's own book: an append-only file of JSON lines, on disk before anybody hears of it."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson


class BookError(RuntimeError):
    """The book cannot be written or read; the bank says nothing more until it is started anew."""


class Book:
    """Lines appended in order; `durable(n)` returns once the first n lines are on disk.

    One write and one fsync serve all lines that are waiting (group commit). With no path nothing is kept:
    the instant bank of benchmarks. One process owns a book: the file is locked.

    Raises `BookError` if the file is locked, damaged other than at its end, or cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.length = 0
        self._path = path
        self._file = -1
        self._waiting: list[bytes] = []
        self._on_disk = 0
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._broken: OSError | None = None
        self._stopping = False
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "bank-book")

    def replay(self) -> Iterator[dict[str, Any]]:
        """Open the file and read it back; a last line torn by a crash, never answered for, is cut off."""
        if self._path is None:
            return
        self._open(self._path)
        good = 0
        with open(self._file, "rb", closefd=False) as lines:
            for line in lines:
                try:
                    record = orjson.loads(line) if line.endswith(b"\n") else None
                except orjson.JSONDecodeError:
                    record = None
                if record is None:
                    break
                good += len(line)
                self.length += 1
                yield record
            if lines.read(1):
                raise BookError(f"line {self.length + 1} of the book is damaged, and others follow it")
        os.ftruncate(self._file, good)
        os.fsync(self._file)
        self._on_disk = self.length

    def append(self, line: bytes) -> int:
        """Put a line (no newline inside) into the book and return the book's new length; not yet on disk."""
        if self._broken is not None:
            raise BookError("the book cannot be written") from self._broken
        self.length += 1
        if self._path is not None:
            self._waiting.append(line)
            self._wake.set()
        return self.length

    async def durable(self, length: int) -> None:
        """Return once the first `length` lines are on disk."""
        if self._path is None:
            return
        while self._on_disk < length:
            if self._broken is not None:
                raise BookError("the book cannot be written") from self._broken
            await self._written.wait()

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        if self._path is not None:
            self._writer = asyncio.create_task(self._write_groups(), name="bank-book")

    async def stop(self) -> None:
        """Write what is waiting and let go of the file."""
        self._stopping = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BookError(f"another bank is writing {path.name}") from None
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)  # the file's name must survive as well
        os.close(folder)

    async def _write_groups(self) -> None:
        while self._broken is None and not (self._stopping and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            if self._waiting:
                await self._write_waiting()

    async def _write_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, b"\n".join(group) + b"\n")
        except OSError as error:  # after a failed fsync nobody knows what is on disk: never try again
            self._broken = error
        else:
            self._on_disk += len(group)
        written, self._written = self._written, asyncio.Event()
        written.set()

    def _write(self, lines: bytes) -> None:
        while lines:
            lines = lines[os.write(self._file, lines) :]
        os.fsync(self._file)
