"""The shapes of `make load`: how many arrivals a second, when; and what each of them is."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

COUNT_MAX = 2_000_000
"""Arrivals of one run, whatever is asked for."""
RATE_MAX = 5_000.0
MINUTES_MAX = 240.0
SMOKE_RATE = 20.0
SPIKE_FACTOR = 5.0
BLOCK = 100


class Kind(StrEnum):
    """What an arrival asks for."""

    APPROVE = "approve"
    DECLINE = "decline"
    SLOW = "slow"
    """A card for which the bank takes three seconds."""
    REFUND = "refund"


MIX: Mapping[Kind, int] = {Kind.APPROVE: 78, Kind.DECLINE: 12, Kind.SLOW: 2, Kind.REFUND: 8}
"""Of each hundred arrivals."""


@dataclass(frozen=True)
class Stage:
    """`factor`: of the base rate."""

    name: str
    seconds: float
    factor: float = 1.0


@dataclass(frozen=True)
class Profile:
    """`rate`: arrivals a second at factor 1; None: half of what the stack is measured to carry."""

    name: str
    stages: tuple[Stage, ...]
    rate: float | None = None

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def stage_at(self, second: float) -> Stage:
        """The last one, for what is answered after the end."""
        for stage in self.stages:
            if second < stage.seconds:
                return stage
            second -= stage.seconds
        return self.stages[-1]


PROFILES = ("smoke", "soak", "spike")


def profile(name: str, minutes: float | None = None) -> Profile:
    """The one of that name. `minutes`: how long it is in all; a spike keeps its 20 s, or a third of less. Raises
    ValueError for another name, or a length that nobody can mean."""
    if minutes is not None and not 0 < minutes <= MINUTES_MAX:
        raise ValueError(f"minutes are more than 0 and at most {MINUTES_MAX:g}")
    if name == "smoke":
        return Profile(name, (Stage("steady", (minutes or 0.5) * 60),), SMOKE_RATE)
    if name == "soak":
        return Profile(name, (Stage("steady", (minutes or 10) * 60),))
    if name == "spike":
        whole = minutes * 60 if minutes else 80.0
        spike = min(20.0, whole / 3)
        before = (whole - spike) / 3
        after = whole - spike - before
        return Profile(name, (Stage("base", before), Stage("spike", spike, SPIKE_FACTOR), Stage("recovery", after)))
    raise ValueError(f"there is no profile {name}; there are {', '.join(PROFILES)}")


def arrivals(stages: Sequence[Stage], rate: float) -> Iterator[float]:
    """When each is due, in seconds from the beginning, evenly within a stage. Never more than COUNT_MAX."""
    begin, made = 0.0, 0
    for stage in stages:
        pace = rate * stage.factor
        for number in range(int(stage.seconds * pace + 1e-9)):
            if made >= COUNT_MAX:
                return
            made += 1
            yield begin + number / pace
        begin += stage.seconds


def kinds(seed: int, mix: Mapping[Kind, int] = MIX) -> Iterator[Kind]:
    """For ever, in shuffled hundreds: each hundred holds the mix exactly, and the same seed gives the same order."""
    order = random.Random(seed)
    block = [kind for kind, share in mix.items() for _ in range(share)]
    if len(block) != BLOCK:
        raise ValueError(f"a mix has {BLOCK} parts")
    while True:
        order.shuffle(block)
        yield from block
