"""Telemetry: one recording of every piece of work, rendered as spans, metrics, log lines and the stored timeline.

`telemetry()` is all that wiring needs; the business never sees any of it. `catalog` declares every name, `flight` is
the record, `request`, `wrappers`, `edges` and `messages` write it, `spans`, `metrics` and `logs` render it,
`correlation`, `sql` and `streams` carry it on, `tracer` sets ddtrace up, `scrub` keeps cards out.

Decisions, and what they cost (µs of CPU on one busy core of two; a captured payment has 7 hops, 11 metrics, 3 lines, 9
spans; recording, rendering and sending threads together):

| | per payment | per piece |
|---|---|---|
| recording: middleware, wrappers, hops handed to the books | 55 | 1.0 a hop |
| log lines (`orjson`, scrubber, queue) | 45 | 15 a line of ours (5 of it the line, 1 the scrubber), 12 of a library's |
| metrics (`datadog`) | 45 | 1.4 a count, 2.3 a value of a distribution; switched off 0.3 |
| spans (`ddtrace`) | 85-100 | 10 a span |

- Spans go to ddtrace's writer as finished `Span` objects: 30 µs for a bare trace of eight, against 130 for
  `start_span` and `finish`; against Datadog's test agent, API and worker arrive as one trace. See `spans`.
- Metrics are counted when the facts are on disk, latencies when the work ends; counts are summed up in the process.
- Log lines are made at once and written by a thread, ten times a second: waking it for every line cost 20 µs a line.
- `books.batch` is a span under each `books.record` it wrote, joined by `batch_id`, rather than a trace of its own that
  the others link to: one payment's trace tells its whole story, and a batch is found by its id.
- A use case's span (`payment.charge`) is made from its first hop to its last, since use cases know nothing of spans.
- Tracing off: ddtrace is not imported. Metrics off: nor is datadog. Either takes 0.3 s of start.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from cleartill.ports import Consumed, Flights, Till, Watch
from cleartill.telemetry import correlation
from cleartill.telemetry.flight import FlightDeck, Rendering
from cleartill.telemetry.logs import Handler, JsonLines, Outlet, Records, taken_over
from cleartill.telemetry.messages import consumption
from cleartill.telemetry.metrics import Metrics, StatsdSink
from cleartill.telemetry.minutes import MinuteRecorder
from cleartill.telemetry.pulse import Level, Pulse
from cleartill.telemetry.request import App, watch_requests
from cleartill.telemetry.sql import SqlComments
from cleartill.telemetry.streams import DataStreams, NoStreams, Streams
from cleartill.telemetry.tracer import FLUSH_S, Extras, Tracer, describe, integrated, start
from cleartill.telemetry.wrappers import observed

__all__ = ["Extras", "Level", "MinuteRecorder", "Pulse", "SqlComments", "Telemetry", "telemetry"]

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class Telemetry:
    """What wiring takes: see `telemetry`."""

    def __init__(
        self,
        watch: Metrics,
        deck: FlightDeck,
        records: Records,
        trace: Rendering | None,
        streams: Streams,
        comments: Callable[[str], SqlComments],
        closing: ExitStack,
    ) -> None:
        self._metrics, self._deck, self._records, self._trace, self._closing = watch, deck, records, trace, closing
        self._streams, self._comments = streams, comments

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

    @property
    def letter_headers(self) -> Callable[[], dict[str, str]]:
        """The same for those who shall not hear what other vendors said: merchants' receivers."""
        return partial(correlation.outgoing_headers, others=False)

    def comments(self, database_url: str) -> SqlComments:
        """For the statements on this database."""
        return self._comments(database_url)

    def consumed(self, message: Consumed) -> AbstractContextManager[None]:
        """Around the handling of a message that was read from Kafka."""
        return consumption(message, self._deck, self._streams)

    def observed(self, till: Till) -> Till:
        """The till with its ports watched, and `watch` and `flights` filled in."""
        return observed(till, self._metrics, self._deck, self._records.fact, self._trace, self._streams)

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
    log_to: str = "stdout",
    minutes: MinuteRecorder | None = None,
    extras: Extras | None = None,
) -> Telemetry:
    """Set telemetry up for this process, once; takes over its logging. `env` "test": undeclared names raise.
    `minutes`: what adds up this process's minutes. Raises ValueError for an integration that ddtrace does not know."""
    strict = env == "test"
    unified = {"service": service, "env": env, "version": version}
    with ExitStack() as opened:
        sink = StatsdSink(host=agent_host, port=statsd_port, **unified) if metrics else None
        if sink is not None:
            opened.callback(sink.close)
        watch = Metrics(sink, strict=strict, minutes=minutes)
        outlet = Outlet(_DESCRIPTORS[log_to], lambda: watch.count("log.dropped"))
        opened.callback(outlet.close)
        lines = JsonLines(**unified, scrubbed=lambda: watch.count("log.scrubbed"))
        opened.enter_context(taken_over(Handler(lines, outlet), log_level))
        records = Records(lines, outlet, requests=log_requests, level=log_level)
        renderings: list[Rendering] = [watch.render, records.render]
        if minutes is not None:
            renderings.append(minutes.render)
        on = extras or Extras()
        if traces or on.profiling or on.runtime_metrics:
            describe(
                **unified, agent_host=agent_host, trace_port=trace_port, statsd_port=statsd_port, traces=traces, on=on
            )
        trace, streams = _traced(unified, strict, on, opened) if traces else (None, NoStreams())
        if trace is not None:
            renderings.append(trace)
        start(on, opened)
        deck = FlightDeck(renderings, keep_share, lambda part: watch.count("telemetry.failed", part=part))
        if traces and on.integrations:
            deck.entered = integrated(on.integrations)
        comments = partial(SqlComments, on.sql if traces else "disabled", **unified)
        return Telemetry(watch, deck, records, trace, streams, comments, opened.pop_all())


def _traced(unified: dict[str, str], strict: bool, on: Extras, closing: ExitStack) -> tuple[Rendering, Streams]:
    """What renders spans, and checks events off."""
    from cleartill.telemetry.spans import Spans  # and with it ddtrace

    tracer = Tracer()
    closing.callback(tracer.close, FLUSH_S)
    spans = Spans(tracer.writer, **unified, strict=strict)
    if not on.streams:
        return spans.render, NoStreams()
    streams = DataStreams(on.streams)
    closing.callback(streams.close, FLUSH_S)
    return spans.render, streams
