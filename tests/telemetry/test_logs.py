"""Log lines: JSON, with the documented fields, without cards, and never in anybody's way."""

import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from cleartill.domain.card import Pan
from cleartill.domain.outcome import Declined
from cleartill.telemetry import logs
from cleartill.telemetry.catalog import LOG_FIELDS
from cleartill.telemetry.logs import Handler, JsonLines, Outlet, Records

PAN = "4111111111111111"


class Page:
    """An outlet that keeps its lines."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.scrubbed = 0

    def put(self, line: bytes) -> None:
        self.raw.append(line)

    def count(self) -> None:
        self.scrubbed += 1

    @property
    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw]


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def lines(page: Page) -> JsonLines:
    return JsonLines(service="cleartill", env="test", version="1.2.3", scrubbed=page.count)


@pytest.fixture
def handler(page: Page, lines: JsonLines) -> Handler:
    return Handler(lines, page)  # type: ignore[arg-type]


@pytest.fixture
def logger(handler: Handler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("somebody.elses")
    logger.addHandler(handler)
    logger.setLevel("DEBUG")
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_line_of_prose_has_the_documented_fields(logger: logging.Logger, page: Page) -> None:
    logger.warning("pool of %d is full", 4, extra={"request_id": "req_1", "trace_id": "a" * 32, "pool": {"size": 4}})
    (line,) = page.read
    assert set(line) <= set(LOG_FIELDS)
    assert (line["level"], line["event"], line["message"]) == ("warning", "log", "pool of 4 is full")
    assert (line["service"], line["env"], line["version"]) == ("cleartill", "test", "1.2.3")
    assert (line["request_id"], line["trace_id"]) == ("req_1", "a" * 32)
    assert line["extra"] == {"pool": {"size": 4}}
    assert page.raw[0].endswith(b"\n")
    assert page.raw[0].count(b"\n") == 1


@pytest.mark.parametrize("written", [PAN, "4111 1111 1111 1111", "4111-1111-1111-1111"])
@pytest.mark.parametrize(
    "where", ["message", "argument", "extra", "nested", "key", "number", "trace_id", "exception", "cause"]
)
def test_a_card_is_dropped_wherever_it_is_and_counted(
    logger: logging.Logger, page: Page, written: str, where: str
) -> None:
    match where:
        case "message":
            logger.info(f"paid with {written}")
        case "argument":
            logger.info("paid with %s", written)
        case "extra":
            logger.info("paid", extra={"card": written})
        case "nested":
            logger.info("paid", extra={"body": {"cards": [{"number": written}]}})
        case "key":
            logger.info("paid", extra={"seen": {written: True}})
        case "number":
            logger.info("paid", extra={"seen": [int(PAN)]})
        case "trace_id":
            logger.info("paid with %s", written, extra={"trace_id": written})
        case _:
            try:
                try:
                    raise ValueError(f"bad card {written}")
                except ValueError as error:
                    if where == "exception":
                        raise
                    raise RuntimeError(f"caused by {error}") from error
            except (ValueError, RuntimeError):
                logger.exception("failed")
    (line,) = page.read
    assert PAN not in json.dumps(line).replace(" ", "").replace("-", "")
    assert line["event"] == "log"
    assert page.scrubbed == 1


def test_an_exception_shows_places_and_no_locals(logger: logging.Logger, page: Page) -> None:
    def inner() -> None:
        secret_number = Pan(PAN)
        raise KeyError(secret_number)

    try:
        inner()
    except KeyError:
        logger.exception("failed")
    error = page.read[0]["error"]
    assert error["type"] == "KeyError"
    assert error["places"][0].endswith(" inner")
    assert "secret_number" not in str(error)
    assert page.scrubbed == 0


def test_lines_that_cannot_be_made_say_so(handler: Handler, page: Page) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError(PAN)

    handler.handle(logging.makeLogRecord({"msg": "%s", "args": (Unprintable(),)}))
    handler.handle(logging.makeLogRecord({"msg": "fine", "thing": Unprintable()}))
    assert page.read[0]["message"] == "%s"
    assert page.read[1]["message"] == "unprintable line"
    assert PAN not in str(page.raw)


def test_ids_of_sixteen_digits_survive(lines: JsonLines, page: Page) -> None:
    line = json.loads(lines.line(0.0, "info", {"event": "request"}, "0" * 16 + PAN, PAN))
    assert (line["trace_id"], line["span_id"]) == ("0" * 16 + PAN, PAN)
    assert page.scrubbed == 0
    assert "trace_id" not in json.loads(lines.line(0.0, "info", {"event": "request"}, '1","x":"', "2"))


async def test_a_charge_writes_a_line_per_fact_and_one_for_the_request(
    stage: Any, lines: JsonLines, page: Page
) -> None:
    records = Records(lines, page, requests=True)  # type: ignore[arg-type]
    flight = await stage.visit()
    for _, unit in stage.facts:
        for fact in unit.facts:
            records.fact(fact, unit)
    records.render(flight)
    created, captured, request = page.read
    assert (created["event"], captured["event"], request["event"]) == (
        "payment.created", "payment.captured", "request",
    )  # fmt: skip
    for line in page.read:
        assert set(line) <= set(LOG_FIELDS)
        assert line["trace_id"] == flight.trace_id
        assert line["request_id"] == "req_1"
        assert line["merchant_id"] == "merchant_1"
    assert (request["route"], request["status"]) == ("POST /api/v1/payments/process", 201)
    assert set(request["hops"]) == {"vault.encrypt", "guard.wait", "books.record", "books.batch", "provider.call"}
    assert request["duration_ms"] >= request["hops"]["provider.call"]


async def test_a_facts_line_tells_of_its_own_moment(stage: Any, lines: JsonLines, page: Page) -> None:
    """A unit may hold several facts: the first is not told with the state the last one left."""
    stage.bank.outcome = Declined("do_not_honor")
    await stage.visit()
    (created, _), (failed, unit) = ((unit.facts[0], unit) for _, unit in stage.facts)
    records = Records(lines, page, requests=True)  # type: ignore[arg-type]
    for fact in (created, failed):
        records.fact(fact, unit)
    assert [(line["status"], line.get("decline_code")) for line in page.read] == [
        ("processing", None),
        ("failed", "do_not_honor"),
    ]


async def test_ordinary_lines_can_be_switched_off(stage: Any, lines: JsonLines, page: Page) -> None:
    records = Records(lines, page, requests=False)  # type: ignore[arg-type]
    flight = await stage.visit()
    records.render(flight)
    records.fact(stage.facts[1][1].facts[0], stage.facts[1][1])
    assert page.raw == []
    stage.bank.outcome = Declined("do_not_honor")
    await stage.visit()
    records.fact(stage.facts[-1][1].facts[0], stage.facts[-1][1])
    assert page.read[0]["decline_code"] == "do_not_honor"
    flight.status = 503
    records.render(flight)
    assert page.read[1]["level"] == "error"


async def test_the_level_holds_for_our_own_lines_too(stage: Any, lines: JsonLines, page: Page) -> None:
    records = Records(lines, page, requests=True, level="WARNING")  # type: ignore[arg-type]
    stage.bank.outcome = Declined("do_not_honor")
    flight = await stage.visit()
    records.render(flight)
    records.fact(stage.facts[-1][1].facts[0], stage.facts[-1][1])
    assert page.raw == []
    flight.status = 503
    records.render(flight)
    assert [line["level"] for line in page.read] == ["error"]


@pytest.mark.parametrize("route", ["GET /health/live", "GET /console/assets"])
async def test_health_checks_and_files_write_no_lines(stage: Any, lines: JsonLines, page: Page, route: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["cleartill.visit"].route = route
        await send({"type": "http.response.start", "status": 200, "headers": []})

    Records(lines, page, requests=True).render(await stage.visit(app))  # type: ignore[arg-type]
    assert page.raw == []


# ── the outlet ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lines_come_out_whole_and_in_order() -> None:
    reading, writing = os.pipe()
    outlet = Outlet(writing, lambda: None)
    for number in range(1000):
        outlet.put(b"%d\n" % number)
    outlet.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().split() == [b"%d" % number for number in range(1000)]


def test_a_pipe_that_nobody_reads_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 100)
    dropped: list[None] = []
    reading, writing = os.pipe()
    outlet = Outlet(writing, lambda: dropped.append(None))
    for _ in range(1000):
        outlet.put(b"x" * 4095 + b"\n")
    assert 1000 > len(dropped) >= 700
    os.close(reading)
    outlet.close()
    os.close(writing)


def test_a_reader_that_is_gone_ends_the_thread_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outlet = Outlet(writing, lambda: None)
    outlet.put(b"x\n")
    outlet.close()
    os.close(writing)
    assert not outlet._thread.is_alive()
