"""`make rolling-restart`: its door does what a balancer does, and counts what a release may not cost."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cleartill.embedded.scratch import free_port

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from chaos_callbacks import read_message
from rolling_restart_door import Door

PAY = b"POST /pay HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"


class Process:
    """An API process, as far as a door can tell: `cuts` hangs up on a payment, `last` closes after its answer."""

    def __init__(self) -> None:
        self.port, self.ready, self.paid, self.cuts, self.last = free_port(), True, 0, False, False
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)

    def close(self) -> None:
        self._server.close()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(EOFError, OSError):
            while True:
                asked = await read_message(reader)
                if asked.startswith(b"GET /health/ready"):
                    writer.write(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\n\r\n" % (200 if self.ready else 503))
                    continue
                if self.cuts:
                    break
                self.paid += 1
                close = b"connection: close\r\n" if self.last else b""
                writer.write(b"HTTP/1.1 201 -\r\n" + close + b"Content-Length: 2\r\n\r\nok")
        writer.close()


@pytest.fixture
async def processes() -> AsyncIterator[list[Process]]:
    made = [Process(), Process()]
    for process in made:
        await process.start()
    yield made
    for process in made:
        process.close()


@pytest.fixture
async def door(processes: list[Process], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr("rolling_restart_door.CHECK_S", 0.01)
    made = Door(free_port(), [process.port for process in processes])
    await made.open()
    await until(lambda: all(made.ready.values()))
    yield made
    await made.close()


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110  (what changes is another process, as it were)
            await asyncio.sleep(0.005)


async def pays(door: Door, times: int = 1) -> bytes:
    """The last answer on one connection; nothing when it was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door._port)
    answer = b""
    try:
        for _ in range(times):
            writer.write(PAY)
            answer = await read_message(reader)
    except EOFError:
        return b""
    finally:
        writer.close()
    return answer


async def test_it_sends_to_each_and_to_nobody_who_is_not_ready(door: Door, processes: list[Process]) -> None:
    await pays(door, 4)
    assert [process.paid for process in processes] == [2, 2]
    processes[0].ready = False
    await until(lambda: not door.ready[processes[0].port])
    await pays(door, 4)
    assert [process.paid for process in processes] == [2, 6]
    assert door.seen == {"requests": 8}


async def test_a_closed_door_is_counted_and_another_one_tried(door: Door, processes: list[Process]) -> None:
    door._tasks.pop().cancel(), door._tasks.pop().cancel()  # nobody notices
    processes[0].close()
    assert (await pays(door, 2)).endswith(b"ok")
    assert (door.seen["refused"], door.seen["cut"], processes[1].paid) == (1, 0, 2)


async def test_a_payment_is_sent_once_and_a_cut_is_counted(door: Door, processes: list[Process]) -> None:
    for process in processes:
        process.cuts = True
    assert await pays(door) == b""
    assert (door.seen["cut"], [process.paid for process in processes]) == (1, [0, 0])


async def test_the_last_answer_of_a_connection_is_not_the_callers_last(door: Door, processes: list[Process]) -> None:
    for process in processes:
        process.last = True
    answer = await pays(door, 6)
    assert answer.startswith(b"HTTP/1.1 201")
    assert b"connection" not in answer.lower()
    assert sum(process.paid for process in processes) == 6


async def test_nobody_ready_is_said_and_counted(door: Door, processes: list[Process]) -> None:
    for process in processes:
        process.ready = False
    await until(lambda: not any(door.ready.values()))
    assert b"Retry-After" in await pays(door)
    assert door.seen["nobody"] == 1
