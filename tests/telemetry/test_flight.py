"""The record: hops, what the books are handed, what is kept, and when a request's record ends."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.errors import BooksUnavailable, ProviderUnavailable
from cleartill.domain.outcome import Declined, Unknown
from cleartill.ports import Origin, Verdict
from cleartill.telemetry import flight as flights
from cleartill.telemetry.flight import Flight, FlightDeck

TRACE = "0af7651916cd43dd8448eb211c80319c"
UPSTREAM_DROPS = [(b"traceparent", f"00-{TRACE}-b7ad6b7169203331-00".encode())]


async def test_a_charge_records_its_hops_in_order(stage: Any) -> None:
    flight = await stage.visit()
    assert [leg.name for leg in flight.hops] == [
        "vault.encrypt",
        "guard.wait",
        "books.record",
        "books.batch",
        "provider.call",
        "books.record",
        "books.batch",
    ]
    assert all(leg.end_ns >= leg.start_ns > 0 for leg in flight.hops)
    assert flight.operation == "payment.charge"
    assert flight.about["bin"] == "411111"


async def test_each_unit_is_handed_the_hops_that_no_unit_had_yet(stage: Any) -> None:
    await stage.visit()
    intent, outcome = stage.books.units
    assert [hop.name for hop in intent.hops] == ["vault.encrypt", "guard.wait"]
    assert [hop.name for hop in outcome.hops] == ["books.record", "books.batch", "provider.call"]


async def test_hops_of_a_unit_that_was_not_written_are_handed_over_again(stage: Any) -> None:
    stage.books.verdicts = [Verdict.RECORDED, Verdict.CONFLICT]

    async def load_attempt(merchant_id: str, key: str) -> Any:
        raise BooksUnavailable("away")

    stage.books.load_attempt = load_attempt
    with stage.deck.background("test") as origin:
        await stage.charge(origin)
        current = flights.current.get()
        assert current is not None
        again = type(stage.books.units[1])(payment=stage.books.units[1].payment, expecting=1, origin=origin, facts=[])
        current.hand_over(again)
    assert [hop.name for hop in stage.books.units[1].hops] == ["books.record", "books.batch", "provider.call"]
    assert [hop.name for hop in again.hops][:3] == ["books.record", "books.batch", "provider.call"]


async def test_the_bank_is_sent_the_span_of_its_own_call(stage: Any) -> None:
    flight = await stage.visit()
    call = next(leg for leg in flight.hops if leg.name == "provider.call")
    assert stage.bank.sent_headers[0]["traceparent"] == f"00-{flight.trace_id}-{call.span_id:016x}-01"


async def test_hops_are_bounded(stage: Any) -> None:
    with stage.deck.background("test"):
        current = flights.current.get()
        assert current is not None
        for _ in range(flights.MAX_HOPS + 5):
            current.begin("books.load", what="payment").end()
    assert len(stage.landed[0].hops) == flights.MAX_HOPS
    assert stage.landed[0].dropped == 5


async def test_work_outside_of_a_flight_is_counted_all_the_same(stage: Any) -> None:
    await stage.charge(Origin("cli", "", "1" * 32, "2" * 16))
    assert stage.heard.total("payment.count") == 1
    assert stage.heard.total("provider.call") == 1
    assert stage.landed == []


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ordinary_work_is_kept_by_its_share(stage: Any) -> None:
    stage.deck.share = 0.0
    assert not (await stage.visit()).kept
    stage.deck.share = 1.0
    assert (await stage.visit()).kept


async def test_the_upstreams_no_is_respected(stage: Any) -> None:
    flight = await stage.visit(headers=UPSTREAM_DROPS)
    assert flight.trace_id == TRACE
    assert not flight.kept
    assert stage.books.units[1].origin.keep is False
    assert stage.bank.sent_headers[0]["traceparent"].endswith("-00")


async def test_the_upstreams_yes_is_respected(stage: Any) -> None:
    stage.deck.share = 0.0
    kept = [(name, value[:-2] + b"01") for name, value in UPSTREAM_DROPS]
    assert (await stage.visit(headers=kept)).kept


@pytest.mark.parametrize("outcome", [Declined("do_not_honor"), Unknown("timeout")])
async def test_declines_and_doubts_are_kept_and_their_events_say_so(stage: Any, outcome: Any) -> None:
    stage.bank.outcome = outcome
    flight = await stage.visit(headers=UPSTREAM_DROPS)
    assert flight.kept
    assert stage.books.units[1].origin.traceparent.endswith("-01")


async def test_slow_work_is_kept(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "SLOW_NS", 0)
    assert (await stage.visit(headers=UPSTREAM_DROPS)).kept


@pytest.mark.parametrize(("status", "kept"), [(200, False), (404, False), (500, True), (503, True)])
async def test_our_errors_are_kept_and_the_callers_are_ordinary(stage: Any, status: int, kept: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})

    assert (await stage.visit(app, UPSTREAM_DROPS)).kept is kept


async def test_background_work_that_raises_is_kept(stage: Any) -> None:
    stage.deck.share = 0.0
    with pytest.raises(ProviderUnavailable), stage.deck.background("payment.resolve"):
        raise ProviderUnavailable("away")
    assert stage.landed[0].kept
    assert stage.landed[0].error == "ProviderUnavailable"


# ── when a record ends ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_that_was_cut_off_is_rendered_when_its_work_has_ended(stage: Any) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()
    authorize = stage.bank.authorize

    async def slowly(ask: Any) -> Any:
        asked.set()
        await answered.wait()
        return await authorize(ask)

    stage.bank.authorize = slowly
    works: list[asyncio.Task[Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        visit = scope["cleartill.visit"]
        work = asyncio.create_task(stage.charge(Origin("key_1", "", visit.trace_id, visit.span_id, visit.keep)))
        works.append(work)
        visit.work.append(work)
        await asyncio.shield(work)

    request = asyncio.create_task(stage.visit(app))
    await asked.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert stage.landed == []
    answered.set()
    await works[0]
    await asyncio.sleep(0)
    (flight,) = stage.landed
    assert flight.status == 499
    assert [leg.name for leg in flight.hops][-3:] == ["provider.call", "books.record", "books.batch"]
    assert flight.end_ns <= flight.hops[-2].end_ns


async def test_work_that_dies_after_its_request_is_an_error(stage: Any) -> None:
    async def die() -> None:
        raise RuntimeError("no")

    tasks: list[asyncio.Task[None]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(die()))
        scope["cleartill.visit"].work.append(tasks[0])
        await send({"type": "http.response.start", "status": 202, "headers": []})

    with pytest.raises(IndexError):
        await stage.visit(app)  # nothing has landed yet
    with pytest.raises(RuntimeError):
        await tasks[0]
    await asyncio.sleep(0)
    assert stage.landed[0].error == "RuntimeError"
    assert stage.landed[0].kept


async def test_what_is_not_http_passes_untouched(stage: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    from cleartill.telemetry.request import watch_requests

    await watch_requests(app, stage.deck)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]
    assert stage.landed == []


def test_a_rendering_that_raises_harms_nobody() -> None:
    failures: list[str] = []
    landed: list[Flight] = []

    def broken(_: Flight) -> None:
        raise ValueError("no")

    deck = FlightDeck([broken, landed.append], 1.0, failures.append)
    with deck.background("test"):
        pass
    assert failures == ["ValueError"]
    assert len(landed) == 1


def test_background_work_belongs_to_its_parents_trace(stage: Any) -> None:
    parent = Origin("key_1", "req_1", TRACE, "b7ad6b7169203331", keep=False)
    with stage.deck.background("payment.resolve", parent) as origin:
        assert origin.trace_id == TRACE
        assert origin.span_id != parent.span_id
        assert origin.keep is False
        assert (origin.actor, origin.request_id) == ("payment.resolve", "req_1")
    assert stage.landed[0].parent_id == int("b7ad6b7169203331", 16)
    assert flights.current.get() is None
