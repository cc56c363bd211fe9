"""Deposits and withdrawals that nobody tries any more: list them, try one again."""

from secrets import token_hex
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cleartill.cli.desk import run, say, settings_here
from cleartill.domain.money import written
from cleartill.ports import Origin
from cleartill.settings import Settings

app = typer.Typer()
transfers = typer.Typer(no_args_is_help=True, help="Deposits and withdrawals that nobody tries any more.")
app.add_typer(transfers, name="transfers")


@transfers.command()
def dead(limit: Annotated[int, typer.Option(min=1, max=1000)] = 100) -> None:
    """List the dead letters, those with the highest ids first."""
    run(_show_dead(settings_here(), limit))


@transfers.command()
def retry(transfer_id: str) -> None:
    """Try a dead letter again, at once."""
    run(_retry(settings_here(), transfer_id))


async def _show_dead(settings: Settings, limit: int) -> None:
    from cleartill.wiring import build

    async with build(settings.hushed(), role="cli").running(start_tries=3) as till:
        found = await till.transfers.dead(limit)
    table = Table("id", "merchant", "status", "amount", "since", "why", box=None)
    for one in found.items:
        amount, since = written(one.amount_minor, one.currency), f"{one.updated_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(one.id, one.merchant_id, one.status, amount, since, escape(one.dead or ""))
    say.print(table if found.items else "No dead letters.")
    if found.next:
        say.print(f"There are more; these are the first {limit}.")


async def _retry(settings: Settings, transfer_id: str) -> None:
    from cleartill.usecases.retry_transfer import retry_transfer
    from cleartill.wiring import build

    origin = Origin(actor="cli", request_id="", trace_id=token_hex(16), span_id=token_hex(8), keep=False)
    async with build(settings.hushed(), role="cli").running(start_tries=3) as till:
        tried = await retry_transfer(till, transfer_id, origin)
    typer.echo(f"{tried.id} is {tried.status} again; a worker takes it up now.")
