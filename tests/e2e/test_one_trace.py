"""One trace from the caller's header to the receiver's: API, vault, books, bank, outbox, Kafka, a consumer, a webhook.

Datadog's own test agent takes the spans, and the trees are held as text in snapshots/; `UPDATE_SNAPSHOTS=1` writes them
anew. Each caller's trace is asked about once everything has happened in all of them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer

from cleartill.domain.merchant import DEMO_API_KEY
from cleartill.simulator.cards import TEST_CARDS, Fault
from e2e.conftest import Traced
from e2e.overheard import Headers, tree
from service import charge_body, eventually

SNAPSHOTS = Path(__file__).with_name("snapshots")
SILENT = next(card.number for card in TEST_CARDS if card.fault is Fault.TIMEOUT_AFTER)
DECLINED = next(card.number for card in TEST_CARDS if card.name == "card_declined")
PROCESS = "/api/v1/payments/process"
PARENT = 0x00F067AA0BA902B7
DECOY = "00-" + "d" * 32 + "-" + "e" * 16 + "-00"


def trace_of(number: int) -> str:
    """128 bits, all of which matter, and new for each run: the agent keeps what it was sent."""
    return f"{int(time.time()):08x}{number:08x}{os.getpid() << 16 | number | 1 << 63:016x}"


def datadog(trace_id: str, priority: int = 1) -> Headers:
    return {
        "x-datadog-trace-id": str(int(trace_id[16:], 16)),
        "x-datadog-parent-id": str(PARENT),
        "x-datadog-sampling-priority": str(priority),
        "x-datadog-tags": f"_dd.p.dm=-1,_dd.p.tid={trace_id[:16]}",
    }


def w3c(trace_id: str, keep: bool = True) -> Headers:
    return {"traceparent": f"00-{trace_id}-{PARENT:016x}-{int(keep):02x}", "tracestate": "congo=t61rcWkgMzE"}


@dataclass
class Told:
    """One call, and the trace it was made in."""

    trace_id: str
    headers: Headers
    path: str = PROCESS
    body: dict[str, Any] = field(default_factory=charge_body)
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """What came of all calls."""

    calls: dict[str, Told]
    traces: dict[str, list[dict[str, Any]]]
    bank: list[tuple[str, Headers]]
    letters: list[Headers]
    messages: list[dict[str, str]]
    stats: bytes


def calls_of_a_day() -> dict[str, Told]:
    ids = [trace_of(number) for number in range(8)]
    return {
        "datadog": Told(ids[0], datadog(ids[0])),
        "w3c": Told(ids[1], w3c(ids[1])),
        "contradiction": Told(ids[2], {**datadog(ids[2]), "traceparent": DECOY}),
        "refund": Told(ids[3], {**datadog(ids[3]), **w3c(ids[3])}, "refund", {"amount": "60.00"}),
        "doubt": Told(ids[4], datadog(ids[4], priority=0), body=charge_body(SILENT)),
        "unwanted": Told(ids[5], w3c(ids[5], keep=False)),
        "unwanted decline": Told(ids[6], w3c(ids[6], keep=False), body=charge_body(DECLINED)),
        "last": Told(ids[7], w3c(ids[7])),
    }


@pytest.fixture(scope="module")
def seen(traced: Traced) -> Iterator[Seen]:
    calls, service = calls_of_a_day(), traced.service
    demo = {"Authorization": f"Bearer {DEMO_API_KEY}"}
    with httpx.Client(base_url=service.apis[0], headers=demo, timeout=15) as caller:
        hook = {"url": traced.receiver.url, "event_types": ["payment.captured", "refund.succeeded"]}
        endpoint = caller.post("/api/v1/webhook-endpoints", json=hook)
        assert endpoint.status_code == 201, endpoint.text
        for name, call in calls.items():
            payment = calls["datadog"].answer.get("id")
            path = call.path if call.path == PROCESS else f"/api/v1/payments/{payment}/{call.path}"
            answer = caller.post(path, json=call.body, headers=call.headers)
            assert answer.status_code == (202 if name == "doubt" else 201), answer.text
            call.answer = answer.json()
        doubtful = calls["doubt"].answer["id"]
        eventually(lambda: caller.get(f"/api/v1/payments/{doubtful}").json()["status"] == "captured")
        eventually(lambda: not service.rows("SELECT 1 FROM outbox WHERE published_at IS NULL"))
        ids = [call.trace_id for call in calls.values()]
        eventually(lambda: len(letters_in(traced, ids)) == 7)
        consume(traced)
    ends = {"kafka.consume", "webhook.deliver"}
    wanted = [call.trace_id for name, call in calls.items() if not name.startswith("unwanted")]

    def everything() -> Any:
        traces = traced.agent.spans()
        complete = all(ends <= {span["name"] for span in traces.get(trace_id, [])} for trace_id in wanted)
        return traces if complete and calls["unwanted decline"].trace_id in traces else None

    traces = eventually(everything)
    stats = eventually(lambda: "direction:out" in str(found := traced.agent.pipeline_stats()) and found)
    yield Seen(calls, traces, traced.bank.requests(), letters_in(traced, ids), message_headers(traced), stats)
    with httpx.Client(base_url=service.apis[0], headers=demo, timeout=15) as caller:
        caller.delete(f"/api/v1/webhook-endpoints/{endpoint.json()['id']}")


def letters_in(traced: Traced, trace_ids: list[str]) -> list[Headers]:
    """The headers of the letters in these traces."""
    heard = [headers for headers, _ in traced.receiver.letters]
    return [headers for headers in heard if headers["traceparent"].split("-")[1] in trace_ids]


def consume(traced: Traced) -> None:
    """Everything there is, by our own consumer: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cleartill", "events", "tail", "--from-beginning", "--no-follow", "--json"],
        env=traced.service.environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b"", done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["specversion"] for event in events} == {"1.0"}


