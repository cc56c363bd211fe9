"""When to try again: exponential, jittered, bounded."""

import random


def delay_s(tries: int, *, base_s: float = 1.0, cap_s: float = 600.0) -> float:
    """Seconds to wait after `tries` tries: half of base·2^tries, and up to as much again at random, at most cap."""
    ceiling = min(cap_s, base_s * 2.0 ** min(tries, 32))
    return ceiling / 2 + random.uniform(0, ceiling / 2)  # noqa: S311  (no secret)
