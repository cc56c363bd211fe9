"""A Kafka for one machine: librdkafka's mock cluster, one broker, in a process of its own (`python -m …kafka PORT`, or
`PORT ADVERTISED` for clients that are to come by another port, such as a proxy's).

The same mock as `test.mock.num.brokers`, but made through librdkafka's C interface, because that setting
lets the kernel choose the port, and ours are chosen and below 32768. The C interface can set the address
the broker advertises, not the one it listens on: for that, our own listening socket takes the place of the
broker's (dup2 over its descriptor).

It keeps everything in memory, trims its logs at about 5 MB a partition, makes a topic when somebody asks for it (four
partitions), and shows aborted transactions. A real broker: KAFKA_BOOTSTRAP_SERVERS.
"""

import ctypes
import os
import signal
import socket
import sys
from typing import Any

from cleartill.embedded.child import Child
from cleartill.embedded.part import Part

READY_TIMEOUT_S = 30.0
PRODUCER = 0
BROKER_ID = 1
ERROR_BYTES = 512


class EmbeddedKafka(Part):
    """A Kafka broker; `start()` answers its bootstrap address. When it stops, what it held is gone. `advertised`: the
    port that clients are told, if not the broker's own."""

    name = "kafka"
    advertised: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> str:
        command = [sys.executable, "-m", "cleartill.embedded.kafka", str(self.port), str(self.advertised or self.port)]
        self._process = Child(self.name, command, log=self._log, keep_fds=self._keep_fds)
        self._process.wait_ready(self._accepts, READY_TIMEOUT_S)
        return self.bootstrap_servers

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


def serve(port: int, advertised: int) -> None:
    """Holds a mock cluster on 127.0.0.1:`port` until SIGTERM or SIGINT; its clients connect to `advertised`."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    librdkafka = _librdkafka()
    error = ctypes.create_string_buffer(ERROR_BYTES)
    client = librdkafka.rd_kafka_new(PRODUCER, None, error, ERROR_BYTES)
    if not client:
        raise OSError(error.value.decode())
    cluster = librdkafka.rd_kafka_mock_cluster_new(client, 1)
    given_port = int(librdkafka.rd_kafka_mock_cluster_bootstraps(cluster).decode().rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        listener.setblocking(False)
        os.dup2(listener.fileno(), _listening_fd(given_port))
    librdkafka.rd_kafka_mock_broker_set_host_port(cluster, BROKER_ID, b"127.0.0.1", advertised)
    signal.sigwait(signals)


def _librdkafka() -> Any:
    """The library inside confluent-kafka's wheel (2.11 or later), found through the extension that links it."""
    from confluent_kafka import cimpl

    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, ...]] = {
        "rd_kafka_new": (pointer, number, pointer, text, ctypes.c_size_t),
        "rd_kafka_mock_cluster_new": (pointer, pointer, number),
        "rd_kafka_mock_cluster_bootstraps": (text, pointer),
        "rd_kafka_mock_broker_set_host_port": (None, pointer, ctypes.c_int32, text, number),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _listening_fd(port: int) -> int:
    """This process's descriptor that listens at the port."""
    for fd in map(int, os.listdir("/dev/fd")):
        try:
            candidate = socket.socket(fileno=fd)
        except OSError:
            continue  # not a socket
        try:
            listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if listens and candidate.family == socket.AF_INET and candidate.getsockname()[1] == port:
                return fd
        finally:
            candidate.detach()
    raise OSError(f"no descriptor listens at {port}")


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[-1]))
