"""Flights as ddtrace spans: one trace across API and worker, whole, with the ids and times it had."""

from typing import Any

import pytest

from cleartill.domain.outcome import Declined
from cleartill.ports import Origin, OutboxRow
from cleartill.telemetry.catalog import Undeclared
from cleartill.telemetry.flight import Flight, current
from cleartill.telemetry.spans import Spans

CALLER = "b7ad6b7169203331"
TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = [(b"traceparent", f"00-{TRACE}-{CALLER}-01".encode())]


class Written:
    """A writer that keeps what ddtrace's would send."""

    def __init__(self) -> None:
        self.chunks: list[list[Any]] = []

    def write(self, spans: Any = None) -> None:
        self.chunks.append(spans)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def spans(written: Written) -> Spans:
    return Spans(written, service="cleartill", env="test", version="1.2.3", strict=True)


def tags(span: Any) -> dict[str, Any]:
    return {**span.get_tags(), **span.get_metrics()}


async def test_api_and_worker_make_one_trace(stage: Any, spans: Spans, written: Written) -> None:
    spans.render(await stage.visit(headers=HEADERS))
    origin = stage.books.units[1].origin
    with stage.deck.background("payment.resolve", origin):
        pass
    spans.render(stage.landed[-1])
    row = OutboxRow("merchant_1", "pay_1", 2, b"{}", "payment.captured", origin.traceparent)
    await stage.till.publisher.publish([row])
    spans.render(stage.traced[0])

    every = [span for chunk in written.chunks for span in chunk]
    assert {span.trace_id for span in every} == {int(TRACE, 16)}
    by_id = {span.span_id: span for span in every}
    assert len(by_id) == len(every) == 11
    orphans = [span.name for span in every if span.parent_id not in by_id]
    assert orphans == ["web.request"]
    web, charge = written.chunks[0][:2]
    assert web.parent_id == int(CALLER, 16)
    assert (charge.name, charge.parent_id) == ("payment.charge", web.span_id)
    below = {span.name: by_id[span.parent_id].name for span in every[1:]}
    assert below == {
        "payment.charge": "web.request",
        "vault.encrypt": "payment.charge",
        "guard.wait": "payment.charge",
        "books.record": "payment.charge",
        "books.batch": "books.record",
        "provider.call": "payment.charge",
        "payment.resolve": "web.request",
        "kafka.produce": "web.request",
    }


async def test_a_chunks_first_span_carries_what_belongs_to_the_trace(
    stage: Any, spans: Spans, written: Written
) -> None:
    spans.render(await stage.visit(headers=HEADERS))
    root = tags(written.chunks[0][0])
    assert root["_dd.p.tid"] == TRACE[:16]
    assert root["_sampling_priority_v1"] == 1
    assert root["_dd.top_level"] == 1
    assert root["http.status_code"] == "201"
    assert root["http.route"] == "/api/v1/payments/process"
    assert root["request_id"] == "req_1"
    assert written.chunks[0][0].resource == "POST /api/v1/payments/process"
    for span in written.chunks[0]:
        assert span.service == "cleartill"
        assert (tags(span)["env"], tags(span)["version"]) == ("test", "1.2.3")


async def test_spans_have_the_times_of_their_hops(stage: Any, spans: Spans, written: Written) -> None:
    flight = await stage.visit()
    spans.render(flight)
    root, operation, *hops = written.chunks[0]
    assert (root.start_ns, root.duration_ns) == (flight.start_ns, flight.end_ns - flight.start_ns)
    assert operation.start_ns == flight.hops[0].start_ns
    assert [(span.span_id, span.start_ns, span.duration_ns) for span in hops] == [
        (leg.span_id, leg.start_ns, leg.end_ns - leg.start_ns) for leg in flight.hops
    ]


async def test_a_decline_is_kept_by_its_outcome_and_is_no_error(stage: Any, spans: Spans, written: Written) -> None:
    stage.deck.share = 0.0
    stage.bank.outcome = Declined("insufficient_funds", network_code="51")
    spans.render(await stage.visit())
    root, operation, *_ = written.chunks[0]
    assert tags(root)["_sampling_priority_v1"] == 2
    assert root.error == 0
    assert tags(operation)["decline_code"] == "insufficient_funds"
    assert tags(operation)["decline_category"] == "soft"
    call = next(span for span in written.chunks[0] if span.name == "provider.call")
    assert (call.resource, tags(call)["outcome"], call.error) == ("bank authorize", "declined", 0)


async def test_what_is_not_kept_is_not_rendered(stage: Any, spans: Spans, written: Written) -> None:
    stage.deck.share = 0.0
    spans.render(await stage.visit())
    assert written.chunks == []


async def test_an_error_is_an_error(stage: Any, spans: Spans, written: Written) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("4111111111111111")

    with pytest.raises(RuntimeError):
        await stage.visit(app)
    spans.render(stage.landed[0])
    (root,) = written.chunks[0]
    assert root.error == 1
    assert tags(root)["error.type"] == "RuntimeError"
    assert tags(root)["http.status_code"] == "500"
    assert "4111" not in str(tags(root))


async def test_a_hop_that_never_ended_ends_with_the_work(stage: Any, spans: Spans, written: Written) -> None:
    with stage.deck.background("payment.resolve"):
        flight = current.get()
        assert flight is not None
        flight.begin("books.load", what="attempt")
    spans.render(stage.landed[0])
    hop = written.chunks[0][1]
    assert tags(hop)["outcome"] == "cut_off"
    assert hop.start_ns + hop.duration_ns == stage.landed[0].end_ns


async def test_events_of_traces_nobody_keeps_have_no_span(stage: Any) -> None:
    dropped = Origin("", "", TRACE, CALLER, keep=False).traceparent
    rows = [OutboxRow("m", "pay_1", seq, b"{}", "payment.captured", said) for seq, said in enumerate((dropped, None))]
    await stage.till.publisher.publish(rows)
    assert stage.traced == []


async def test_an_undeclared_span_or_tag_raises_in_tests(stage: Any, spans: Spans) -> None:
    for flight in (Flight("web.reqest", None, 1.0), Flight("web.request", None, 1.0)):
        flight.about["surprise"] = 1
        flight.end_ns = flight.start_ns
        with pytest.raises(Undeclared):
            spans.render(flight)


async def test_a_card_sent_as_request_id_or_provider_is_in_no_span(stage: Any, spans: Spans, written: Written) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["cleartill.visit"].request_id = "4111-1111-1111-1111"
        async with stage.till.providers.permit("4111111111111111", 0.0):
            pass

    spans.render(await stage.visit(app))
    assert [span.name for span in written.chunks[0]] == ["web.request", "guard.wait"]
    for span in written.chunks[0]:
        assert "1111" not in str(tags(span))


async def test_a_round_of_the_publisher_is_a_trace_of_its_own(stage: Any, spans: Spans, written: Written) -> None:
    stage.deck.share = 0.0
    row = OutboxRow("merchant_1", "pay_1", 1, b"{}", "payment.captured", None)
    await stage.till.publisher.publish([row])
    spans.render(stage.landed[0])
    assert written.chunks == []
    stage.publisher.fails = {1}
    await stage.till.publisher.publish([row])
    spans.render(stage.landed[1])
    ((only,),) = written.chunks
    assert (only.name, only.parent_id) == ("outbox.publish", None)
    assert (tags(only)["events"], tags(only)["published"]) == (1, 0)
