"""ddtrace, set up once per process as far as the settings want it: its writer, Data Streams, profiler, runtime metrics
and integrations.

Nothing of it is imported unless one of them is on, nothing is patched unless asked for, and everything it would start
by itself is off unless the environment says otherwise. It costs 0.3 s of start, 15 MB, and one native thread.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleartill.telemetry.flight import Flight

_QUIET = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_SYMBOL_DATABASE_UPLOAD_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_HEALTH_METRICS_ENABLED": "false",
    "DD_TRACE_PROPAGATION_STYLE": "none",
    "DD_TRACE_WRITER_BUFFER_SIZE_BYTES": "8388608",
}
FLUSH_S = 3.0


@dataclass(frozen=True, slots=True)
class Extras:
    """What may be switched on besides spans and metrics; all of it is off by itself.

    `sql`: what statements say in a comment, as ddtrace calls it (`disabled`, `service`, `full`). `streams`: the topic
    whose events are checked for Data Streams; both are of use with traces only. `integrations`: ddtrace's names of the
    libraries it shall patch.
    """

    sql: str = "disabled"
    streams: str = ""
    profiling: bool = False
    runtime_metrics: bool = False
    integrations: tuple[str, ...] = ()


@contextmanager
def quietly() -> Iterator[None]:
    """Around whatever of ddtrace is imported or started, for that is when it reads its settings; and it would take over
    the signals that end the process, stopping its writer before the work that is under way has ended. We close it
    ourselves."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)


def describe(
    *,
    service: str,
    env: str,
    version: str,
    agent_host: str,
    trace_port: int,
    statsd_port: int,
    traces: bool,
    on: Extras,
) -> None:
    """Tell ddtrace, by the environment it reads when it is imported."""
    os.environ.update(
        DD_SERVICE=service,
        DD_ENV=env,
        DD_VERSION=version,
        DD_TRACE_ENABLED=str(traces).lower(),
        DD_TRACE_AGENT_URL=f"http://{agent_host}:{trace_port}",
        DD_DOGSTATSD_URL=f"udp://{agent_host}:{statsd_port}",
        DD_DATA_STREAMS_ENABLED=str(bool(on.streams)).lower(),
        DD_RUNTIME_METRICS_ENABLED="false",  # by hand, below: the setting may be in .env, which ddtrace does not read
        DD_PROFILING_ENABLED="false",
    )


class Tracer:
    """ddtrace's writer. `writer` is for `Spans`; `close` sends what is left."""

    def __init__(self) -> None:
        with quietly():
            from ddtrace.trace import tracer

        self._tracer = tracer
        self.writer: Any = tracer._span_aggregator.writer

    def close(self, within_s: float) -> None:
        """Send what is there. The process traces no more."""
        self._tracer.shutdown(timeout=within_s)


@contextmanager
def profiled() -> Iterator[None]:
    """Datadog's profiler, one profile a minute."""
    with quietly():
        from ddtrace.profiling.profiler import Profiler

        profiler = Profiler()
        profiler.start()
    try:
        yield
    finally:
        profiler.stop()


@contextmanager
def runtime_measured() -> Iterator[None]:
    """`runtime.python.*`: CPU, memory, garbage, threads, every ten seconds by DogStatsD."""
    with quietly():
        from ddtrace.runtime import RuntimeMetrics

        RuntimeMetrics.enable()
    try:
        yield
    finally:
        RuntimeMetrics.disable()


def integrated(names: tuple[str, ...]) -> "Callable[[Flight], None]":
    """Has ddtrace patch these libraries; what to do at the beginning of every flight, so that their spans hang under
    it. They halve throughput, and are kept or not by what is known then: outcomes are not. Raises ValueError for a
    library that ddtrace does not know."""
    with quietly():
        import ddtrace
        from ddtrace.trace import Context, tracer

        unknown = set(names) - set(ddtrace._monkey.PATCH_MODULES)
        if unknown:
            raise ValueError(f"DD_TRACE_INTEGRATIONS names what ddtrace does not know: {', '.join(sorted(unknown))}")
        ddtrace.patch(**dict.fromkeys(names, True))

    def entered(flight: "Flight") -> None:
        context = Context(int(flight.trace_id, 16), flight.span_id, sampling_priority=int(flight.keep))
        tracer.context_provider.activate(context)

    return entered


def start(on: Extras, closing: ExitStack) -> None:
    """Whatever needs no flight."""
    if on.profiling:
        closing.enter_context(profiled())
    if on.runtime_metrics:
        closing.enter_context(runtime_measured())
