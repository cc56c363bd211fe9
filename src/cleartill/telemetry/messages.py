"""What leaves as messages, and comes back: webhooks' letters, events for Kafka, events that are read from it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import time, time_ns

from cleartill.domain.webhook import Heard
from cleartill.ports import Consumed, Courier, Flights, Letter, Origin, OutboxRow, Published, Publisher, Watch
from cleartill.telemetry.correlation import Context, carried, from_traceparent, here, incoming, new_span_id
from cleartill.telemetry.flight import Flight, Rendering, current
from cleartill.telemetry.streams import Streams

IN_TIME_S = 5.0
"""From an event's commit to the broker's receipt."""


class ObservedCourier:
    """Each letter a hop, which the receiver's trace headers name as parent; what was not heard is kept whole."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self.check = courier.check

    async def send(self, letter: Letter) -> Heard:
        flight = current.get()
        if flight is None:
            return await self._courier.send(letter)
        leg, heard = flight.begin("webhook.send", event_id=letter.id), None
        located = here.set(flight.spot(leg.span_id))
        try:
            heard = await self._courier.send(letter)
            return heard
        finally:
            here.reset(located)
            leg.end("ok" if heard and heard.ok else "failed")
            if heard is not None:
                told = {"http.status_code": heard.status, "reason": heard.error}
                leg.tags.update((name, value) for name, value in told.items() if value is not None)
                flight.deserving = flight.deserving or not heard.ok


class ObservedPublisher:
    """Publishing is one piece of work, and each event of it a span in the trace of the work that caused it.

    That span has its id before the event goes, for the message's headers name it as the consumer's parent. `trace`
    renders spans; without it only counts are made. A round that left events behind is kept.
    """

    def __init__(
        self, publisher: Publisher, watch: Watch, flights: Flights, trace: Rendering | None, streams: Streams
    ) -> None:
        self._publisher, self._watch, self._flights = publisher, watch, flights
        self._trace, self._streams = trace, streams

    async def publish(self, rows: Sequence[OutboxRow]) -> list[Published]:
        with self._flights.background("outbox.publish"):
            flight = current.get()
            assert flight is not None
            flight.about["events"] = len(rows)
            reports = await self._publisher.publish([self._addressed(row) for row in rows])
            flight.about["published"] = len(reports)
            flight.deserving = len(reports) < len(rows)
            flight.end_ns = time_ns()
        self._count(reports)
        for report in reports:
            self._streams.acknowledged(report.partition, report.offset)
            if self._trace is not None:
                self._render(report, flight, self._trace)
        return reports

    def _count(self, reports: Sequence[Published]) -> None:
        """How old an event is is told by two clocks, the database's and ours."""
        now, counted = time(), Counter[tuple[str, str]]()
        for report in reports:
            waited_s = max(0.0, now - report.row.at.timestamp()) if report.row.at else 0.0
            counted[report.row.type, "yes" if waited_s <= IN_TIME_S else "no"] += 1
            self._watch.observe("outbox.wait", waited_s * 1000)
        for (kind, in_time), number in counted.items():
            self._watch.count("outbox.published", number, type=kind, in_time=in_time)

    def _addressed(self, row: OutboxRow) -> OutboxRow:
        """The row with the headers that its message carries."""
        context, headers = from_traceparent(row.traceparent), dict[str, str]()
        if context is not None:
            keep = bool(context.keep)
            parent_id = f"{new_span_id():016x}" if keep and self._trace else context.parent_id
            headers = carried(context.trace_id, parent_id, keep)
        headers |= self._streams.produced()
        return replace(row, headers=tuple(headers.items()))

    @staticmethod
    def _render(report: Published, batch: Flight, trace: Rendering) -> None:
        context = from_traceparent(report.row.traceparent)
        if context is not None and context.keep:
            flight = _produced(report, context, batch)
            flight.span_id = int(dict(report.row.headers)["x-datadog-parent-id"])
            trace(flight)

    async def ping(self) -> None:
        await self._publisher.ping()


def _produced(report: Published, context: Context, batch: Flight) -> Flight:
    """The flight of one event, over the time its batch took."""
    flight = Flight("kafka.produce", context, 1.0)
    flight.start_ns, flight.end_ns = batch.start_ns, batch.end_ns
    row = report.row
    flight.about = {
        "event": row.type,
        "sequence": row.seq,
        "merchant_id": row.merchant_id,
        "payment_id": row.subject_id,
        "partition": report.partition,
        "offset": report.offset,
    }
    return flight


@contextmanager
def consumption(message: Consumed, flights: Flights, streams: Streams) -> Iterator[None]:
    """Around the handling of one message: a `kafka.consume` in its producer's trace, and a checkpoint of its way.

    A message without a trace, or with one that makes no sense, begins its own.
    """
    context = incoming((name.encode(), value) for name, value in message.headers)
    origin = (
        Origin("kafka.consume", "", context.trace_id, context.parent_id, context.keep is not False) if context else None
    )
    streams.consumed(message)
    gone: GeneratorExit | None = None
    with flights.background("kafka.consume", origin):
        flight = current.get()
        assert flight is not None
        flight.about = {"partition": message.partition, "offset": message.offset, "payment_id": message.key}
        try:
            yield
        except GeneratorExit as left:  # the reader wants no more, which is no error
            gone = left
    if gone is not None:
        raise gone
