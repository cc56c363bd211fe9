"""The Postman collection (v2.1) and its environment, from the OpenAPI document: flows first, then what they leave out.

Deterministic: the same code makes the same bytes. Ids are derived from names; nothing tells a time.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from postman_answers import id_of, saved, shown_json
from postman_document import Operation, operations
from postman_flows import PAYMENTS
from postman_flows_account import ACCOUNT
from postman_steps import MERCHANT, Flow, Step, tests

from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY, DEMO_MERCHANT_ID
from cleartill.settings import DEV_SECRET

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
FLOWS = (*PAYMENTS, *ACCOUNT)
BASE_URL = "http://127.0.0.1:8000"
WEBHOOK_URL = "https://shop.example/webhooks"
ABOUT = """\
Every flow of the API, then every route that no flow goes through. Run folders from the top: what one request makes, \
the next ones use. Take the environment that lies beside this collection; its keys are the documented demo keys.

Made by `make postman` from the OpenAPI document, run by `make test-postman`."""
PATHS = (
    ("/payments/", "payment_id"), ("/refunds/", "refund_id"), ("/deposits/", "deposit_id"),
    ("/withdrawals/", "withdrawal_id"), ("/transfers/", "deposit_id"), ("/webhook-endpoints/", "endpoint_id"),
    ("/webhook-deliveries/", "delivery_id"), ("/merchants/", "merchant_id"), ("/users/", "merchant_id"),
)  # fmt: skip
"""Which variable stands for `{id}` in a path."""
NAMED = {"token": "card_token", "key_id": "key_id"}


class UnknownStep(ValueError):
    """A flow names what the document does not have."""


def make_collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """Raises UnknownStep for a flow that does not fit the document."""
    known = operations(dict(document))
    folders = [_folder(flow, known) for flow in FLOWS]
    folders += [_folder(flow, known) for flow in _left_out(document, known)]
    return {
        "info": {
            "_postman_id": id_of("collection"),
            "name": str(document["info"]["title"]),
            "description": f"{document['info']['description']}\n{ABOUT}",
            "schema": SCHEMA,
        },
        "auth": _bearer(MERCHANT),
        "variable": [],
        "item": folders,
    }


def make_environment() -> dict[str, Any]:
    """Where the API is, and who asks: the demo merchant of `make run`."""
    secrets = {"api_key": DEMO_API_KEY, "admin_api_key": DEMO_ADMIN_KEY, "webhook_secret": DEV_SECRET}
    values = {"base_url": BASE_URL, "merchant_id": DEMO_MERCHANT_ID, "webhook_url": WEBHOOK_URL, **secrets}
    return {
        "id": id_of("environment"),
        "name": "cleartill: make run",
        "values": [
            {"key": name, "value": value, "type": "secret" if name in secrets else "default", "enabled": True}
            for name, value in values.items()
        ],
        "_postman_variable_scope": "environment",
    }


def written(document: Mapping[str, Any]) -> bytes:
    """A file of it."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def routes_in(collection: Mapping[str, Any]) -> set[str]:
    """The routes that a collection goes through, in the document's words."""
    return {
        f"{item['request']['method']} " + re.sub(r":(\w+)", r"{\1}", "/" + "/".join(item["request"]["url"]["path"]))
        for item in requests_in(collection)
        if item["request"]["url"]["host"] == ["{{base_url}}"]
    }


