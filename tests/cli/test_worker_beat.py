"""How a container is told that a worker lives."""

import asyncio
import os
from pathlib import Path

import pytest

from cleartill.cli import serving


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_the_file_is_touched_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "BEAT_S", 0.001)
    file = tmp_path / "worker"
    beating = asyncio.create_task(serving.beat(str(file)))
    await until(file.exists)
    for _ in range(2):
        os.utime(file, (0, 0))
        await until(lambda: file.stat().st_mtime > 0)
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating


async def test_without_a_file_there_is_nothing_to_do() -> None:
    await asyncio.wait_for(serving.beat(""), 1)
