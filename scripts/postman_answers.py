"""The answers that are saved in the Postman collection: the document's examples, beside their requests."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from postman_document import Operation
from postman_steps import SET, Step

OF_THE_BANK = ("bank_reference", "provider_payment_id", "provider_refund_id", "card")


def saved(
    name: str, step: Step, operation: Operation, status: int, request: Mapping[str, Any], sent: Any
) -> dict[str, Any]:
    """What a step is answered with: the document's example, what the step expects, and what it sent and comes back."""
    body = operation.answer(status)
    if isinstance(body, dict):
        body = json.loads(json.dumps(body))
        if status >= 400:
            body |= _problem(operation, status, step.expect.get("code"))
        else:
            _echo(body, sent)
        for path, value in step.expect.items():
            _put(body, path, value)
        if body.get("status") == "captured" and not body["amount_captured_minor"]:
            body |= {"amount_captured": body["amount"], "amount_captured_minor": body["amount_minor"]}
        if body.get("status") == "pending":
            body |= {field: None for field in OF_THE_BANK if field in body}
    kind = "application/json" if status < 400 else "application/problem+json"
    return {
        "id": id_of(f"{name}/answer"),
        "name": f"{status}: {step.name}",
        "originalRequest": {part: value for part, value in request.items() if part not in ("auth", "description")},
        "status": HTTPStatus(status).phrase,
        "code": status,
        "_postman_previewlanguage": "json",
        "header": [] if body is None else [{"key": "Content-Type", "value": kind}],
        "cookie": [],
        "body": "" if body is None else shown_json(body),
    }


def _echo(body: dict[str, Any], sent: Any) -> None:
    for field, value in sent.items() if isinstance(sent, dict) else ():
        if field in body and "{{" not in str(value):
            body[field] = float(value) if field == "amount" else value
    if "amount" in body:
        body["amount_minor"] = round(body["amount"] * 100)


def _problem(operation: Operation, status: int, code: object) -> dict[str, Any]:
    known = {"code": code, "type": f"urn:cleartill:problem:{code}"} if isinstance(code, str) else {}
    about = {"instance": operation.path, "detail": operation.meaning(status)}
    return {"status": status, "title": HTTPStatus(status).phrase, **about, **known}


def _put(body: dict[str, Any], path: str, value: object) -> None:
    """An example says what its step expects, where that is one known value."""
    value = value[0] if isinstance(value, tuple) else value
    if value is SET or "[" in path or "{{" in str(value):
        return
    *way, last = path.split(".")
    for step in way:
        if not isinstance(body.get(step), dict):
            body[step] = {}
        body = body[step]
    body[last] = value
    if last.endswith("_minor") and isinstance(value, int) and last.removesuffix("_minor") in body:
        body[last.removesuffix("_minor")] = value / 100  # all examples that say so are in dollars


def shown_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def id_of(name: str) -> str:
    """The same name, the same id."""
    return str(uuid5(NAMESPACE_URL, f"cleartill/postman/{name}"))
