"""The bank's conduct: what can be set, what cannot, and that a seed repeats it."""

from collections import Counter
from typing import Any

import pytest

from cleartill.simulator.cards import Fault
from cleartill.simulator.conduct import Conduct, ConductError


def test_a_bank_of_good_conduct_neither_waits_nor_fails() -> None:
    conduct = Conduct()
    assert {(conduct.pause_s(), conduct.fault()) for _ in range(100)} == {(0.0, None)}


def test_fault_rates_are_kept_and_a_seed_repeats_them() -> None:
    runs = []
    for _ in range(2):
        conduct = Conduct()
        conduct.change({"seed": 7, "fault_rates": {"reset": 0.25, "timeout_after": 0.5}})
        runs.append([conduct.fault() for _ in range(2000)])
    assert runs[0] == runs[1]
    counts = Counter(runs[0])
    assert set(counts) == {None, Fault.RESET, Fault.TIMEOUT_AFTER}
    assert 400 < counts[Fault.RESET] < 600
    assert 900 < counts[Fault.TIMEOUT_AFTER] < 1100


def test_jitter_stays_between_its_bounds() -> None:
    conduct = Conduct(delay_ms=10, jitter_ms=5)
    pauses = [conduct.pause_s() for _ in range(200)]
    assert min(pauses) >= 0.010
    assert max(pauses) <= 0.015
    assert len(set(pauses)) > 1


def test_what_is_described_can_be_set_again() -> None:
    conduct = Conduct(5, 6, 7)
    conduct.change({"down": True, "transfer_delay_s": [0, 1], "transfer_fail_rate": 1})
    other = Conduct()
    other.change(conduct.describe())
    assert other.describe() == conduct.describe()


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay_ms": -1},
        {"delay_ms": 1.5},
        {"delay_ms": True},
        {"jitter_ms": "5"},
        {"down": 1},
        {"seed": None},
        {"fault_rates": {"reset": 1.1}},
        {"fault_rates": {"reset": 0.6, "error500": 0.6}},
        {"fault_rates": {"slow": 0.1}},
        {"fault_rates": [1]},
        {"transfer_fail_rate": 2},
        {"transfer_delay_s": [5, 1]},
        {"transfer_delay_s": 5},
        {"describe": 1},
        {"_random": 1},
    ],
    ids=str,
)
def test_a_wrong_setting_changes_nothing(wrong: dict[str, Any]) -> None:
    conduct = Conduct()
    before = conduct.describe()
    with pytest.raises(ConductError):
        conduct.change({"delay_ms": 3} | wrong)
    assert conduct.describe() == before
