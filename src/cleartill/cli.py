"""The command `cleartill`: run the parts, look after the data, ask how it is going.

Beside a running `cleartill up` the commands find its servers by themselves, in `.cleartill/up.json`.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from cleartill.domain.errors import CleartillError
from cleartill.settings import Settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="The key ring that cards are sealed under.")
events = typer.Typer(no_args_is_help=True, help="What happened, as Kafka has it.")
app.add_typer(keys, name="keys")
app.add_typer(events, name="events")

say = Console()
Port = Annotated[int, typer.Option(min=1, max=65535)]
DATA = Path(".cleartill")


def _running() -> dict[str, Any]:
    """What a running `up` says of itself; nothing if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((DATA / "up.json").read_text()))
    return {}


def _settings() -> Settings:
    """The environment's settings; what it does not name comes from a running `up`."""
    running = _running()
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


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(work)
    except CleartillError as error:
        say.print(f"[red]{error}[/]")
        raise typer.Exit(1) from None


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command()
def up(
    port: Port = 8000,
    bank_port: Port = 1080,
    postgres_port: Port = 15432,
    redis_port: Port = 16379,
    kafka_port: Port = 19092,
    agent_port: Port = 8126,
    statsd_port: Port = 8125,
    data_dir: Path = DATA,
    ephemeral: Annotated[bool, typer.Option(help="Keep no data.")] = False,
    processes: Annotated[int, typer.Option(min=1, max=64, help="API processes.")] = 1,
) -> None:
    """Everything on this machine: stores, bank, trace agent, API, worker; Ctrl-C stops it all."""
    from cleartill.embedded.up import up as run_everything

    raise typer.Exit(
        run_everything(
            api_port=port,
            bank_port=bank_port,
            postgres_port=postgres_port,
            redis_port=redis_port,
            kafka_port=kafka_port,
            agent_port=agent_port,
            statsd_port=statsd_port,
            data_dir=data_dir,
            ephemeral=ephemeral,
            api_processes=processes,
        )
    )


@app.command()
def serve(
    host: str | None = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=64)] = None,
) -> None:
    """The API."""
    import uvicorn

    settings = _settings()
    uvicorn.run(
        "cleartill.asgi:create",
        factory=True,
        host=host or settings.api_host,
        port=port or settings.api_port,
        workers=processes or settings.api_processes,
        loop="uvloop",
        http="cleartill.api.protocol:BoundedProtocol",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.drain_s) + 5,
        ws="none",
    )


@app.command()
def work() -> None:
    """A worker: publishes events, resolves doubt."""
    from cleartill.wiring import build
    from cleartill.workers import work as run_workers

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with build(_settings(), role="worker").running() as till:
            await run_workers(till, f"{socket.gethostname()}:{os.getpid()}", stop)

    _run(main())


@app.command()
def bank(
    host: str = "127.0.0.1",
    port: Port = 1080,
    book: Annotated[Path | None, typer.Option(help="Its durable book; without one it forgets.")] = None,
    delay_ms: Annotated[int, typer.Option(min=0, max=60_000)] = 0,
    jitter_ms: Annotated[int, typer.Option(min=0, max=60_000)] = 0,
) -> None:
    """The acquirer's simulator."""
    from cleartill.simulator.http import serve as serve_bank

    serve_bank(host=host, port=port, book_path=book, delay_ms=delay_ms, jitter_ms=jitter_ms)


# ── the data ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.command()
def migrate() -> None:
    """Bring the database up to date."""
    from cleartill.adapters.postgres.migrate import upgrade

    upgrade(_settings().database_url)
    say.print("The database is up to date.")


@app.command()
def seed(
    reset: Annotated[bool, typer.Option(help="Empty the database first, and make a payment of every outcome.")] = False,
) -> None:
    """The demo merchant and its documented keys. Safe to repeat; refused in production."""
    from cleartill.adapters.postgres.migrate import reset as reset_database
    from cleartill.demo import fill, seed_demo
    from cleartill.wiring import build

    settings = _settings()
    if not settings.seed_demo:
        say.print("SEED_DEMO is off: no demo merchant.")
        raise typer.Exit(1 if reset else 0)
    if reset:
        reset_database(settings.database_url)

    async def main() -> None:
        async with build(settings.hushed(), role="seed").running(start_tries=3) as till:
            await seed_demo(till)
            if reset:
                await fill(till, say.print)

    _run(main())
    say.print("The demo merchant is there.")


@keys.command("new")
def new_key(version: Annotated[int, typer.Option(min=1, max=2**31 - 1)] = 1) -> None:
    """A fresh key for ENCRYPTION_KEY; append it to the ring with a comma, the last one is current."""
    typer.echo(f"{version}:{b64encode(os.urandom(32)).decode()}")


@keys.command()
def rotate() -> None:
    """Re-wrap every card under the ring's current key, while the service runs; resumes when run again."""
    from cleartill.usecases.rotate_keys import rotate_keys
    from cleartill.wiring import build

    async def main() -> None:
        async with build(_settings().hushed(), role="keys").running(start_tries=3) as till:
            with say.status("re-wrapping") as shown:
                done = await rotate_keys(till, progress=lambda count: shown.update(f"{count} cards re-wrapped"))
            say.print(f"{done} cards re-wrapped; every card is under key {till.vault.key_version}.")

    _run(main())


# ── how it is going ───────────────────────────────────────────────────────────────────────────────────────────────────


@events.command()
def tail(
    from_beginning: bool = False,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole CloudEvents, one a line.")] = False,
) -> None:
    """Print events as they are published."""
    from cleartill.adapters.kafka import tail as read

    settings = _settings()
    servers, topic = settings.kafka_bootstrap_servers, settings.kafka_topic
    try:
        for message in read(servers, topic, from_beginning=from_beginning, follow=follow, limit=limit):
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


@app.command()
def doctor(
    settings: Annotated[bool, typer.Option("--settings", help="Check the settings only.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="What waits: outbox and doubt.")] = False,
) -> None:
    """Is everything well? Asks the API's health; exits 1 if payments cannot be taken."""
    found = _settings()
    if settings:
        table = Table("setting", "value", box=None)
        for name, value in found.model_dump().items():
            table.add_row(name.upper(), str(value).split("@")[-1])
        say.print(table)
        return
    if metrics:
        _run(_show_depths(found))
        return
    url = os.environ.get("API_URL") or _running().get("api") or f"http://127.0.0.1:{found.api_port}"
    health = _health(url)
    say.print(f"{url} is {health.get('status', 'away')}")
    table = Table("part", "state", "ms", box=None)
    for name, part in health.get("checks", {}).items():
        table.add_row(name, str(part.get("status")), str(part.get("latency_ms", "")))
    say.print(table)
    raise typer.Exit(0 if health.get("status") in ("ok", "degraded") else 1)


def _health(url: str) -> dict[str, Any]:
    """What the API says of itself, also with a 503; nothing if it does not answer."""
    with contextlib.suppress(OSError, ValueError):
        try:
            with urlopen(f"{url}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except HTTPError as unable:
            return dict(json.load(unable))
    return {}


async def _show_depths(settings: Settings) -> None:
    from cleartill.wiring import build

    async with build(settings.hushed(), role="doctor").running(start_tries=1) as till:
        table = Table("gauge", "value", title=time.strftime("%H:%M:%S"), box=None)
        for depth in await till.backlog.depths():
            table.add_row(" ".join((depth.name, *depth.tags.values())), f"{depth.value:g}")
        say.print(table)
