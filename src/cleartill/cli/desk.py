"""What the commands share: where they speak, the settings they run with, and how they end."""

import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from cleartill.domain.errors import CleartillError
from cleartill.embedded.beside import DATA, SeveralRun, data_of_the_running, what_it_says
from cleartill.settings import Settings

WIDE = 200
say = Console(width=None if sys.stdout.isatty() else WIDE)
"""A pipe or a file has no edge at which anything would have to be cut."""
Port = Annotated[int, typer.Option(min=1, max=65535)]


def what_runs() -> dict[str, Any]:
    """What the `up` that runs here says of itself; nothing if there is none. Raises typer.Exit if several run."""
    try:
        return what_it_says(data_of_the_running())
    except SeveralRun as several:
        typer.echo(several, err=True)
        raise typer.Exit(2) from None


def settings_here() -> Settings:
    """The environment's settings; what it does not name comes from a running `up`."""
    names = {
        "DATABASE_URL": "postgres",
        "REDIS_URL": "redis",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka",
        "BANKING_API_URL": "bank",
    }
    running = {} if names.keys() <= os.environ.keys() else what_runs()
    for variable, part in names.items():
        if running.get(part):
            os.environ.setdefault(variable, running[part])
    if running and "ENCRYPTION_KEY" not in os.environ:
        key = (data_of_the_running() or DATA) / "encryption.key"
        if key.exists():
            os.environ.setdefault("ENCRYPTION_KEY_FILE", str(key))
    return Settings.read()


def run(work: Coroutine[Any, Any, None]) -> None:
    """To its end. What the business refuses is one line and exit code 1."""
    try:
        uvloop.run(work)
    except CleartillError as error:
        say.print(f"[red]{error}[/]")
        raise typer.Exit(1) from None
