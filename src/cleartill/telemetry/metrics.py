"""Metrics to DogStatsD, over UDP, by Datadog's own client. Implements `ports.Watch`; null unless switched on.

Counts and gauges are summed up in the process and sent every FLUSH_S seconds. Of a distribution every value is sent,
many to a line (DogStatsD protocol 1.1): a line for each took a tenth of an API process, half of it to wake the sender.
Threads of their own send, from bounded queues: no request ever waits for a socket or a resolver, and when the agent is
away packets are dropped.
"""

import logging
import threading
from collections import defaultdict, deque
from typing import Any, Protocol

from cleartill.telemetry.catalog import NAMESPACE, Kind, Undeclared, check_metric
from cleartill.telemetry.flight import Flight
from cleartill.telemetry.minutes import MinuteRecorder

FLUSH_S = 1.0
QUEUED_PACKETS = 1000
QUEUED_VALUES = 200_000
"""Of distributions, until the next flush; the oldest go first."""
VALUES_A_LINE = 64
"""With name and tags they fit into a datagram of 1,432 bytes."""
MAX_SERIES = 10_000
"""Names with their tags that are remembered; beyond, all are checked anew."""


class Sink(Protocol):
    """The part of Datadog's client that is used."""

    def increment(self, metric: str, value: float = 1, tags: list[str] | None = None) -> None: ...

    def gauge(self, metric: str, value: float, tags: list[str] | None = None) -> None: ...

    def distribution(self, metric: str, value: float, tags: list[str] | None = None) -> None: ...


class Metrics:
    """The catalogue's metrics on their way to a sink (None: nowhere). `strict`: what is not declared raises
    Undeclared; otherwise it is dropped and counted. `minutes` hears of all, sink or not. Any thread may call."""

    def __init__(self, sink: Sink | None, *, strict: bool, minutes: MinuteRecorder | None = None) -> None:
        self._sink, self._strict, self._minutes = sink, strict, minutes
        self._series: dict[Any, list[str] | None] = {}

    def count(self, name: str, /, value: float = 1, **tags: str) -> None:
        if self._minutes is not None:
            self._minutes.count(name, value, tags)
        listed = self._tags(name, "count", tags)
        if listed is not None and self._sink is not None:
            self._sink.increment(name, value, listed)

    def gauge(self, name: str, /, value: float, **tags: str) -> None:
        if self._minutes is not None:
            self._minutes.gauge(name, value, tags)
        listed = self._tags(name, "gauge", tags)
        if listed is not None and self._sink is not None:
            self._sink.gauge(name, value, listed)

    def observe(self, name: str, /, value: float, **tags: str) -> None:
        if self._minutes is not None:
            self._minutes.observe(name, value, tags)
        listed = self._tags(name, "distribution", tags)
        if listed is not None and self._sink is not None:
            self._sink.distribution(name, round(value, 3), listed)

    def render(self, flight: Flight) -> None:
        """A flight's own metrics; those of its facts and hops were counted when they happened."""
        took_ms = (flight.end_ns - flight.start_ns) / 1e6
        visit = flight.visit
        if visit is None:
            self.count("work.count", name=flight.name, outcome=flight.outcome)
            self.observe("work.latency", took_ms, name=flight.name, outcome=flight.outcome)
            return
        route, status = visit.route or "unmatched", str(flight.status)
        self.count("http.request", route=route, status=status)
        self.observe("http.request.latency", took_ms, route=route, status=status)
        if flight.status in (401, 403):
            self.count("auth.failed", reason=visit.problem_code or status)

    def _tags(self, name: str, kind: Kind, tags: dict[str, str]) -> list[str] | None:
        """The tags as they are sent, checked once per series; None if nothing is to be sent."""
        if self._sink is None and not self._strict:
            return None
        key = (name, kind, *tags.items())
        try:
            listed = self._series[key]
        except KeyError:
            listed = self._series[key] = self._declared(name, kind, tags)
        if listed is None and name != "telemetry.undeclared":
            self.count("telemetry.undeclared")
        return listed

    def _declared(self, name: str, kind: Kind, tags: dict[str, str]) -> list[str] | None:
        try:
            check_metric(name, kind, frozenset(tags))
        except Undeclared:
            if self._strict:
                raise
            return None
        if len(self._series) >= MAX_SERIES:
            self._series.clear()
        return [f"{tag}:{value}" for tag, value in tags.items()]


class StatsdSink:
    """Datadog's client, talking to the agent at `host:port`."""

    def __init__(self, *, host: str, port: int, service: str, env: str, version: str) -> None:
        from datadog.dogstatsd.base import DogStatsd  # a quarter of a second that not every process needs

        logging.getLogger("datadog.dogstatsd").setLevel(logging.CRITICAL)  # an agent that is away is no news per packet
        self._client = DogStatsd(
            host=host,
            port=port,
            namespace=NAMESPACE,
            disable_aggregation=False,
            disable_buffering=False,
            flush_interval=FLUSH_S,
            disable_telemetry=True,
            origin_detection_enabled=False,
            disable_background_sender=False,
            sender_queue_size=QUEUED_PACKETS,
            sender_queue_timeout=0,
        )
        # Set, not given: the client would put those of the environment's DD_* beside them.
        self._client.constant_tags = [f"service:{service}", f"env:{env}", f"version:{version}"]
        self.increment = self._client.increment
        self.gauge = self._client.gauge
        self._values: deque[tuple[str, tuple[str, ...], float]] = deque(maxlen=QUEUED_VALUES)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pack_until_over, name="distributions", daemon=True)
        self._thread.start()

    def distribution(self, metric: str, value: float, tags: list[str] | None = None) -> None:
        self._values.append((metric, tuple(tags or ()), value))

    def _pack_until_over(self) -> None:
        while not self._over.wait(FLUSH_S):
            self._pack()

    def _pack(self) -> None:
        """Hand all that waits to the client, a series' values together."""
        series = defaultdict[tuple[str, tuple[str, ...]], list[str]](list)
        for _ in range(len(self._values)):
            metric, tags, value = self._values.popleft()
            series[metric, tags].append(str(value))
        for (metric, tags), values in series.items():
            for first in range(0, len(values), VALUES_A_LINE):
                packed: Any = ":".join(values[first : first + VALUES_A_LINE])
                self._client.distribution(metric, packed, list(tags))

    def close(self) -> None:
        """Send what is there, within a second or so, and end the threads."""
        self._over.set()
        self._thread.join()
        self._pack()
        self._client.stop()
