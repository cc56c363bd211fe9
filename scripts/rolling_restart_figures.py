"""What scripts/rolling_restart measures: refusals by kind, and how long each answer took, phase by phase."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from chaos_history import Call, Client, History


class Refusals(History):
    """A history that also tells refusals apart, by status and code."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: Counter[str] = Counter()

    def heard(self, call: Call, status: int, body: bytes, headers: Any, was_final: bool) -> None:
        if status >= 400:
            self.refusals[f"{status} {json.loads(body).get('code')}"] += 1
        super().heard(call, status, body, headers, was_final)


class Timed(Client):
    """Notes how long each answer took, in seconds."""

    took: list[float]

    def __init__(self, connections: aiohttp.ClientSession, door: str, history: History) -> None:
        super().__init__(connections, [door, door], Random(1), history)
        self.took = []

    async def send(self, call: Call, *told: Any, **more: Any) -> int:
        began = time.monotonic()
        status = await super().send(call, *told, **more)
        if status:
            self.took.append(time.monotonic() - began)
        return status


@dataclass
class Phase:
    """What happened under load while something was done."""

    name: str
    times: int = 0
    seconds: float = 0.0
    requests: int = 0
    drains: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    def row(self) -> list[str]:
        took = sorted(self.took) or [0.0]
        kinds = {kind: count for kind, count in self.refusals.items() if kind.startswith("5")}
        return [
            self.name,
            f"{self.times}",
            f"{self.seconds:.0f} s",
            f"{self.requests:,}",
            ", ".join(f"{count} × {kind}" for kind, count in kinds.items()) or "none",
            f"{max(self.drains):.1f} s" if self.drains else "",
            f"{took[len(took) // 2] * 1000:.0f} ms",
            f"{took[int(len(took) * 0.99)] * 1000:.0f} ms",
            f"{took[-1] * 1000:.0f} ms",
        ]
