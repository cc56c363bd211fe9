"""What the embedded parts have in common: a home, a port, a log, one process, and an end."""

import abc
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from cleartill.embedded.child import Child, StartFailed


class Part(abc.ABC):
    """A server of another make, run as a child process. `home` is its directory; its log lies there unless told.

    `keep_fds` stay open in the process (see Child).
    """

    name: ClassVar[str]
    stop_timeout_s: ClassVar[float] = 15.0

    def __init__(self, home: Path, port: int, *, log: Path | None = None, keep_fds: Sequence[int] = ()) -> None:
        self.port = port
        self._home = home.absolute()
        self._log = (log or home / f"{self.name}.log").absolute()
        self._keep_fds = tuple(keep_fds)
        self._process: Child | None = None

    @abc.abstractmethod
    def start(self) -> str:
        """Starts it and answers its address once it serves; raises StartFailed with its own words."""

    def stop(self) -> None:
        """Ends it in good order; does nothing when it does not run."""
        if self._process is not None:
            self._process.stop(self.stop_timeout_s)
            self._process = None

    @property
    def process(self) -> Child:
        """Its process; raises StartFailed when there is none."""
        if self._process is None:
            raise StartFailed(f"{self.name} is not running")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
