"""How it is going: events, health, what waits."""

import contextlib
import json
import os
import time
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from cleartill.cli.desk import run, say, settings_here, what_runs
from cleartill.domain.errors import CleartillError
from cleartill.settings import Settings

app = typer.Typer()
events = typer.Typer(no_args_is_help=True, help="What happened, as Kafka has it.")
app.add_typer(events, name="events")


@events.command()
def tail(
    from_beginning: bool = False,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole CloudEvents, one a line.")] = False,
) -> None:
    """Print events as they are published."""
    from cleartill.adapters.kafka_tail import tail as read
    from cleartill.wiring import sight_of

    settings = settings_here()
    servers, topic = settings.kafka_bootstrap_servers, settings.kafka_topic
    sight = sight_of(settings.hushed())
    reading = read(servers, topic, from_beginning=from_beginning, follow=follow, limit=limit, around=sight.consumed)
    try:
        for message in reading:
            event = message["event"] or {}
            if as_json:
                typer.echo(json.dumps(event, ensure_ascii=False))
                continue
            amount = f"{event.get('data', {}).get('amount', '')} {event.get('data', {}).get('currency', '')}"
            where = f"{message['partition']}:{message['offset']}"
            typer.echo(f"{event.get('time', ''):<28}{event.get('type', '?'):<22}{message['key']}  {amount}  {where}")
    except CleartillError as error:
        say.print(f"[red]{error}[/]")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        pass
    finally:
        sight.close()


@app.command()
def doctor(
    settings: Annotated[bool, typer.Option("--settings", help="Check the settings only.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="What waits: outbox and doubt.")] = False,
) -> None:
    """Is everything well? Asks the API's health; exits 1 if payments cannot be taken, or if settings are refused."""
    try:
        found = settings_here()
    except (ValidationError, OSError) as refused:
        if not settings:
            raise
        for line in _reasons(refused):
            say.print(f"[red]✗ {escape(line)}[/]")
        raise typer.Exit(1) from None
    if settings:
        table = Table("setting", "value", box=None)
        for name, value in found.model_dump().items():
            table.add_row(name.upper(), str(value).split("@")[-1])
        say.print(table)
        return
    if metrics:
        run(_show_depths(found))
        return
    url = os.environ.get("API_URL") or what_runs().get("api") or f"http://127.0.0.1:{found.api_port}"
    health = _health(url)
    say.print(f"{url} is {health.get('status', 'away')}")
    table = Table("part", "state", "ms", box=None)
    for name, part in health.get("checks", {}).items():
        table.add_row(name, str(part.get("status")), str(part.get("latency_ms", "")))
    say.print(table)
    raise typer.Exit(0 if health.get("status") in ("ok", "degraded") else 1)


def _reasons(refused: ValidationError | OSError) -> list[str]:
    """What is wrong with the settings, a line each; no value of theirs is in it."""
    if isinstance(refused, OSError):
        return [f"a secret's file cannot be read: {refused.filename}: {refused.strerror}"]
    lines = []
    for error in refused.errors(include_url=False, include_input=False):
        where = " ".join(str(place).upper() for place in error["loc"])
        reasons = error["msg"].removeprefix("Value error, ").splitlines()
        lines += [f"{where}: {reason}" if where else reason for reason in reasons]
    return lines


def _health(url: str) -> dict[str, Any]:
    """What the API says of itself, also with a 503; nothing if it does not answer."""
    with contextlib.suppress(OSError, ValueError):
        try:
            with urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  (the operator's own address)
                return dict(json.load(answer))
        except HTTPError as unable:
            return dict(json.load(unable))
    return {}


async def _show_depths(settings: Settings) -> None:
    from cleartill.wiring import build

    async with build(settings.hushed(), role="doctor").running(start_tries=1) as till:
        table = Table("gauge", "value", title=time.strftime("%H:%M:%S"), box=None)
        for depth in [*await till.backlog.depths(), *await till.webhooks.depths(), *await till.transfers.depths()]:
            table.add_row(" ".join((depth.name, *depth.tags.values())), f"{depth.value:g}")
        say.print(table)
