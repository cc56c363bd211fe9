"""Telemetry.

TODO figures
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack

from cleartill.ports import Flights, Till, Watch
from cleartill.telemetry import correlation
from cleartill.telemetry.flight import FlightDeck, Rendering
from cleartill.telemetry.logs import Handler, JsonLines, Outlet, Records, take_over
from cleartill.telemetry.metrics import Metrics, StatsdSink
from cleartill.telemetry.request import App, watch_requests
from cleartill.telemetry.wrappers import observed

__all__ = ["Telemetry", "telemetry"]

_FLUSH_S = 3.0


class Telemetry:
    """What wiring takes: see `telemetry`."""

    def __init__(
        self, watch: Metrics, deck: FlightDeck, records: Records, trace: Rendering | None, closing: ExitStack
    ) -> None:
        self._metrics, self._deck, self._records, self._trace, self._closing = watch, deck, records, trace, closing

    @property
    def flights(self) -> Flights:
        return self._deck

    @property
    def watch(self) -> Watch:
        """For adapters and guards: what happens below the ports."""
        return self._metrics

    @property
    def outgoing_headers(self) -> Callable[[], dict[str, str]]:
        """For the HTTP client: trace headers of the request about to be sent."""
        return correlation.outgoing_headers

    def observed(self, till: Till) -> Till:
        """The till with its ports watched, and `watch` and `flights` filled in."""
        return observed(till, self._metrics, self._deck, self._records.fact, self._trace)

    def middleware(self, app: App) -> App:
        """The ASGI app inside a record of every request; outermost."""
        return watch_requests(app, self._deck)

    def close(self) -> None:
        """Send and write what is waiting, within a few seconds."""
        self._closing.close()


def telemetry(
    *,
    service: str,
    env: str,
    version: str,
    agent_host: str,
    trace_port: int,
    statsd_port: int,
    traces: bool,
    metrics: bool,
    keep_share: float,
    log_level: str,
    log_requests: bool,
) -> Telemetry:
    """Set telemetry up for this process, once; takes over its logging. `env` "test": undeclared names raise."""
    strict = env == "test"
    unified = {"service": service, "env": env, "version": version}
    with ExitStack() as opened:
        sink = StatsdSink(host=agent_host, port=statsd_port, **unified) if metrics else None
        if sink is not None:
            opened.callback(sink.close)
        watch = Metrics(sink, strict=strict)
        outlet = Outlet(sys.stdout.fileno(), lambda: watch.count("log.dropped"))
        opened.callback(outlet.close)
        lines = JsonLines(**unified, scrubbed=lambda: watch.count("log.scrubbed"))
        take_over(Handler(lines, outlet), log_level)
        records = Records(lines, outlet, requests=log_requests)
        renderings: list[Rendering] = [watch.render, records.render]
        trace: Rendering | None = None
        if traces:
            from cleartill.telemetry.spans import Spans, Tracer  # and with it ddtrace

            tracer = Tracer(**unified, agent_host=agent_host, port=trace_port)
            opened.callback(tracer.close, _FLUSH_S)
            trace = Spans(tracer.writer, **unified, strict=strict).render
            renderings.append(trace)
        deck = FlightDeck(renderings, keep_share, lambda part: watch.count("telemetry.failed", part=part))
        return Telemetry(watch, deck, records, trace, opened.pop_all())