def requests_in(folder: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in folder["item"]:
        yield from requests_in(item) if "item" in item else [item]


def _left_out(document: Mapping[str, Any], known: Mapping[str, Operation]) -> Iterator[Flow]:
    """By tag, the routes that no flow goes through, each with the document's first example."""
    gone_through = {step.route for flow in FLOWS for step in flow.steps if step.url is None}
    for tag in document["tags"]:
        steps = [
            Step(
                str(one.said["summary"]),
                route,
                body=next(iter(one.bodies()), None),
                key=None if one.keyless else MERCHANT,
            )
            for route, one in known.items()
            if one.tag == tag["name"] and route not in gone_through
        ]
        if steps:
            yield Flow(f"More of {tag['name']}", tag["description"], steps)


def _folder(flow: Flow, known: Mapping[str, Operation]) -> dict[str, Any]:
    items = []
    for number, step in enumerate(flow.steps, 1):
        if step.route not in known:
            raise UnknownStep(f"{flow.name}: {step.route} is not in the OpenAPI document")
        items.append(_item(f"{flow.name}/{number} {step.name}", step, known[step.route]))
    return {"id": id_of(flow.name), "name": flow.name, "description": flow.about, "item": items}


def _item(name: str, step: Step, operation: Operation) -> dict[str, Any]:
    statuses = [step.status] if isinstance(step.status, int) else list(step.status or operation.done())
    for status in statuses:
        if step.url is None and str(status) not in operation.said["responses"]:
            raise UnknownStep(f"{name}: {step.route} is not said to answer {status}")
    required = operation.required(statuses[0]) if step.url is None and len(statuses) == 1 else []
    request = _request(step, operation)
    scripts = {"prerequest": list(step.before), "test": tests(step, statuses, required)}
    return {
        "id": id_of(name),
        "name": step.name,
        "event": [
            {"listen": when, "script": {"type": "text/javascript", "exec": lines}}
            for when, lines in scripts.items()
            if lines
        ],
        "request": request,
        "response": [] if step.url else [saved(name, step, operation, statuses[0], request, _sent(step, operation))],
    }


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _request(step: Step, operation: Operation) -> dict[str, Any]:
    headers = [{"key": name, "value": value} for name, value in step.headers.items()]
    if (
        step.url is None
        and step.idempotency_key
        and any(one["name"] == "Idempotency-Key" for one in operation.parameters("header"))
    ):
        headers.append({"key": "Idempotency-Key", "value": step.idempotency_key})
    request: dict[str, Any] = {
        "method": operation.method,
        "header": headers,
        "url": _url(step, operation),
        "description": _about(step, operation),
    }
    if operation.keyless or step.key is None:
        request["auth"] = {"type": "noauth"}
    elif step.key != MERCHANT:
        request["auth"] = _bearer(step.key)
    if step.form is not None:
        fields = [{"key": name, "value": value, "type": "text"} for name, value in step.form.items()]
        request["body"] = {"mode": "urlencoded", "urlencoded": fields}
    elif step.body is not None:
        headers.append({"key": "Content-Type", "value": "application/json"})
        raw = step.raw or shown_json(_sent(step, operation))
        request["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    return request


def _url(step: Step, operation: Operation) -> dict[str, Any]:
    if step.url is not None:
        return {"raw": step.url, "host": [step.url]}
    path = re.sub(r"\{(\w+)\}", r":\1", operation.path)
    said = {one["name"]: one.get("description", "") for one in operation.parameters("query")}
    sent = [{"key": name, "value": value, "description": said.pop(name, "")} for name, value in step.query.items()]
    examples = {one["name"]: one.get("example", "") for one in operation.parameters("query")}
    offered = [
        {"key": name, "value": str(examples[name]), "description": about, "disabled": True}
        for name, about in said.items()
    ]
    raw = f"{{{{base_url}}}}{path}" + (f"?{urlencode(dict(step.query), safe='{}$,')}" if step.query else "")
    url: dict[str, Any] = {"raw": raw, "host": ["{{base_url}}"], "path": path[1:].split("/")}
    if sent or offered:
        url["query"] = sent + offered
    variables = [
        {
            "key": one["name"],
            "value": step.path.get(one["name"], f"{{{{{_variable(one['name'], operation.path)}}}}}"),
            "description": one.get("description", ""),
        }
        for one in operation.parameters("path")
    ]
    return url | ({"variable": variables} if variables else {})


def _variable(name: str, path: str) -> str:
    return NAMED.get(name) or next((variable for part, variable in PATHS if part in path), name)


def _about(step: Step, operation: Operation) -> str:
    if step.url is not None:
        return step.about
    said = [step.about, operation.said["summary"], operation.said.get("description", "")]
    return "\n\n".join(words for words in said if words)


def _sent(step: Step, operation: Operation) -> Any:
    """The body: the document's example, with the step's changes; None if there is none."""
    if step.body is None:
        return None
    try:
        return _changed(operation.bodies()[step.body], step.changes)
    except KeyError:
        raise UnknownStep(f"{step.name}: {step.route} has no example {step.body!r}") from None


def _changed(body: Any, changes: Mapping[str, Any]) -> Any:
    """Objects are merged; None takes a field out."""
    if not changes:
        return body
    merged = {
        name: _changed(body[name], value) if isinstance(value, Mapping) and name in body else value
        for name, value in changes.items()
    }
    return {name: value for name, value in (body | merged).items() if value is not None}


def _bearer(token: str) -> dict[str, Any]:
    return {"type": "bearer", "bearer": [{"key": "token", "value": token, "type": "string"}]}
