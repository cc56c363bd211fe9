"""Wires that are listened to: the bank's, a merchant's receiver, and what Datadog's test agent was sent."""

import base64
import re
import socket
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from cleartill.embedded.scratch import free_port

Headers = dict[str, str]
_HEAD = re.compile(rb"(?:GET|POST|PUT) (\S+) HTTP/1\.1\r\n((?:[^\r\n]+\r\n)+)\r\n")


class Wire:
    """A TCP proxy on `port` to `target`, which keeps what callers said."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._said: list[bytearray] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def requests(self) -> list[tuple[str, Headers]]:
        """Path and headers of each request so far."""
        found = [match for said in self._said for match in _HEAD.finditer(bytes(said))]
        return [(match[1].decode(), _headers(match[2].decode())) for match in found]

    def close(self) -> None:
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                try:
                    bank = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    caller.close()
                    continue
                self._sockets += [caller, bank]
                self._said.append(bytearray())
                for source, sink, kept in ((caller, bank, self._said[-1]), (bank, caller, bytearray())):
                    threading.Thread(target=_pump, args=(source, sink, kept), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            kept += data
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _headers(text: str) -> Headers:
    pairs = (line.split(":", 1) for line in text.splitlines())
    return {name.lower(): value.strip() for name, value in pairs}


class Receiver:
    """A merchant's webhook receiver: keeps each letter's headers and body, and answers what `status` says."""

    def __init__(self) -> None:
        receiver, self.letters, self.status = self, list[tuple[Headers, bytes]](), 200

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.letters.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Agent:
    """What Datadog's test agent at `url` has."""

    url: str

    def spans(self) -> dict[str, list[dict[str, Any]]]:
        """All spans by their trace's 128 bits, of which a chunk's first span carries the upper half."""
        traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for chunk in httpx.get(f"{self.url}/test/traces", timeout=10).json():
            by_low: dict[int, str] = {}
            for span in chunk:
                if "_dd.p.tid" in span["meta"]:
                    by_low[span["trace_id"]] = span["meta"]["_dd.p.tid"]
            for span in chunk:
                traces[f"{by_low.get(span['trace_id'], '?')}{span['trace_id']:016x}"].append(span)
        return traces

    def pipeline_stats(self) -> bytes:
        """The Data Streams payloads, as MessagePack, in which words can be read."""
        sent = httpx.get(f"{self.url}/test/session/requests", timeout=10).json()
        bodies = (base64.b64decode(one["body"]) for one in sent if one["url"].endswith("/v0.1/pipeline_stats"))
        return b"".join(bodies)


_MOVING = {
    "_dd.p.dm", "_dd.p.tid", "_dd.parent_id", "_dd.span_links", "_dd.top_level", "_dd.tracer_kr",
    "_sampling_priority_v1", "actor", "attempt_key", "batch_id", "env", "event_id", "language", "merchant_id",
    "offset", "partition", "payment_id", "process_id", "request_id", "rows", "runtime-id", "span.kind", "version",
    "waited_ms",
}  # fmt: skip
"""Tags that differ from run to run, or are the same on every span."""


def tree(spans: list[dict[str, Any]]) -> str:
    """The spans of a trace as text: name, resource, tags that stay; children by time, other processes' by name."""
    ids = {span["span_id"] for span in spans}
    below: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for span in spans:
        below[span["parent_id"] if span["parent_id"] in ids else 0].append(span)
    lines: list[str] = []

    def draw(span: dict[str, Any], depth: int) -> None:
        tags = {**span["meta"], **span["metrics"]}
        if tags.get("what") == "api_key":
            tags.pop("_dd.dbm_trace_injected", None)  # the key may be remembered, and then there is no statement
        shown = " ".join(f"{name}={tags[name]}" for name in sorted(tags.keys() - _MOVING))
        kind = f" ({span['type']})" if span["type"] else ""
        error = " ERROR" if span["error"] else ""
        resource = "" if span["resource"] == span["name"] else f" [{span['resource']}]"
        lines.append(f"{'  ' * depth}{span['name']}{resource}{kind}{error} {shown}".rstrip())
        for child in sorted(below[span["span_id"]], key=_order):
            draw(child, depth + 1)

    for root in sorted(below[0], key=_order):
        draw(root, 0)
    return "\n".join(lines) + "\n"


def _order(span: dict[str, Any]) -> tuple[Any, ...]:
    top = "_sampling_priority_v1" in span["metrics"]
    return top, span["name"] if top else "", span["metrics"].get("sequence", 0), span["start"]
