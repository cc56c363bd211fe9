"""A monitor's state as it goes: looked at again and again, by group, against thresholds, with and without data.

As https://docs.datadoghq.com/monitors/ has it: `critical_recovery` must be passed before an alert ends
(guide/recovery-thresholds); what a missing value means is `on_missing_data`'s to say, or `notify_no_data`'s with
`no_data_timeframe` (guide/on_missing_data); each group of a multi alert has a state of its own (guide/troubleshooting-
monitor-alerts), and is left alone for its first `new_group_delay` seconds. Warnings are no alerts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cleartill.telemetry.datadog.budgets import Slo, burning, check_burn
from cleartill.telemetry.datadog.datagrams import Heard
from cleartill.telemetry.datadog.evaluate import COMPARATORS, Group, Values, flushed, values
from cleartill.telemetry.datadog.query import BurnRate, MonitorQuery, parse_monitor, queries
from cleartill.telemetry.datadog.supported import Unsupported, check

MINUTE_S = 60
_MISSING: Final = ("default", "show_no_data", "show_and_notify_no_data", "resolve")
_RECOVERED: Final = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}
_KNOWN: Final = frozenset(
    {
        "thresholds", "notify_no_data", "no_data_timeframe", "on_missing_data", "new_group_delay",
        "evaluation_delay", "require_full_window",
        # These say who hears of it how often, not whether it fires.
        "include_tags", "notify_audit", "renotify_interval", "renotify_statuses", "renotify_occurrences",
        "escalation_message", "locked", "notification_preset_name", "notify_by", "timeout_h", "silenced",
    }
)  # fmt: skip


class State(StrEnum):
    OK = "OK"
    ALERT = "ALERT"
    NO_DATA = "NO DATA"


@dataclass(frozen=True, slots=True)
class Change:
    """A group that is in another state than before. `pages`: somebody would be called."""

    group: Group
    state: State
    value: float | None
    at: float
    pages: bool


class Alert:
    """One monitor. `document` is its file; `slos` are those of the files, by name. Raises Unsupported for a query or an
    option that is not known here, Refused for one that cannot be read."""

    def __init__(self, document: Mapping[str, Any], slos: Mapping[str, Slo]) -> None:
        self.name: str = document["name"]
        self.query = parse_monitor(document["query"])
        options: Mapping[str, Any] = document.get("options", {})
        if unknown := options.keys() - _KNOWN:
            raise Unsupported(f"{self.name}: options {sorted(unknown)}")
        thresholds = options.get("thresholds", {})
        if options.get("require_full_window") or thresholds.get("critical") != self.query.threshold:
            raise Unsupported(f"{self.name}: a full window, or two thresholds")
        self._recovery: float = thresholds.get("critical_recovery", self.query.threshold)
        self._missing: str | None = options.get("on_missing_data")
        if self._missing is not None and (self._missing not in _MISSING or "notify_no_data" in options):
            raise Unsupported(f"{self.name}: on_missing_data {self._missing} beside notify_no_data")
        self._notify = bool(options.get("notify_no_data"))
        self._no_data_s = MINUTE_S * int(options.get("no_data_timeframe") or 0)
        self._delay_s = float(options.get("evaluation_delay") or 0)
        self._group_delay_s = float(options.get("new_group_delay") or 0)
        self._values = self._asked(slos)
        self.states: dict[Group, State] = {}
        self._known_since: dict[Group, float] = {}
        self._data_at: dict[Group, float] = {}

    def _asked(self, slos: Mapping[str, Slo]) -> Callable[[Heard, float], Values]:
        query = self.query
        if isinstance(query, MonitorQuery):
            check(query)
            return lambda heard, at: values(query, heard, at)
        slo = slos.get(query.slo)
        if slo is None:
            raise Unsupported(f"{self.name}: no SLO {query.slo}")
        check_burn(query, slo)
        return lambda heard, at: {(): burning(query, slo, heard, at)}

    @property
    def pages(self) -> bool:
        """Whether somebody is called now."""
        return any(self._pages(state) for state in self.states.values())

    def look(self, heard: Heard, at: float) -> list[Change]:
        """What has changed. `at`: Unix seconds, growing from look to look. Raises Unsupported."""
        found = self._values(heard, flushed(at) - self._delay_s)
        changes = []
        for group in sorted(found.keys() | self.states.keys()):
            since = self._known_since.setdefault(group, at)
            if group and at - since < self._group_delay_s:
                continue
            value = found.get(group)
            before = self.states.get(group, State.OK)
            state = self.states[group] = self._state(group, before, value, at)
            if state is not before:
                changes.append(Change(group, state, value, at, self._pages(state)))
        return changes

    def _pages(self, state: State) -> bool:
        notifies = self._notify or self._missing == "show_and_notify_no_data"
        return state is State.ALERT or (state is State.NO_DATA and notifies)

    def _state(self, group: Group, before: State, value: float | None, at: float) -> State:
        if value is None and self._missing == "default" and self._counts:
            value = 0.0
        if value is None:
            return self._without_data(group, before, at)
        self._data_at[group] = at
        if COMPARATORS[self.query.comparator](value, self.query.threshold):
            return State.ALERT
        recovered = COMPARATORS[_RECOVERED[self.query.comparator]](value, self._recovery)
        return State.ALERT if before is State.ALERT and not recovered else State.OK

    @property
    def _counts(self) -> bool:
        """Sums and counts are evaluated as 0 where there is nothing, others show the last known state."""
        return isinstance(self.query, MonitorQuery) and all(one.as_ == "count" for one in queries(self.query.formula))

    def _without_data(self, group: Group, before: State, at: float) -> State:
        match self._missing:
            case "resolve":
                return State.OK
            case "show_no_data" | "show_and_notify_no_data":
                return State.NO_DATA
            case "default":
                return before
        silent_s = at - self._data_at.get(group, self._known_since[group])
        return State.NO_DATA if self._no_data_s and silent_s >= self._no_data_s else before


def is_burn_rate(alert: Alert) -> bool:
    """Whether it looks at an SLO's budget."""
    return isinstance(alert.query, BurnRate)
