"""The tower of scripts/game_day: looks at every monitor as Datadog would, tells what changes, and judges drills.

It knows nothing of processes: time, faults and metrics are handed in, so that its judgement can be tested.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from game_day_drills import Drill, Ground

from cleartill.telemetry.datadog.alerts import Alert, State, is_burn_rate
from cleartill.telemetry.datadog.assets import Asset
from cleartill.telemetry.datadog.budgets import slo_of
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import FLUSH_S, flushed

FIRE_WITHIN_S: Final = 60.0
HOLD_S: Final = 15.0
"""How long the fault stays once the right monitor has fired: time for a wrong one to follow."""
RECOVER_WITHIN_S: Final = 240.0
SETTLE_S: Final = 2.0 * FLUSH_S
"""And after it has recovered."""
LATE_S: Final = 1.5
"""Clients send once a second: what happened by the end of ten seconds is here by then."""
LOOK_S: Final = 0.5
STILL_WITHIN_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Fired:
    """A monitor began to page."""

    monitor: str
    at: float
    value: float | None


@dataclass(slots=True)
class Outcome:
    """How a drill went; seconds since the fault, and since its end."""

    drill: Drill
    fired_after_s: float | None = None
    recovered_after_s: float | None = None
    burns: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def misses(self) -> list[str]:
        """What went wrong, in words."""
        found = [f"{name} fired, and should not" for name in self.wrong]
        if self.fired_after_s is None:
            found.append(f"{self.drill.monitor} was silent for {FIRE_WITHIN_S:.0f} s")
        elif self.recovered_after_s is None:
            found.append(f"{self.drill.monitor} did not recover within {RECOVER_WITHIN_S:.0f} s")
        return found


def alerts_of(assets: Iterable[Asset]) -> dict[str, Alert]:
    """Every monitor there is, by the name of its file. Raises Unsupported for one that cannot be evaluated."""
    found = list(assets)
    slos = {asset.name: slo_of(asset.document) for asset in found if asset.kind == "slo"}
    return {
        asset.file.rpartition("/")[2].removesuffix(".json"): Alert(asset.document, slos)
        for asset in found
        if asset.kind == "monitor"
    }


class Tower:
    """Looks at `alerts` whenever an agent would have sent another ten seconds. `say` hears of every change."""

    def __init__(
        self,
        alerts: Mapping[str, Alert],
        heard: Heard,
        clock: Clock,
        say: Callable[[str], None],
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.alerts, self.clock = alerts, clock
        self._heard, self._say, self._lock = heard, say, lock or nullcontext()
        self._looked = 0
        self._fired: list[Fired] = []

    def look(self) -> None:
        """See what has changed since the last time."""
        now = self.clock.now()
        until = flushed(now - LATE_S)
        if until <= self._looked:
            return
        self._looked = until
        for name, alert in self.alerts.items():
            paged = alert.pages
            with self._lock:
                changes = alert.look(self._heard, until)
            for change in changes:
                shown = "" if change.value is None else f" at {change.value:.4g}"
                colour = {State.ALERT: "red", State.OK: "green"}.get(change.state, "yellow")
                group = f" {','.join(change.group)}" if change.group else ""
                self._say(f"[{colour}]{change.state:<7}[/] {name}{group}{shown}")
            if alert.pages and not paged:
                self._fired.append(Fired(name, now, next((one.value for one in changes if one.pages), None)))

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Look until something is so, or the time is up; whether it was."""
        end = self.clock.now() + seconds
        while True:
            self.look()
            if until():
                return True
            if self.clock.now() >= end:
                return False
            self.clock.sleep(LOOK_S)

    def fired(self) -> list[Fired]:
        """Who has begun to page since the last time that this was asked."""
        fired, self._fired = self._fired, []
        return fired

    def paging(self) -> list[str]:
        """Who pages now, burn rates aside: they last, by design, for as long as their windows."""
        return [name for name, alert in self.alerts.items() if alert.pages and not is_burn_rate(alert)]


def drill_of(drill: Drill, tower: Tower, ground: Ground) -> Outcome:
    """Fault in, the right monitor fires, fault out, it recovers; and who else fired."""
    outcome, right, now = Outcome(drill), tower.alerts[drill.monitor], tower.clock.now
    tower.fired()
    if right.pages:
        outcome.wrong.append(f"{drill.monitor} (before the fault)")
    began = now()
    drill.fault_in(ground)
    try:
        given_s = drill.lasts_s if drill.lasts_s is not None else FIRE_WITHIN_S
        if tower.wait(given_s, lambda: right.pages):
            outcome.fired_after_s = now() - began
            tower.wait(HOLD_S if drill.lasts_s is None else max(0.0, began + given_s - now()))
    finally:
        ended = now()
        drill.fault_out(ground)
    if outcome.fired_after_s is None and tower.wait(began + FIRE_WITHIN_S - now(), lambda: right.pages):
        outcome.fired_after_s = now() - began
    if outcome.fired_after_s is not None and tower.wait(RECOVER_WITHIN_S, lambda: not right.pages):
        outcome.recovered_after_s = now() - ended
    tower.wait(SETTLE_S)
    for fired in tower.fired():
        if fired.monitor in drill.may:
            outcome.burns.append(fired.monitor)
        elif fired.monitor != drill.monitor:
            outcome.wrong.append(fired.monitor)
    return outcome
