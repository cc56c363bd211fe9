"""`cleartill metrics`: what operators see, as a picture in the terminal that keeps itself up to date."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cleartill.cli.desk import run, say, settings_here
from cleartill.domain.operations import Span, operations, reach
from cleartill.ports import Till
from cleartill.settings import Settings

app = typer.Typer()

REFRESH_S = 2.0
LATE_S = 30.0
"""What was measured longer ago is shown as old."""
_BARS = "▁▂▃▄▅▆▇█"
_STATE = {"closed": "green", "half_open": "yellow", "open": "red"}


@app.command()
def metrics(
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    window: Annotated[Span, typer.Option(help="Of rates and percentiles.")] = Span.FIVE_MINUTES,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON, once, for programs.")] = False,
) -> None:
    """Rates, latencies, breakers and queues of all processes; live in a terminal, once elsewhere."""
    with contextlib.suppress(KeyboardInterrupt):
        run(_show(settings_here(), window, live=say.is_terminal and not once, as_json=as_json))


async def _show(settings: Settings, window: Span, *, live: bool, as_json: bool) -> None:
    from cleartill.wiring import build

    async with build(settings.hushed(), role="metrics").running(start_tries=1) as till:
        if as_json:
            typer.echo(json.dumps(await _look(till, window), ensure_ascii=False, indent=2))
            return
        if not live:
            say.print(picture(await _look(till, window)))
            return
        with Live(picture(await _look(till, window)), console=say, auto_refresh=False, screen=True) as shown:
            while True:
                await asyncio.sleep(REFRESH_S)
                shown.update(picture(await _look(till, window)), refresh=True)


async def _look(till: Till, window: Span) -> dict[str, Any]:
    now = till.clock.now()
    return operations(await till.minutes.since(*reach(now, window)), await till.audits.last_report(), now, window)


# ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────────


def picture(view: dict[str, Any]) -> RenderableType:
    """The operations view, at most 80 columns wide."""
    at = datetime.fromisoformat(view["as_of"])
    head = Text.assemble(
        ("cleartill", "bold"), f"  {at:%H:%M:%S} UTC, last {view['window']}", _aged(view["age_s"], "  nothing measured")
    )
    parts: list[RenderableType] = [head, "", *_payments(view), "", _latencies(view)]
    if view["providers"]:
        parts += ["", _providers(view["providers"])]
    return Group(*parts, "", _queues(view), "", *_foot(view))


def _payments(view: dict[str, Any]) -> list[RenderableType]:
    paid = view["payments"]
    share = paid["authorization_rate"]
    rate = "–" if share is None else f"{share:.1%}"
    first = Text.assemble(("payments/s ", "dim"), (f"{paid['per_s']:,.2f}", "bold"), ("   authorized ", "dim"), rate)
    for status, count in paid["by_status"].items():
        first.append(f"   {status} ", "dim").append(f"{count:,}")
    per_minute = [minute["payments"] for minute in view["minutes"]]
    second = Text.assemble(
        ("30 minutes ", "dim"), (sparkline(per_minute), "cyan"), ("  most ", "dim"), f"{max(per_minute):,}/min"
    )
    return [first, second]


def sparkline(values: Sequence[float]) -> str:
    """A bar for each value, as high as its share of the greatest; nothing at all is a dot."""
    most = max(values, default=0)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] if value else "·" for value in values)


def _latencies(view: dict[str, Any]) -> Table:
    table = Table("ms", box=None, pad_edge=False, header_style="dim")
    for name in ("p50", "p95", "p99", "count"):
        table.add_column(name, justify="right", min_width=9)
    for name in ("total", "own", "http"):
        table.add_row(f"[bold]{name}[/]", *_three(view["latency"][name]))
    for hop in sorted(view["hops"], key=lambda hop: -(hop["p50_ms"] or 0) * hop["count"]):
        table.add_row(f"  {escape(hop['name'])}", *_three(hop))
    return table


def _three(of: dict[str, Any]) -> list[str]:
    found = [of[f"p{percent}_ms"] for percent in (50, 95, 99)]
    return [*("–" if one is None else f"{one:,.1f}" for one in found), f"{of['count']:,}"]


def _providers(providers: Sequence[dict[str, Any]]) -> Table:
    table = Table("provider", "breaker", box=None, pad_edge=False, header_style="dim")
    for name in ("in flight", "p95 ms", "authorized", "refused"):
        table.add_column(name, justify="right")
    table.add_column("answers", overflow="ellipsis", no_wrap=True, max_width=28)
    for one in providers:
        state, share, late = one["breaker"] or "unknown", one["authorization_rate"], one["latency"]["p95_ms"]
        table.add_row(
            escape(one["provider"]),
            f"[{_STATE.get(state, 'dim')}]{state}[/]",
            f"{one['inflight']:,}",
            "–" if late is None else f"{late:,.1f}",
            "–" if share is None else f"{share:.1%}",
            f"{one['rejected']:,}",
            ", ".join(f"{count:,} {word}" for word, count in one["calls"].items()),
        )
    return table


def _queues(view: dict[str, Any]) -> Table:
    table = Table("waits", box=None, pad_edge=False, header_style="dim")
    table.add_column("now", justify="right")
    table.add_column("oldest", justify="right")
    table.add_column("")
    outbox, hooks, moves, doubts = (view[name] for name in ("outbox", "webhooks", "transfers", "doubts"))
    money = ", ".join(f"{one['amount']:,} {one['currency']}" for one in doubts["money"])
    dead = moves["dead"]
    rows = (
        ("outbox", outbox["pending"], outbox["oldest_s"], f"{outbox['published']:,} published", outbox),
        (
            "webhooks",
            hooks["pending"],
            hooks["oldest_s"],
            f"{hooks['delivered']:,} delivered, {hooks['failed']:,} failed",
            hooks,
        ),
        ("transfers", moves["pending"], None, f"{moves['succeeded']:,} done, {moves['failed']:,} failed", moves),
        ("dead letters", dead, None, "cleartill transfers dead" if dead else "", moves),
        ("doubts", doubts["count"], doubts["oldest_s"], money, doubts),
    )
    for name, waiting, oldest_s, more, part in rows:
        alarming = bool(waiting) and name in ("dead letters", "doubts")
        now = Text("–" if waiting is None else f"{waiting:,}", "yellow" if alarming else "")
        table.add_row(name, now, _seconds(oldest_s) if waiting else "", Text(more) + _aged(part["age_s"], ""))
    return table


def _foot(view: dict[str, Any]) -> list[Text]:
    run = view["reconciliation"]
    told = Text("reconciliation ", "dim")
    if run is None:
        told.append("none yet")
    else:
        told.append(
            "clean" if run["clean"] else f"{run['discrepancies']:,} discrepancies", "" if run["clean"] else "red"
        )
        told.append(f", {_seconds(run['age_s'])} ago", "dim")
    alive: dict[str, int] = {}
    gone = 0
    for process in view["processes"]:
        if process["alive"]:
            alive[process["role"]] = alive.get(process["role"], 0) + 1
        else:
            gone += 1
    lives = ", ".join(f"{count} {role}" for role, count in sorted(alive.items())) or "none"
    processes = Text.assemble(("processes ", "dim"), (lives, "" if alive else "red"))
    if gone:
        processes.append(f", {gone} gone within ten minutes", "yellow")
    return [told, processes]


def _aged(age_s: float | None, never: str) -> Text:
    """That something is old, if it is."""
    if age_s is None:
        return Text(never, "yellow")
    return Text(f"  {_seconds(age_s)} old", "yellow") if age_s > LATE_S else Text("")


def _seconds(age_s: float | None) -> str:
    """As a person says it."""
    if age_s is None:
        return ""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if age_s >= 2 * length:
            return f"{age_s / length:.0f} {unit}"
    return f"{age_s:.1f} s"
