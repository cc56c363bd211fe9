"""What an ASGI server runs: settings → assembly → application. `uvicorn --factory cleartill.asgi:create`."""

import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from cleartill.api.app import create_app
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
    )
    serve_until_drained = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with assembly.running():
            _drain_when_told(app)
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


def _drain_when_told(app: FastAPI) -> None:
    """From SIGTERM on the process is unready and begins nothing new; then the server's own handler goes on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(number)

        def told(number: int, frame: FrameType | None, servers_own: Any = servers_own) -> None:
            app.state.desk.draining = True
            if callable(servers_own):
                servers_own(number, frame)

        signal.signal(number, told)
