"""What the commands share: where they speak, the settings they run with, and how they end."""

import contextlib
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from cleartill.domain.errors import CleartillError
from cleartill.settings import Settings

say = Console()
Port = Annotated[int, typer.Option(min=1, max=65535)]
DATA = Path(".cleartill")


def what_runs() -> dict[str, Any]:
    """What a running `up` says of itself; nothing if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((DATA / "up.json").read_text()))
    return {}


def settings_here() -> Settings:
    """The environment's settings; what it does not name comes from a running `up`."""
    running = what_runs()
    names = {
        "DATABASE_URL": "postgres",
        "REDIS_URL": "redis",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka",
        "BANKING_API_URL": "bank",
    }
    for variable, part in names.items():
        if running.get(part):
            os.environ.setdefault(variable, running[part])
    if running and "ENCRYPTION_KEY" not in os.environ and (DATA / "encryption.key").exists():
        os.environ.setdefault("ENCRYPTION_KEY_FILE", str(DATA / "encryption.key"))
    return Settings.read()


def run(work: Coroutine[Any, Any, None]) -> None:
    """To its end. What the business refuses is one line and exit code 1."""
    try:
        uvloop.run(work)
    except CleartillError as error:
        say.print(f"[red]{error}[/]")
        raise typer.Exit(1) from None
