"""What scripts/chaos says in the end: a summary for people, and a report file with the timeline of faults."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN_MAX = 20


@dataclass
class Verdict:
    """How a run went. `recoveries`: seconds and whose, ascending; `events`: how many came, how many of them again."""

    seed: int
    payments: int
    calls: int
    kills: int
    faults: Counter[str]
    answers: Counter[str]
    recoveries: list[tuple[float, str]]
    events: tuple[int, int]
    bank_entries: int
    final_after_s: float
    wrong: list[str]
    timeline: list[dict[str, Any]]

    def recovery(self, share: float) -> float:
        """Seconds within which this share of the doubts had ended; 0 if there was none."""
        if not self.recoveries:
            return 0.0
        return self.recoveries[min(len(self.recoveries) - 1, int(len(self.recoveries) * share))][0]


def summary(verdict: Verdict) -> str:
    faults = sum(verdict.faults.values())
    shown = [f"  {count:>6,}  {kind}" for kind, count in sorted(verdict.faults.items(), key=lambda one: -one[1])]
    wrong = [f"  ✗ {one[:400]}" for one in verdict.wrong[:SHOWN_MAX]]
    if len(verdict.wrong) > SHOWN_MAX:
        wrong.append(f"  … and {len(verdict.wrong) - SHOWN_MAX:,} more, in the report")
    return "\n".join(
        [
            f"{verdict.payments:,} payments in {verdict.calls:,} calls, "
            f"{verdict.bank_entries:,} operations done by the bank's book",
            f"{verdict.kills:,} kills among {faults:,} faults:",
            *shown,
            f"{verdict.events[0]:,} events read from Kafka, {verdict.events[1]:,} of them repeats",
            f"{len(verdict.recoveries):,} doubts; recovery p50 {verdict.recovery(0.5):.1f} s, "
            f"p99 {verdict.recovery(0.99):.1f} s, slowest {verdict.recovery(1.0):.1f} s; "
            f"all was final {verdict.final_after_s:.1f} s after the last fault",
            f"seed {verdict.seed}: {len(verdict.wrong):,} discrepancies",
            *wrong,
        ]
    )


def write(verdict: Verdict, folder: Path) -> None:
    """`report.json` and `report.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(vars(verdict), ensure_ascii=False, indent=1))
    begin = verdict.timeline[0]["at"] if verdict.timeline else time.time()
    lines = [
        f"{fault['at'] - begin:8.2f} s  {fault['kind']:<32} {fault['target']:<24} {fault['details']}"
        for fault in verdict.timeline
    ]
    everything = [*verdict.wrong, ""] if verdict.wrong else []
    (folder / "report.txt").write_text("\n".join([summary(verdict), "", *everything, "timeline", *lines, ""]))
