"""`make game-day`: its drills name what there is, its judgement is right, and its ear hears what we really send."""

import socket
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleartill.telemetry.datadog.assets import load
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.metrics import Metrics, StatsdSink

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from game_day_drills import DRILLS, Drill
from game_day_traffic import Receiver, Traffic
from game_day_watch import Clock, Outcome, Tower, alerts_of, drill_of

NOW = 1_700_000_000.0
PAGE = 2
"""Monitors of this priority or above wake somebody."""
WITHOUT_A_DRILL = {
    "books_slow", "bulkhead_full", "doubt_backlog", "doubt_old", "http_500", "invariant_breach", "no_payments",
    "reconcile_overdue", "transfers_dead",
}  # fmt: skip
"""Paging monitors that no fault of a game day is about: they look back too long for one, or at faults of ours."""


def names(**of: Any) -> set[str]:
    """Of monitors, by what their documents say."""
    return {
        Path(one.file).stem
        for one in load()
        if one.kind == "monitor" and all(one.document.get(key) == value for key, value in of.items())
    }


def test_there_are_eight_drills_of_monitors_that_exist() -> None:
    assert len({drill.name for drill in DRILLS}) == 8
    monitors = names()
    for drill in DRILLS:
        assert drill.monitor in names(type="query alert"), drill.name
        assert drill.may.keys() <= names(type="slo alert"), f"{drill.name}: only burn rates may fire besides"
        assert drill.may.keys() <= monitors
        assert all(drill.may.values()), f"{drill.name}: say why"
    assert len({drill.monitor for drill in DRILLS}) == 8, "each fault has a monitor that is its own"


def test_every_monitor_that_pages_has_a_drill_or_is_known_to_have_none() -> None:
    paging = set().union(*(names(type="query alert", priority=priority) for priority in range(1, PAGE + 1)))
    drilled = {drill.monitor for drill in DRILLS}
    assert paging - drilled == WITHOUT_A_DRILL & paging
    assert names() >= WITHOUT_A_DRILL
    assert not WITHOUT_A_DRILL & drilled


# ── judgement, without a stack: time flies, and faults are what is sent ─────────────────────────────────────────────


class Field:
    """A field of play on which a fault is a line that is sent every second; `sent` says which, by monitor."""

    def __init__(self) -> None:
        self.now = NOW
        self.heard = Heard()
        self.sent: set[str] = set()
        self.said: list[str] = []
        self.tower = Tower(alerts_of(load()), self.heard, Clock(lambda: self.now, self.sleep), self.said.append)

    def sleep(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.5)):
            self.now += 0.5
            if self.now % 1 == 0:
                for line in self.sent:
                    self.heard.receive(f"cleartill.{line},service:cleartill,env:test".encode(), self.now)

    def drill(self, faults: set[str], lasts_s: float | None = None, may: tuple[str, ...] = ()) -> Outcome:
        """A drill of bank_down in which a fault makes these lines be sent."""
        fault = Drill(
            "of a test", "", "bank_down", lambda _: self.sent.update(faults), lambda _: self.sent.clear(),
            may=dict.fromkeys(may, "why"), lasts_s=lasts_s,
        )  # fmt: skip
        return drill_of(fault, self.tower, self)  # type: ignore[arg-type]


OPENED = "breaker.transition:1|c|#to:open,provider:bank"
AWAY = "breaker.degraded:50|c|#x:y"
FAILED, SERVED = "http.request:1|c|#status:503,route:x", "http.request:9|c|#status:201,route:x"


def test_the_right_monitor_fires_and_recovers() -> None:
    outcome = Field().drill({OPENED})
    assert (outcome.misses, outcome.burns) == ([], [])
    assert outcome.fired_after_s is not None
    assert outcome.fired_after_s <= 12
    assert outcome.recovered_after_s is not None
    assert 50 <= outcome.recovered_after_s <= 75


def test_a_monitor_that_stays_silent_is_a_miss() -> None:
    outcome = Field().drill(set())
    assert outcome.misses == ["bank_down was silent for 60 s"]


def test_a_wrong_monitor_is_a_miss() -> None:
    outcome = Field().drill({OPENED, AWAY})
    assert outcome.misses == ["redis_away fired, and should not"]
    assert outcome.fired_after_s is not None


