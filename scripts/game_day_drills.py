"""The drills of scripts/game_day: which fault, and which monitor must speak up.

A drill's `monitor` and those in `may` are files of `telemetry/datadog/monitors/`, without their ending. `may` are burn
rates of an SLO that the fault really hurts, and why. Beside these no other monitor may fire. (On a machine that is busy
with more than the drills, those of our own overhead will.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol


class Ground(Protocol):
    """What faults are made with."""

    def bank(self, **conduct: object) -> None: ...
    def kill_bank(self) -> None: ...
    def start_bank(self) -> None: ...
    def kill_kafka(self) -> None: ...
    def start_kafka(self) -> None: ...
    def kill_valkey(self) -> None: ...
    def start_valkey(self) -> None: ...
    def stop_postgres(self) -> None: ...
    def start_postgres(self) -> None: ...
    def decline(self, share: float) -> None: ...
    def refuse_webhooks(self) -> None: ...
    def accept_webhooks(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Drill:
    """`lasts_s`: when the fault ends by itself, whoever has noticed it; None: some time after the right monitor has
    fired."""

    name: str
    title: str
    monitor: str
    fault_in: Callable[[Ground], None]
    fault_out: Callable[[Ground], None]
    may: Mapping[str, str] = field(default_factory=dict)
    lasts_s: float | None = None


USUAL_DECLINES: Final = 0.05


def _burns(slo: str, why: str) -> dict[str, str]:
    return {f"burn_{slo}_{speed}": why for speed in ("fast", "steady", "slow")}


DRILLS: Final = (
    Drill(
        "bank_slow",
        "the bank takes 4 s to answer",
        "bank_slow",
        lambda ground: ground.bank(delay_ms=4000),
        lambda ground: ground.bank(delay_ms=20),
    ),
    Drill(
        "bank_down",
        "the bank's process is killed",
        "bank_down",
        lambda ground: ground.kill_bank(),
        lambda ground: ground.start_bank(),
        may=_burns("availability", "payments are answered 503 while nobody can be asked"),
    ),
    Drill(
        "declines_surge",
        "four of five cards are declined",
        "declines_surge",
        lambda ground: ground.decline(0.8),
        lambda ground: ground.decline(USUAL_DECLINES),
    ),
    Drill(
        "kafka_down",
        "Kafka is killed",
        "events_not_published",
        lambda ground: ground.kill_kafka(),
        lambda ground: ground.start_kafka(),
        may=_burns("events", "events that wait for Kafka are later than 5 s"),
    ),
    Drill(
        "redis_down",
        "Redis is killed",
        "redis_away",
        lambda ground: ground.kill_valkey(),
        lambda ground: ground.start_valkey(),
    ),
    Drill(
        "postgres_restart",
        "PostgreSQL is stopped, and started 10 s later",
        "postgres_away",
        lambda ground: ground.stop_postgres(),
        lambda ground: ground.start_postgres(),
        may={
            **_burns("availability", "payments are answered 503 while nothing can be written down"),
            **_burns("events", "events that wait in PostgreSQL are later than 5 s"),
        },
        lasts_s=10.0,
    ),
    Drill(
        "doubt",
        "the bank does not answer 3 orders of 10",
        "doubt_piling_up",
        lambda ground: ground.bank(fault_rates={"timeout_after": 0.3}),
        lambda ground: ground.bank(fault_rates={}),
    ),
    Drill(
        "webhooks_down",
        "the receiver of webhooks refuses connections",
        "webhooks_failing",
        lambda ground: ground.refuse_webhooks(),
        lambda ground: ground.accept_webhooks(),
    ),
)
