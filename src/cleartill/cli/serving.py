"""The parts: run them, here and now."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from cleartill.cli.desk import Port, run, settings_here
from cleartill.embedded.beside import CHOSEN, DATA

BEAT_S = 5.0

app = typer.Typer()


@app.command()
def up(
    port: Port = 8000,
    bank_port: Port = 1080,
    postgres_port: Port = 15432,
    redis_port: Port = 16379,
    kafka_port: Port = 19092,
    agent_port: Port = 8126,
    statsd_port: Port = 8125,
    data_dir: Annotated[Path, typer.Option(envvar=CHOSEN)] = DATA,
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
            notes=DATA,
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

    settings = settings_here()
    uvicorn.run(
        "cleartill.asgi:create",
        factory=True,
        host=host or settings.api_host,
        port=port or settings.api_port,
        workers=processes or settings.api_processes,
        loop="cleartill.api.accepting:Loop",
        http="cleartill.api.protocol:BoundedProtocol",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        # Counted from the end of the grace; longer than the money takes, which must not be cut off from its callers.
        timeout_graceful_shutdown=int(settings.drain_s - settings.drain_grace_s) + 5,
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
        settings = settings_here()
        async with build(settings, role="worker").running() as till:
            beating = asyncio.create_task(beat(settings.worker_beat_path))
            await run_workers(till, f"{socket.gethostname()}:{os.getpid()}", stop, settings.drain_s)
            beating.cancel()

    run(main())


async def beat(path: str) -> None:
    """Touch that file, if one is named, for as long as this event loop turns: how old it is tells whether a worker
    lives, which serves nothing that could be asked."""
    while path:
        await asyncio.to_thread(Path(path).touch)
        await asyncio.sleep(BEAT_S)


@app.command()
def bank(
    host: str = "127.0.0.1",
    port: Port = 1080,
    book: Annotated[Path | None, typer.Option(help="Its durable book; without one it forgets.")] = None,
    delay_ms: Annotated[int, typer.Option(min=0, max=60_000)] = 0,
    jitter_ms: Annotated[int, typer.Option(min=0, max=60_000)] = 0,
    callback_url: Annotated[str | None, typer.Option(help="Where it reports, signed with WEBHOOK_SECRET.")] = None,
    transfer_delay: Annotated[
        float | None, typer.Option(min=0, max=600, help="Seconds a transfer takes; 2 to 10 if not given, 0: none.")
    ] = None,
    transfer_fail_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of transfers that fail.")] = 0.1,
    public_url: Annotated[str | None, typer.Option(help="Where payers reach it, if not where the API does.")] = None,
) -> None:
    """The acquirer's simulator."""
    from cleartill.simulator.http import serve as serve_bank

    serve_bank(
        host=host,
        port=port,
        book_path=book,
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        callback_url=callback_url,
        callback_secret=settings_here().webhook_secret.get_secret_value().encode() if callback_url else b"",
        public_url=public_url,
        transfer_delay_s=None if transfer_delay is None else (transfer_delay, transfer_delay),
        transfer_fail_rate=transfer_fail_rate,
    )