def test_a_burn_rate_may_fire_where_the_drill_says_so_only() -> None:
    hurt = {OPENED, FAILED, SERVED}
    burns = tuple(f"burn_availability_{speed}" for speed in ("fast", "slow", "steady"))
    assert sorted(Field().drill(hurt, may=burns).burns) == list(burns)
    assert len(Field().drill(hurt).misses) == 3


def test_a_monitor_that_would_not_end_is_a_miss() -> None:
    field = Field()
    for_ever = field.sent = set()
    stays = replace(DRILLS[1], fault_in=lambda _: for_ever.add(OPENED), fault_out=lambda _: None, may={})
    outcome = drill_of(stays, field.tower, field)  # type: ignore[arg-type]
    assert outcome.misses == ["bank_down did not recover within 240 s"]


def test_a_fault_that_ends_by_itself_is_still_to_be_noticed() -> None:
    outcome = Field().drill({OPENED}, lasts_s=3)
    assert outcome.misses == []
    assert outcome.fired_after_s is not None
    assert outcome.fired_after_s > 3


def test_a_monitor_that_pages_before_the_fault_proves_nothing() -> None:
    field = Field()
    field.sent.add(OPENED)
    field.tower.wait(30)
    assert "bank_down (before the fault) fired, and should not" in field.drill({OPENED}).misses


def test_the_fault_is_taken_back_whatever_happens() -> None:
    field, back = Field(), []

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    field.tower.clock = Clock(lambda: field.now, interrupted)
    drill = replace(DRILLS[0], fault_in=lambda _: None, fault_out=lambda _: back.append("out"))
    with pytest.raises(KeyboardInterrupt):
        drill_of(drill, field.tower, field)  # type: ignore[arg-type]
    assert back == ["out"]


def test_each_fault_undoes_what_it_did() -> None:
    class Parts:
        """Which parts are away, and how the bank behaves."""

        def __init__(self) -> None:
            self.away: set[str] = set()
            self.told: dict[str, Any] = defaultdict(lambda: None)

        def __getattr__(self, name: str) -> Callable[..., None]:
            verb, _, part = name.partition("_")
            return lambda: self.away.add(part) if verb in ("kill", "stop", "refuse") else self.away.remove(part)

        def bank(self, **conduct: Any) -> None:
            self.told |= conduct

        def decline(self, share: float) -> None:
            self.told["declines"] = share

    for drill in DRILLS:
        parts = Parts()
        drill.fault_in(parts)
        assert parts.away or parts.told, drill.name
        drill.fault_out(parts)
        assert not parts.away, drill.name
        assert dict(parts.told) in ({}, {"delay_ms": 20}, {"declines": 0.05}, {"fault_rates": {}}), drill.name


# ── what it stands on, for real ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    with Traffic(Heard(), seed=1) as made:
        yield made


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_what_our_own_client_sends_makes_a_monitor_fire() -> None:
    heard = Heard()
    with Traffic(heard, seed=1) as traffic:
        sink = StatsdSink(host="127.0.0.1", port=traffic.statsd_port, service="cleartill", env="test", version="1")
        Metrics(sink, strict=True).count("breaker.transition", 1, provider="bank", to="open")
        Metrics(sink, strict=True).observe(
            "provider.latency", 41.5, provider="bank", operation="refund", outcome="approved"
        )
        sink.close()
        eventually(lambda: traffic.ear.datagrams > 0 and bool(heard.series("cleartill.provider.latency")))
        assert not traffic.ear.malformed
        later = time.time() + 15
        tower = Tower(alerts_of(load()), heard, Clock(lambda: later, lambda _: None), lambda _: None, traffic.lock)
        tower.look()
    assert [fired.monitor for fired in tower.fired()] == ["bank_down"]


def test_the_receiver_answers_refuses_and_answers_again(traffic: Traffic) -> None:
    receiver: Receiver = traffic.receiver
    url = f"http://127.0.0.1:{receiver.port}/hooks"
    with httpx.Client(trust_env=False) as client:
        assert [client.post(url, content=b"{}").status_code for _ in range(3)] == [200] * 3
        traffic.do(receiver.refuse())
        with pytest.raises(httpx.TransportError):
            client.post(url, content=b"{}")
        traffic.do(receiver.accept())
        assert client.post(url, content=b"{}").status_code == 200
    assert receiver.received == 4


def test_what_dogstatsd_would_not_take_is_remembered(traffic: Traffic) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"cleartill.x:1|what", ("127.0.0.1", traffic.statsd_port))
    eventually(lambda: bool(traffic.ear.malformed))