def message_headers(traced: Traced) -> list[dict[str, str]]:
    """The headers of every message, as any consumer sees them, with the subject's id as `key`."""
    servers, topic = (traced.service.environment[name] for name in ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC"))
    reading = {"group.id": "overheard", "auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer({"bootstrap.servers": servers, **reading})
    consumer.subscribe([topic])
    partitions, ended, found = len(consumer.list_topics(topic, timeout=10).topics[topic].partitions), set[int](), []
    while len(ended) < partitions:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            ended.add(int(message.partition() or 0))
        else:
            carried = {name: value.decode() for name, value in message.headers() or []}
            found.append({**carried, "key": (message.key() or b"").decode()})
    consumer.close()
    return found


def held(name: str, text: str) -> None:
    """The snapshot of that name says the same."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text)
    assert text.splitlines() == file.read_text().splitlines()


@pytest.mark.parametrize("style", ["datadog", "w3c", "contradiction", "last"])
def test_a_charge_is_one_trace_whatever_headers_it_came_with(seen: Seen, style: str) -> None:
    held("charge", tree(seen.traces[seen.calls[style].trace_id]))


def test_a_refund_is_one_trace(seen: Seen) -> None:
    held("refund", tree(seen.traces[seen.calls["refund"].trace_id]))


def test_a_doubt_is_resolved_in_its_own_trace_and_kept_whole_though_nobody_wanted_it(seen: Seen) -> None:
    held("doubt", tree(seen.traces[seen.calls["doubt"].trace_id]))


def test_a_decline_that_nobody_wanted_is_kept_and_a_success_is_not(seen: Seen) -> None:
    held("declined", tree(seen.traces[seen.calls["unwanted decline"].trace_id]))
    assert seen.calls["unwanted"].trace_id not in seen.traces


def test_every_span_hangs_in_its_callers_trace(seen: Seen) -> None:
    for call in seen.calls.values():
        spans = seen.traces.get(call.trace_id, [])
        ids = [span["span_id"] for span in spans]
        assert len(ids) == len(set(ids))
        assert {span["parent_id"] for span in spans} <= {*ids, PARENT}
        assert {span["meta"]["_dd.p.tid"] for span in spans if "_dd.p.tid" in span["meta"]} <= {call.trace_id[:16]}


def test_a_contradicting_trace_is_linked_to(seen: Seen) -> None:
    (root,) = [s for s in seen.traces[seen.calls["contradiction"].trace_id] if s["name"] == "web.request"]
    links = root.get("span_links") or json.loads(root["meta"]["_dd.span_links"])
    (link,) = links
    assert "d" * 16 in str(link) or str(int("d" * 16, 16)) in str(link)
    assert link["attributes"] == {"reason": "terminated_context", "context_headers": "tracecontext"}
    assert "d" * 32 not in seen.traces


def same_trace(headers: dict[str, str], trace_id: str, keep: bool) -> str:
    """Both styles of headers say the same, all 128 bits of it; the parent's span id."""
    version, said, parent_id, flags = headers["traceparent"].split("-")
    assert (version, said, flags) == ("00", trace_id, f"{int(keep):02x}")
    assert headers["x-datadog-trace-id"] == str(int(trace_id[16:], 16))
    assert headers["x-datadog-tags"] == f"_dd.p.tid={trace_id[:16]}"
    assert headers["x-datadog-sampling-priority"] == str(int(keep))
    assert headers["x-datadog-parent-id"] == str(int(parent_id, 16))
    assert headers["tracestate"].startswith(f"dd=s:{int(keep)};p:{parent_id}")
    return str(int(parent_id, 16))


def ids_of(seen: Seen, trace_id: str, name: str) -> set[str]:
    return {str(span["span_id"]) for span in seen.traces.get(trace_id, []) if span["name"] == name}


def test_the_bank_is_asked_in_the_callers_trace(seen: Seen) -> None:
    asked = [(path, headers) for path, headers in seen.bank if "traceparent" in headers]
    for name, call in seen.calls.items():
        ours = [(path, headers) for path, headers in asked if call.trace_id in headers["traceparent"]]
        assert ours, name
        for _, headers in ours:
            keep = not (name.startswith("unwanted") or headers["x-datadog-sampling-priority"] == "0")
            parent = same_trace(headers, call.trace_id, keep)
            if name != "unwanted":
                assert parent in ids_of(seen, call.trace_id, "provider.call")
        others = "congo=t61rcWkgMzE"
        assert [others in headers["tracestate"] for _, headers in ours] == ["tracestate" in call.headers] * len(ours)
    doubtful = seen.calls["doubt"].trace_id
    assert any(path.startswith("/v1/operations/") and doubtful in headers["traceparent"] for path, headers in asked)


def test_messages_and_letters_carry_it_on_without_what_others_said(seen: Seen) -> None:
    for name in ("datadog", "w3c", "contradiction", "refund", "unwanted"):
        call, keep = seen.calls[name], name != "unwanted"
        messages = [one for one in seen.messages if call.trace_id in one.get("traceparent", "")]
        letters = [one for one in seen.letters if call.trace_id in one["traceparent"]]
        assert (len(messages), len(letters)) == (2, 1), name
        parents = {same_trace(one, call.trace_id, keep) for one in messages}
        sent = {same_trace(one, call.trace_id, keep) for one in letters}
        if keep:
            assert parents == ids_of(seen, call.trace_id, "kafka.produce")
            assert sent == ids_of(seen, call.trace_id, "webhook.send")
        assert not any("congo" in one["tracestate"] for one in messages + letters)


def test_data_streams_hears_of_both_directions(seen: Seen, traced: Traced) -> None:
    topic = f"topic:{traced.service.environment['KAFKA_TOPIC']}".encode()
    for word in (topic, b"type:kafka", b"direction:out", b"direction:in", b"group:cleartill-tail", b"kafka_produce"):
        assert word in seen.stats, word
    assert all(one["dd-pathway-ctx-base64"] for one in seen.messages)
