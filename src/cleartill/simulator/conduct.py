"""How the bank behaves today: delay, faults, downtime; settable while it runs, and repeatable by a seed."""

from collections.abc import Mapping
from random import Random
from typing import Any

from cleartill.simulator.cards import Fault

RANDOM_FAULTS = tuple(fault for fault in Fault if fault is not Fault.SLOW)
DELAY_MAX_MS = 600_000


class ConductError(ValueError):
    """A setting that cannot be; names the setting."""


class Conduct:
    """The bank's mood. Each request waits `delay_ms`, plus 0 to `jitter_ms`, before it is judged;
    `fault_rates` are the shares of orders (0 to 1, together at most 1) that meet a fault; `down` answers 503
    to everything. `transfer_delay_s` is the range after which a transfer is settled, `transfer_fail_rate` the
    share that fails.

    Equal seeds and equal requests, in order, give equal faults.
    """

    def __init__(self, delay_ms: int = 0, jitter_ms: int = 0, seed: int = 1) -> None:
        self.delay_ms = delay_ms
        self.jitter_ms = jitter_ms
        self.down = False
        self.fault_rates: dict[Fault, float] = dict.fromkeys(RANDOM_FAULTS, 0.0)
        self.transfer_delay_s = (2.0, 10.0)
        self.transfer_fail_rate = 0.1
        self.seed = seed
        self._random = Random(seed)  # noqa: S311  (moods that can be had again)

    def pause_s(self) -> float:
        """How long the next request waits before it is judged, in seconds."""
        if not self.jitter_ms:
            return self.delay_ms / 1000
        return (self.delay_ms + self._random.uniform(0, self.jitter_ms)) / 1000

    def fault(self) -> Fault | None:
        """The fault that the next request meets, if any."""
        if not any(self.fault_rates.values()):
            return None
        drawn = self._random.random()
        for fault, rate in self.fault_rates.items():
            drawn -= rate
            if drawn < 0:
                return fault
        return None

    def transfer_end(self) -> tuple[float, bool]:
        """When the next transfer ends (seconds from now), and whether it succeeds."""
        return self._random.uniform(*self.transfer_delay_s), self._random.random() >= self.transfer_fail_rate

    def describe(self) -> dict[str, Any]:
        """The settings as `change` takes them."""
        return {
            "delay_ms": self.delay_ms,
            "jitter_ms": self.jitter_ms,
            "fault_rates": {fault.value: rate for fault, rate in self.fault_rates.items()},
            "down": self.down,
            "seed": self.seed,
            "transfer_delay_s": list(self.transfer_delay_s),
            "transfer_fail_rate": self.transfer_fail_rate,
        }

    def change(self, settings: Mapping[str, Any]) -> None:
        """Change the named settings, all or none. Fault rates not named are 0. Raises `ConductError`."""
        checked = {name: self._checked(name, value) for name, value in settings.items()}
        for name, value in checked.items():
            setattr(self, name, value)
        if "seed" in checked:
            self._random = Random(self.seed)  # noqa: S311

    def _checked(self, name: str, value: Any) -> Any:
        if name in ("delay_ms", "jitter_ms") and type(value) is int and 0 <= value <= DELAY_MAX_MS:
            return value
        if name == "down" and isinstance(value, bool):
            return value
        if name == "seed" and type(value) is int:
            return value
        if name == "transfer_fail_rate" and _is_share(value):
            return float(value)
        if name == "transfer_delay_s" and isinstance(value, list) and len(value) == 2:
            low, high = value
            if _is_number(low) and _is_number(high) and 0 <= low <= high <= DELAY_MAX_MS / 1000:
                return float(low), float(high)
        if name == "fault_rates" and _are_rates(value):
            return {fault: float(value.get(fault, 0.0)) for fault in RANDOM_FAULTS}
        raise ConductError(f"{name} is not a setting of the bank, or not with this value")


def _are_rates(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= set(RANDOM_FAULTS)
        and all(map(_is_share, value.values()))
        and sum(value.values()) <= 1
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1
