"""The bank's book: on disk before anybody hears of it, read back after a crash, closed after a failure."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cleartill.simulator.book import Book, BookError


async def write(path: Path, *lines: bytes) -> None:
    """Open the book as a bank does, add lines, close it."""
    book = Book(path)
    list(book.replay())
    book.start()
    for line in lines:
        await book.durable(book.append(line))
    await book.stop()


async def test_lines_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "book.jsonl"
    await write(path, b'{"n":1}', b'{"n":2}')
    await write(path, b'{"n":3}')
    book = Book(path)
    assert [record["n"] for record in book.replay()] == [1, 2, 3]
    assert book.length == 3
    await book.stop()


@pytest.mark.parametrize("tail", [b'{"n":', b'{"n":3}', b'{"n":\n', b"\n"])
async def test_a_torn_last_line_is_cut_off_and_the_book_goes_on(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "book.jsonl"
    await write(path, b'{"n":1}', b'{"n":2}')
    path.write_bytes(path.read_bytes() + tail)
    await write(path, b'{"n":4}')
    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n{"n":4}\n'


async def test_damage_inside_the_book_is_not_overlooked(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    path.write_bytes(b'{"n":1}\n{"n"\n{"n":3}\n')
    book = Book(path)
    with pytest.raises(BookError, match="line 2"):
        list(book.replay())
    await book.stop()
    assert path.read_bytes() == b'{"n":1}\n{"n"\n{"n":3}\n'


async def test_two_banks_cannot_write_one_book(tmp_path: Path) -> None:
    first, second = Book(tmp_path / "book"), Book(tmp_path / "book")
    assert list(first.replay()) == []
    with pytest.raises(BookError, match="another bank"):
        list(second.replay())
    await first.stop()
    await second.stop()


async def test_nothing_is_durable_before_fsync_and_one_fsync_serves_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(tmp_path / "book")
    assert list(book.replay()) == []
    book.start()
    sync, gate, syncs = os.fsync, asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def held(file: int) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        syncs.append(file)
        sync(file)

    monkeypatch.setattr(os, "fsync", held)
    waiting = [asyncio.create_task(book.durable(book.append(b"{}"))) for _ in range(50)]
    done, _ = await asyncio.wait(waiting, timeout=0.05)
    assert not done
    gate.set()
    await asyncio.gather(*waiting)
    assert len(syncs) <= 2
    await book.stop()


@pytest.mark.parametrize("name", ["write", "fsync"])
async def test_after_a_failed_write_the_bank_says_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    book = Book(tmp_path / "book")
    assert list(book.replay()) == []
    book.start()
    await book.durable(book.append(b'{"n":1}'))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    broken: Callable[..., int] = full
    monkeypatch.setattr(os, name, broken)
    with pytest.raises(BookError):
        await book.durable(book.append(b'{"n":2}'))
    monkeypatch.undo()
    with pytest.raises(BookError):
        book.append(b'{"n":3}')
    await book.stop()
