"""Looking for what is wrong: the bank's book against ours, and ours against themselves."""

import json
import os
import socket
from datetime import UTC, datetime
from typing import Annotated

import typer
import uvloop
from rich.markup import escape
from rich.table import Table

from cleartill.cli.desk import say, settings_here
from cleartill.domain.errors import CleartillError, Unavailable
from cleartill.domain.reconciliation import INVARIANTS
from cleartill.domain.report import Report
from cleartill.settings import Settings
from cleartill.usecases.reconcile import GRACE_S

app = typer.Typer()

CLEAN, DISCREPANCIES, COULD_NOT_RUN = 0, 1, 2


@app.command()
def reconcile(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"], help="Only what changed since."),
    ] = None,
    grace_s: Annotated[float, typer.Option(min=0, max=86_400, help="What is newer is waited for.")] = GRACE_S,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON, for programs.")] = False,
) -> None:
    """Hold the bank's book against ours, and ours against themselves.

    Exits 0 if nothing is wrong, 1 if anything is, 2 if it could not be found out.
    """
    try:
        settings = settings_here().hushed()
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        report = uvloop.run(_run(settings, since, grace_s, quiet=as_json))
    except (Exception, KeyboardInterrupt) as error:  # whatever it was: nothing is known, and 1 would say that it is
        reason = str(error) if isinstance(error, CleartillError) else f"{type(error).__name__} {error}".splitlines()[0]
        if as_json:
            typer.echo(json.dumps({"clean": None, "error": reason}))
        else:
            say.print(f"[red]Could not reconcile.[/] {escape(reason)}")
        raise typer.Exit(COULD_NOT_RUN) from None
    if as_json:
        typer.echo(json.dumps(report.view(), ensure_ascii=False, indent=2))
    else:
        _show(report)
    raise typer.Exit(CLEAN if report.clean else DISCREPANCIES)


async def _run(settings: Settings, since: datetime | None, grace_s: float, *, quiet: bool) -> Report:
    from cleartill.usecases.reconcile import reconcile as run
    from cleartill.wiring import build

    owner = f"{socket.gethostname()}:{os.getpid()}:cli"
    async with build(settings, role="reconcile").running(start_tries=3) as till:
        if quiet:
            report = await run(till, owner, since=since, grace_s=grace_s)
        else:
            with say.status("reconciling") as shown:
                report = await run(
                    till,
                    owner,
                    since=since,
                    grace_s=grace_s,
                    progress=lambda what, count: shown.update(f"{count:,} {what}"),
                )
    if report is None:
        raise Unavailable("Another process reconciles now")
    return report


def _show(report: Report) -> None:
    took_s = (report.ended_at - report.began_at).total_seconds()
    span = f"since {report.since:%Y-%m-%d %H:%M:%S} UTC" if report.since else "of everything"
    say.print(f"Reconciliation {report.run} {span}, {report.began_at:%Y-%m-%d %H:%M:%S} UTC, {took_s:.1f} s")
    for provider, lines in report.statements.items():
        told = "shows no book of its own" if lines is None else f"{lines:,} lines"
        say.print(f"  {escape(provider)}: {told}")
    say.print("  looked at " + ", ".join(f"{count:,} {what}" for what, count in report.looked_at.items()))
    say.print(f"  {report.matched:,} lines match; {report.waiting:,} operations wait for their end or are too new")
    invariants = Table("", "must hold", "", box=None)
    for name, count in report.breaches().items():
        unknown = name == "I1" and not report.compared_with_banks
        verdict = "[yellow]not checked[/]" if unknown else f"[red]{count:,} wrong[/]" if count else "[green]holds[/]"
        invariants.add_row(name, INVARIANTS[name][0], verdict)
    say.print(invariants)
    if report.clean:
        return
    wrong = Table("", "what", "merchant", "whose", "about", "details", box=None)
    for one in report.listed:
        words = (one.invariant, one.kind, one.merchant_id, one.subject_id or "", one.reference, one.details)
        wrong.add_row(*(escape(word) for word in words))
    say.print(wrong)
    unlisted = report.total - len(report.listed)
    more = f", {unlisted:,} not shown" if unlisted else ""
    say.print(f"[red]{report.total:,} discrepancies[/], {report.new:,} of them new{more}.")
