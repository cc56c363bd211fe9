"""What of ddtrace may be switched on besides spans: off by itself, on when a setting says so, and quiet both ways."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, sys, threading
from cleartill.ports import Consumed
from cleartill.settings import Settings
from cleartill.telemetry.correlation import here
from cleartill.wiring import sight_of
watched = sight_of(Settings.read())
here.set(("1" * 32, "2" * 16, True, ""))
said = {"comment": watched.comments("postgresql://x:y@db.example:5432/books").here()}
with watched.flights.background("payment.resolve") as origin:
    said["trace_id"] = origin.trace_id
    if "ddtrace" in sys.modules:
        from ddtrace.trace import tracer
        active = tracer.current_trace_context()
        said["active"] = active and f"{active.trace_id:032x}"
    import redis
    said["redis"] = hasattr(redis.Redis.execute_command, "__wrapped__")
with watched.consumed(Consumed("events", 0, 7, "pay_1", [])):
    pass
said["ddtrace"] = sorted(name for name in sys.modules if name in ("ddtrace", "ddtrace.profiling.profiler",
    "ddtrace.runtime", "ddtrace.internal.datastreams.processor"))
said["threads"] = sorted(thread.name for thread in threading.enumerate())
watched.close()
print(json.dumps(said), file=sys.stderr)
"""
TRACES = {"DD_TRACE_ENABLED": "true", "DD_TRACE_AGENT_PORT": "1"}


def run(**settings: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DD_", "_DD_"))}
    program = [sys.executable, "-c", PROGRAM]
    return subprocess.run(program, env={**environment, **settings}, capture_output=True, timeout=60, check=False)


def said_with(**settings: str) -> dict[str, Any]:
    done = run(**settings)
    assert done.returncode == 0, done.stderr
    said = next(line for line in done.stderr.splitlines() if line.startswith(b'{"comment"'))
    found: dict[str, Any] = json.loads(said)
    return found


def test_by_itself_nothing_of_it_is_imported() -> None:
    said = said_with(DD_DATA_STREAMS_ENABLED="true", DD_DBM_PROPAGATION_MODE="full", DD_TRACE_INTEGRATIONS="redis")
    assert said["ddtrace"] == [], "these are of use with traces only"
    assert (said["comment"], said["redis"], said["threads"]) == ("", False, ["MainThread", "log-outlet"])


def test_with_traces_statements_say_whose_they_are_and_nothing_else_starts() -> None:
    said = said_with(**TRACES)
    assert said["ddtrace"] == ["ddtrace"]
    assert said["active"] is None
    begin, _, traceparent = said["comment"].partition(",traceparent=")
    assert begin.startswith("/*dddb='books',dddbs='cleartill',dde='development',ddh='db.example',ddps='cleartill'")
    assert traceparent == f"'00-{'1' * 32}-{'2' * 16}-01'*/ "
    assert said_with(**TRACES, DD_DBM_PROPAGATION_MODE="disabled")["comment"] == ""


def test_the_profiler_and_runtime_metrics_need_no_traces() -> None:
    said = said_with(DD_PROFILING_ENABLED="true", DD_RUNTIME_METRICS_ENABLED="true", DD_TRACE_AGENT_PORT="1")
    assert {"ddtrace.profiling.profiler", "ddtrace.runtime"} <= set(said["ddtrace"])


def test_an_integrations_spans_hang_under_the_work_that_is_under_way() -> None:
    said = said_with(**TRACES, DD_TRACE_INTEGRATIONS="redis")
    assert said["redis"]
    assert said["active"] == said["trace_id"]


@pytest.mark.parametrize("names", ["rediss", "redis,nobodys"])
def test_an_integration_that_there_is_none_of_is_named_at_the_start(names: str) -> None:
    done = run(**TRACES, DD_TRACE_INTEGRATIONS=names)
    assert done.returncode != 0
    assert b"DD_TRACE_INTEGRATIONS names what ddtrace does not know" in done.stdout + done.stderr
