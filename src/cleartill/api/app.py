"""The application: routes, the way in and out, and the end that waits for money on its way."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network, IPv6Network

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from cleartill.api import (
    accounts,
    callbacks,
    cards,
    catalogue,
    deliveries,
    health,
    lists,
    merchants,
    operations,
    payments,
    refunds,
    sessions,
    stats,
    steps,
    timeline,
    transfers,
    webhooks,
)
from cleartill.api import docs as description
from cleartill.api.admission import Admission
from cleartill.api.arrival import ADMISSION, Arrivals
from cleartill.api.desk import Desk
from cleartill.api.limits import quotas
from cleartill.ports import Till

# The flight record sees everything already; FastAPI's own would cost on every request and record exception messages.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
_ROOMS = (
    accounts,
    transfers,
    lists,
    payments,
    steps,
    refunds,
    cards,
    callbacks,
    merchants,
    sessions,
    webhooks,
    deliveries,
    catalogue,
    timeline,
    stats,
    operations,
    health,
    description,
)


class _Application(FastAPI):
    """Arrivals and the router, nothing between: Starlette and FastAPI would put five middlewares there that our routes
    and our one table of problems leave without work. Middleware or exception handlers added to it have no effect."""

    def build_middleware_stack(self) -> ASGIApp:
        return Arrivals(self.router, self.state.desk)


def create_app(
    till: Till,
    *,
    environment: str,
    version: str,
    docs: bool = True,
    drain_s: float = 25.0,
    limits: Mapping[str, int] | None = None,
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    trace_url: str | None = None,
) -> FastAPI:
    """The API over a till. At its end it waits up to `drain_s` seconds for the money operations under way.
    `limits`: requests a minute by rule (`limits.Rule`); none by itself. `trusted_proxies`, `trace_url`: see `desk`.

    When told to stop: `app.state.desk.leave(drain_s)` makes it unready, and `app.state.desk.draining = True`, a moment
    later, refuse new money operations.
    """
    desk = Desk(
        till,
        environment,
        version,
        quotas=quotas(limits or {}),
        trusted_proxies=trusted_proxies,
        trace_url=trace_url,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Admission]]:
        yield {ADMISSION: desk.admission}
        await desk.drain(drain_s)

    app = _Application(
        title="cleartill",
        version=version,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.state.desk, app.state.docs = desk, docs
    for room in _ROOMS:
        # Not include_router: it would match every request twice and wrap every route anew.
        app.router.routes.extend(room.router.routes)
    if docs:
        description.add_docs(app, version)
    return app
