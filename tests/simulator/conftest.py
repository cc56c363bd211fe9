"""The bank under test, served on a free port, and the words to talk to it."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from cleartill.simulator.acquirer import Acquirer
from cleartill.simulator.book import Book
from cleartill.simulator.http import bank_server, create_bank


def free_port() -> int:
    """A port below 32768 on which nobody answers."""
    for _ in range(100):
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


@contextmanager
def running(server: uvicorn.Server) -> Iterator[None]:
    """Run a server in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def ports(port: int) -> tuple[int, int]:
    """Two of them."""
    other = free_port()
    while other == port:
        other = free_port()
    return port, other


@pytest.fixture(scope="module")
def book_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bank") / "book.jsonl"


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[FastAPI], str]]:
    """Serves a bank until the module's end; its address."""
    with ExitStack() as undo:

        def begin(bank: FastAPI) -> str:
            port = free_port()
            undo.enter_context(running(bank_server(bank, port=port)))
            return f"http://127.0.0.1:{port}"

        yield begin


@pytest.fixture(scope="module")
def simulator_url(book_path: Path) -> Iterator[str]:
    """The simulator with a durable book."""
    port = free_port()
    with running(bank_server(create_bank(Acquirer(Book(book_path))), port=port)):
        yield f"http://127.0.0.1:{port}"
