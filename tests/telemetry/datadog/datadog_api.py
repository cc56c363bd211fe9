"""A server on this machine that answers as Datadog's API does, remembers what it was asked, and fails when told to."""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from datadog_api_client.v1.model.metric_metadata import MetricMetadata
from datadog_api_client.v2.model.metric_tag_configuration_create_request import MetricTagConfigurationCreateRequest
from datadog_api_client.v2.model.metric_tag_configuration_update_request import MetricTagConfigurationUpdateRequest

from cleartill.embedded.scratch import free_port
from cleartill.telemetry.datadog.shapes import misfits

KEYS = {"DD-API-KEY": "api", "DD-APPLICATION-KEY": "app"}
ADDED = {
    "slo": {"created_at": 1, "modified_at": 2, "creator": {"email": "a@b.example"}, "monitor_tags": [], "groups": None,
            "timeframe": "30d", "target_threshold": 99.9, "configured_alert_ids": []},
    "monitor": {"created": "2026", "creator": {"email": "a@b.example"}, "multi": True, "org_id": 7, "deleted": None,
                "overall_state": "OK", "matching_downtimes": [], "restricted_roles": None},
    "dashboard": {"author_handle": "a@b.example", "author_name": None, "created_at": "2026", "modified_at": "2026",
                  "url": "/dashboard/x", "notify_list": None, "reflow_type": "auto", "tags": None},
}  # fmt: skip
OPTIONS = {"include_tags": True, "new_host_delay": 300, "silenced": {}, "notify_audit": False, "locked": False}


@dataclass
class DatadogApi:
    """`objects` by kind and id; `metrics` are those whose first point has come, `configurations` their tags; `fail`
    maps the how-manieth write to the status it is answered with."""

    url: str = ""
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in ADDED})
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    fail: dict[int, int] = field(default_factory=dict)
    fail_reads: list[int] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.asked if method != "GET"]

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The only object of that name."""
        (found,) = [there for there in self.objects[kind].values() if name in (there.get("name"), there.get("title"))]
        return found

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "GET" and self.fail_reads:
            return self.fail_reads.pop(0), {"errors": ["not now"]}
        if method != "GET" and (status := self.fail.pop(len(self.writes), None)):
            return status, {"message": "taken"} if status == 409 else {"errors": ["not now"]}
        if path == "/api/v2/catalog/entity":
            return self._entity(method, query, body)
        if path.startswith(("/api/v1/metrics/", "/api/v2/metrics/")):
            name, _, tags = path.removeprefix("/api/v1/metrics/").removeprefix("/api/v2/metrics/").partition("/")
            assert (tags == "tags") is path.startswith("/api/v2")
            return self._tags(method, name, body) if tags else self._metadata(method, name, body)
        kind, _, identity = path.removeprefix("/api/v1/").partition("/")
        if kind not in self.objects or (identity and identity not in self.objects[kind]):
            return 404, {"errors": ["not found"]}
        if method == "GET":
            return 200, self.objects[kind][identity] if identity else self._listed(kind, query)
        identity = identity or str(1000 + len(self.objects[kind]))
        there = {**ADDED[kind], **body, "id": identity if kind != "monitor" else int(identity)}
        if kind == "monitor":
            there["options"] = {**OPTIONS, **body.get("options", {})}
        for number, widget in enumerate(there.get("widgets", ())):
            widget["id"] = number
        self.objects[kind][identity] = there
        return 200, {"data": [there], "errors": []} if kind == "slo" else there

    def received(self, *names: str) -> None:
        """A first point of each has come."""
        for name in names:
            self.metrics.setdefault(name, {"type": None, "unit": None, "per_unit": None, "description": None,
                                           "short_name": None, "integration": None, "statsd_interval": 10})  # fmt: skip

    def _metadata(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        if name not in self.metrics:
            return 404, {"errors": ["metric_name not found"]}
        if method == "PUT":
            assert misfits(MetricMetadata, body) == []
            self.metrics[name].update(body)
        return 200, self.metrics[name]

    def _tags(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        """Any metric that was received may be without a configuration, which then cannot be read."""
        there = self.configurations.get(name)
        if method == "POST" and name not in self.metrics:
            return 400, {"errors": ["Cannot configure tags on a metric that does not exist."]}
        if method == "POST" and there is not None:
            return 409, {"errors": ["There is a tag configuration already."]}
        if method != "POST" and there is None:
            return 404, {"errors": ["Not found"]}
        if method != "GET":
            model = MetricTagConfigurationCreateRequest if method == "POST" else MetricTagConfigurationUpdateRequest
            assert misfits(model, body) == []
            assert body["data"]["id"] == name
            self.configurations[name] = there = {**(there or {}), "created_at": "2026", **body["data"]["attributes"]}
        return 201 if method == "POST" else 200, {"data": {"type": "manage_tags", "id": name, "attributes": there}}

    def _listed(self, kind: str, query: dict[str, str]) -> Any:
        rows = list(self.objects[kind].values())
        match kind:
            case "slo":
                start = int(query["offset"])
                return {"data": rows[start : start + int(query["limit"])], "errors": []}
            case "monitor":
                start = int(query["page"]) * int(query["page_size"])
                return rows[start : start + int(query["page_size"])]
            case _:
                start = int(query["start"])
                short = [{key: row.get(key) for key in ("id", "title", "description", "url")} for row in rows]
                return {"dashboards": short[start : start + int(query["count"])]}

    def _entity(self, method: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "POST":
            self.services[body["metadata"]["name"]] = body
            return 202, {"data": [{"id": "1", "type": "entity", "attributes": {}}], "meta": {"count": 1}}
        assert (query["filter[kind]"], query["include"]) == ("service", "schema")
        schema = self.services.get(query["filter[name]"])
        included = [{"id": "1", "type": "schema", "attributes": {"schema": schema}}] if schema else []
        return 200, {"data": [], "included": included, "meta": {"count": len(included)}}


@contextmanager
def serving() -> Iterator[DatadogApi]:
    """Listens until the end of the block."""
    api = DatadogApi()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # an answer in one piece: two would wait for each other's acknowledgement

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {key: found[0] for key, found in parse_qs(asked.query).items()}
            with lock:
                api.asked.append((self.command, asked.path))
                if any(self.headers.get(name) != key for name, key in KEYS.items()):
                    status, answer = 403, {"errors": ["Forbidden"]}
                else:
                    status, answer = api.answer(self.command, asked.path, query, copy.deepcopy(body))
            written = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written)))
            self.send_header("X-RateLimit-Reset", "3")
            self.end_headers()
            self.wfile.write(written)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Handler) as server:
        server.daemon_threads = True
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
