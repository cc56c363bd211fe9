"""A DogStatsD listener that keeps what it hears in a bounded file: `python -m cleartill.embedded.statsd PORT FILE`."""

import contextlib
import socket
import sys
from pathlib import Path

MAX_BYTES = 16_000_000
"""A fuller file is put aside as `<file>.1` (one is kept), so at most twice this."""
MAX_DATAGRAM_BYTES = 65_535


def listen(port: int, file: Path) -> None:
    """Appends every datagram, one metric a line, until the process is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))
        while True:
            with file.open("ab", buffering=0) as kept:
                while kept.tell() < MAX_BYTES:
                    kept.write(server.recv(MAX_DATAGRAM_BYTES).rstrip(b"\n") + b"\n")
            file.replace(file.with_name(file.name + ".1"))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        listen(int(sys.argv[1]), Path(sys.argv[2]))
