"""What scripts/overload knows afterwards: figures against goals, and whether callers, our books and the bank's agree.

Nothing may be lost or doubled: a payment that was acknowledged was charged once, one that was refused was not charged,
and of one that nobody knows our books and the bank's say the same.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chaos_judge import wait_until_final
from overload_stack import Ground

from cleartill.embedded.child import StartFailed

AMOUNT_MINOR = 1234
WINDOW_S = 0.5
FINAL_WITHIN_S = 120.0
LAWFUL = (201, 202, 503)
ORDERS = """
SELECT order_id #>> '{}', id, status, amount_captured_minor FROM transactions
WHERE left(order_id #>> '{}', length(%s)) = %s
"""


@dataclass(frozen=True)
class Figure:
    """`timed`: it depends on how busy the machine is; counts do not. `met` None: nothing is promised of it."""

    what: str
    goal: str
    measured: str
    met: bool | None
    timed: bool = True


@dataclass
class Told:
    """What a load has to say. Times are monotonic seconds."""

    run: str
    calls: dict[str, Any]
    statuses: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        self.statuses = Counter(self.calls["status"])

    def rows(self, since: float = -math.inf, until: float = math.inf) -> list[tuple[float, float, int, int]]:
        """When due, seconds it took, status, Retry-After; of calls that were due then."""
        columns = (self.calls[name] for name in ("due", "took", "status", "again_s"))
        return [row for row in zip(*columns, strict=True) if since <= row[0] < until]

    @property
    def began(self) -> float:
        return float(min(self.calls["due"], default=0.0))

    def answered_per_s(self, since: float, until: float) -> float:
        """Payments captured a second, by when the answer came."""
        count = sum(status == 201 and since <= due + took < until for due, took, status, _ in self.rows())
        return count / max(0.001, until - since)

    def took(self, *statuses: int, since: float = -math.inf) -> list[float]:
        return [took for _, took, status, _ in self.rows(since) if status in statuses]

    def back_after(self, since: float, rate: float) -> float | None:
        """Seconds from then until so many are captured a second again, for the length of a window."""
        answered = sorted(due + took for due, took, status, _ in self.rows() if status == 201 and due + took >= since)
        needed = max(1, round(rate * WINDOW_S))
        for first, last in zip(answered, answered[needed - 1 :], strict=False):
            if last - first <= WINDOW_S:
                return max(0.0, first - since)
        return None


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def manners(told: Told, *also: int) -> list[Figure]:
    """Who is not served is told so, and when to come again; nothing else is ever answered."""
    refused = [row for row in told.rows() if row[2] == 503]
    silent = sum(again_s < 1 for *_, again_s in refused)
    others = {status: count for status, count in told.statuses.items() if status not in (201, 503, *also)}
    share = len(refused) / max(1, len(told.calls["status"]))
    return [
        Figure(
            "refused: 503 with Retry-After",
            "all that say when",
            f"{share:.0%}, {len(refused):,}" + (f", {silent} without" if silent else ""),
            silent == 0,
            timed=False,
        ),
        Figure("anything else", "none", _named(others), not others, timed=False),
    ]


def _named(statuses: dict[int, int]) -> str:
    names = {0: "cut off", -1: "no answer"}
    return ", ".join(f"{count} × {names.get(status, status)}" for status, count in statuses.items()) or "none"


class BankBook:
    """Charges by payment, page after page of the bank's own statement."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self.charges = ground, Counter[str]()
        self._since = 0

    def read(self) -> "BankBook":
        entries, self._since = self._ground.statement(self._since)
        for entry in entries:
            if entry["kind"] == "authorization" and entry["status"] == "approved":
                self.charges[entry["reference"].partition(".")[0]] += 1
        return self


def agreed(ground: Ground, book: BankBook, told: Told) -> list[Figure]:
    """The callers' history, our books and the bank's, once all is final."""
    open_still = wait_until_final(ground, lambda _: None, FINAL_WITHIN_S)  # type: ignore[arg-type]
    book.read()
    ours: dict[str, list[tuple[str, str, int]]] = {}
    prefix = f"{told.run}-"
    for order, id, status, captured in ground.rows(ORDERS, prefix, prefix):
        ours.setdefault(order, []).append((id, status, captured))
    known = {
        f"{prefix}{number:07d}": status
        for number, status in zip(told.calls["number"], told.calls["status"], strict=True)
    }
    wrong = [*open_still, *(f"{order} was never asked for" for order in ours.keys() - known.keys())]
    for order, status in known.items():
        payments = ours.get(order, [])
        charged = sum(book.charges[id] for id, _, _ in payments)
        captured = sum(one[1:] == ("captured", AMOUNT_MINOR) for one in payments)
        if charged != captured or charged > 1:
            wrong.append(f"{order}: charged {charged} times, captured {captured} times: {payments}")
        elif status == 201 and charged != 1:
            wrong.append(f"{order} was acknowledged, and is lost: {payments}")
        elif status == 503 and charged:
            wrong.append(f"{order} was refused as not sent, and is charged: {payments}")
    said = f"{len(wrong)}: {'; '.join(wrong[:3])}" if wrong else f"none of {len(known):,} calls"
    return [Figure("lost, doubled, refused but charged", "none", said, not wrong, timed=False)]


def reconciled(ground: Ground) -> Figure:
    """`cleartill reconcile`, over everything."""
    try:
        ground.run("reconcile", "--json", "--grace-s", "0")
    except StartFailed as failure:
        return Figure("cleartill reconcile", "nothing found", str(failure)[-400:], False, timed=False)
    return Figure("cleartill reconcile", "nothing found", "nothing", True, timed=False)
