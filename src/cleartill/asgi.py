"""What an ASGI server runs: settings → assembly → application. `uvicorn --factory cleartill.asgi:create`."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from cleartill.api.app import create_app
from cleartill.console import add_console
from cleartill.settings import Settings
from cleartill.wiring import build


def create() -> ASGIApp:
    """One API process. Its parts start and end with the application's lifespan."""
    settings = Settings.read()
    assembly = build(settings, role="api")
    app = create_app(
        assembly.till,
        environment=settings.env,
        version=settings.dd_version,
        drain_s=settings.drain_s,
        limits=settings.rate_limits,
        trusted_proxies=settings.proxies,
        trace_url=settings.trace_page,
    )
    add_console(app)
    serve_until_drained = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with assembly.running():
            _leave_when_told(app, settings)
            async with serve_until_drained(app) as state:
                _spare_what_stays()
                yield state

    app.router.lifespan_context = lifespan
    return assembly.telemetry.middleware(app)


def _spare_what_stays() -> None:
    """What was made at the start stays for good: looking through it for garbage would stop all payments for 50 ms.
    And a request in flight is some thousand objects, which are no garbage yet: look less often than every 700th."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def _leave_when_told(app: FastAPI, settings: Settings) -> None:
    """SIGTERM: unready at once, and only after the grace does the process begin nothing new, and the server's own
    handler close the door. Whoever is in a hurry (a second signal, Ctrl-C) does not wait for the grace."""
    desk, loop = app.state.desk, asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def close(number: int, servers_own: Any = servers_own) -> None:
            desk.draining = True
            if callable(servers_own):
                servers_own(number, None)

        def told(number: int, _frame: FrameType | None, close: Callable[[int], None] = close) -> None:
            patient = number == signal.SIGTERM and not desk.leaving and settings.drain_grace_s > 0
            if not desk.leaving:
                desk.leave(settings.drain_s)
            if patient:
                loop.call_soon_threadsafe(loop.call_later, settings.drain_grace_s, close, number)
            else:
                close(number)

        signal.signal(number, told)
