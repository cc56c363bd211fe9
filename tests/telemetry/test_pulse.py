"""The pulse: how late the loop is, and how full what it is told to look at."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from cleartill.telemetry import pulse
from cleartill.telemetry.metrics import Metrics
from cleartill.telemetry.pulse import Level, Pulse


@dataclass
class Wrist:
    """Where the pulse is felt: `beat` waits for the next one, whose values have been said by then."""

    stage: Any
    beats: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    number: int = 0

    def __post_init__(self) -> None:
        levels = [Level("books.queue", {}, self._read), Level("pool.busy", {"pool": "lists"}, lambda: 2)]
        self.pulse = Pulse(Metrics(self.stage.heard, strict=True), levels)

    def _read(self) -> float:
        self.number += 1
        self.beats.put_nowait(self.number)
        return self.number

    async def beat(self) -> int:
        return await asyncio.wait_for(self.beats.get(), 30)

    def said(self, name: str) -> list[float]:
        return [value for _, what, value, _ in self.stage.heard.said if what == name]


def block(seconds: float) -> None:
    """What nobody must do in an event loop."""
    time.sleep(seconds)


@pytest.fixture
def wrist(stage: Any, monkeypatch: pytest.MonkeyPatch) -> Wrist:
    monkeypatch.setattr(pulse, "EVERY_S", 0.001)
    return Wrist(stage)


async def test_levels_are_read_anew_at_every_beat(wrist: Wrist) -> None:
    wrist.pulse.start()
    assert [await wrist.beat() for _ in range(3)] == [1, 2, 3]
    await wrist.pulse.close()
    assert wrist.said("books.queue")[:3] == [1, 2, 3]
    assert wrist.stage.heard.tags_of("pool.busy")[0] == ["pool:lists"]
    assert {kind for kind, _, _, _ in wrist.stage.heard.said} == {"distribution"}


async def test_a_blocked_loop_is_late(wrist: Wrist) -> None:
    wrist.pulse.start()
    await wrist.beat()
    wrist.stage.heard.said.clear()
    block(0.05)
    await wrist.beat()
    await wrist.pulse.close()
    assert max(wrist.said("loop.lag")) >= 40


async def test_it_ends(wrist: Wrist) -> None:
    wrist.pulse.start()
    await wrist.beat()
    await wrist.pulse.close()
    assert "pulse" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_what_never_started_may_be_closed(wrist: Wrist) -> None:
    await wrist.pulse.close()
