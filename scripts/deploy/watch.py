"""The first minute: is the new release well, and does it fail more often than the one before?"""

import time
from dataclasses import dataclass
from typing import Any

from deploy.slots import Slots
from deploy.target import Target

EVERY_S = 5.0
"""As often as processes write what they count."""
IN_A_ROW = 2
"""One bad look may be a passing one."""
OPERATIONS = "http://127.0.0.1:8000/api/v1/operations?window=1m"


@dataclass(frozen=True)
class Errors:
    """Answers of the minute under way, of all processes together: 5xx, and all."""

    errors: int
    requests: int

    @property
    def share(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @classmethod
    def of(cls, operations: Any) -> "Errors":
        by_class = operations["http"]["by_class"]
        return cls(int(by_class.get("5xx", 0)), sum(map(int, by_class.values())))


def errors_at(slots: Slots, slot: str, target: Target) -> Errors | str:
    """What the API of a slot says of all; or why that is not to be had."""
    if not target.admin_key:
        return Errors(0, 0)
    status, body = slots.asked(slot, OPERATIONS, target.admin_key)
    try:
        return Errors.of(body) if status == 200 else f"/api/v1/operations said {status or 'nothing'}: {body}"
    except (KeyError, TypeError, ValueError) as strange:
        return f"/api/v1/operations said something else: {strange!r}"


def what_is_wrong(slots: Slots, slot: str, target: Target, before: Errors) -> str:
    """One look; empty: nothing is."""
    status, body = slots.asked(slot, "http://127.0.0.1:8000/health")
    if status != 200:
        return f"/health said {status or 'nothing'}: {body}"
    now = errors_at(slots, slot, target)
    if isinstance(now, str):
        return now
    said = target.said
    if now.errors >= said.errors_at_least and now.share > before.share + said.error_share:
        return f"{now.errors} of {now.requests} answers are 5xx; before it was {before.share:.1%}"
    return ""


def first_minute(slots: Slots, slot: str, target: Target, before: Errors) -> str:
    """What is wrong with the release in that slot, seen twice in a row; empty: nothing."""
    end, row, every_s = time.monotonic() + target.said.watch_s, 0, min(EVERY_S, target.said.watch_s / 4)
    while True:
        wrong = what_is_wrong(slots, slot, target, before)
        row = row + 1 if wrong else 0
        if row >= IN_A_ROW:
            return wrong
        if time.monotonic() >= end and not row:
            return ""
        time.sleep(every_s)
