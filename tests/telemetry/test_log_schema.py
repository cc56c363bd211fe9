"""The documented shape of a log line: what the catalogue declares, and nothing that it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import cleartill.telemetry
from cleartill.telemetry.catalog import LOG_FIELDS

SCHEMA = json.loads(Path(cleartill.telemetry.__file__).with_name("log_line.schema.json").read_text())
VALID = Draft202012Validator(SCHEMA)
BARE = {"time": "2026-01-15T12:00:00.000Z", "level": "info", "service": "s", "env": "test", "version": "1"}
IDS = {"trace_id": "a" * 32, "span_id": "b" * 16}


def test_it_declares_the_catalogues_fields_with_their_meaning() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    declared = {name: field["description"] for name, field in SCHEMA["properties"].items()}
    assert declared == LOG_FIELDS


@pytest.mark.parametrize(
    ("line", "is_valid"),
    [
        ({"event": "log", "message": "started"}, True),
        ({"event": "log"}, False),
        ({"event": "request", **IDS, "status": 201, "hops": {"books.record": 1.5}}, True),
        ({"event": "request", "status": 201}, False),
        ({"event": "payment.captured", "trace_id": "a" * 32}, False),
        ({"event": "payment.captured", **IDS, "pan": "4111"}, False),
        ({"event": "log", "message": "m", "span_id": "b" * 16}, False),
        ({"event": "log", "message": "m", "error": {"type": "E", "message": "m", "places": []}}, True),
        ({"event": "log", "message": "m", "error": {"type": "E", "message": "m", "locals": []}}, False),
        ({"event": "request", **IDS, "trace_id": "A" * 32}, False),
    ],
)
def test_it_tells_lines_from_what_is_none(line: dict[str, Any], is_valid: bool) -> None:
    assert VALID.is_valid({**BARE, **line}) is is_valid
