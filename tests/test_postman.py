"""The Postman collection: every route is in it, what one request makes the next find, the bytes are the same."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import postman_collection
from postman_collection import UnknownStep, make_collection, make_environment, requests_in, routes_in, written
from postman_document import operations, read_document
from postman_steps import Flow, Step

from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_API_KEY
from cleartill.simulator.cards import TEST_CARDS

ROOT = Path(__file__).resolve().parents[1]
NO_CARD = "4242424242424241"
VARIABLE = re.compile(r"\{\{(\$?\w+)\}\}")
SET_BY_SCRIPT = re.compile(r'pm\.collectionVariables\.set\("(\w+)"')
READ_BY_SCRIPT = re.compile(r'pm\.variables\.get\("(\w+)"')
Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return read_document()


@pytest.fixture(scope="module")
def collection(document: Json) -> Json:
    return make_collection(document)


def script(item: Json, when: str) -> str:
    return "\n".join(line for event in item["event"] if event["listen"] == when for line in event["script"]["exec"])


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def test_every_route_of_the_document_is_in_it(document: Json, collection: Json) -> None:
    assert len(operations(document)) > 50
    assert routes_in(collection) == set(operations(document))


def test_a_route_that_no_flow_knows_comes_by_its_tag(document: Json) -> None:
    more = copy.deepcopy(document)
    more["paths"]["/api/v1/cards"] = {"get": more["paths"]["/api/v1/cards/{token}"]["get"] | {"parameters": []}}
    made = make_collection(more)
    assert "GET /api/v1/cards" in routes_in(made)
    assert "More of cards" in [folder["name"] for folder in made["item"]]


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step("a", "GET /api/v1/nothing"), "is not in the OpenAPI document"),
        (Step("a", "GET /health/live", 418), "is not said to answer 418"),
        (Step("a", "POST /api/v1/payments/process", 201, "no such example"), "has no example 'no such example'"),
    ],
    ids=["route", "status", "example"],
)
def test_a_flow_that_does_not_fit_the_document_is_refused(
    document: Json, monkeypatch: pytest.MonkeyPatch, step: Step, why: str
) -> None:
    monkeypatch.setattr(postman_collection, "FLOWS", (Flow("of yesterday", "", (step,)),))
    with pytest.raises(UnknownStep, match=re.escape(why)):
        make_collection(document)


def test_what_the_document_shows_as_a_body_is_sent_somewhere(document: Json) -> None:
    sent = {(step.route, step.body) for flow in postman_collection.FLOWS for step in flow.steps}
    shown = {(route, name) for route, one in operations(document).items() for name in one.bodies()}
    assert shown <= sent


def test_variables_are_there_before_they_are_used(collection: Json) -> None:
    known = {one["key"] for one in make_environment()["values"]}
    unknown = []
    for item in requests_in(collection):
        before, after = script(item, "prerequest"), script(item, "test")
        used = set(READ_BY_SCRIPT.findall(before))
        known |= set(SET_BY_SCRIPT.findall(before))
        used |= {name for text in strings(item["request"]) for name in VARIABLE.findall(text) if name[0] != "$"}
        known |= set(SET_BY_SCRIPT.findall(after))
        used |= set(READ_BY_SCRIPT.findall(after))
        unknown += [f"{item['name']}: {name}" for name in sorted(used - known)]
    assert not unknown


def test_every_request_is_described_and_judged(collection: Json) -> None:
    for item in requests_in(collection):
        assert item["request"]["description"], item["name"]
        assert re.search(r"pm\.expect\(pm\.response\.code\)\.to\.be\.oneOf\(\[\d", script(item, "test")), item["name"]


def test_money_moves_under_a_fresh_key(document: Json, collection: Json) -> None:
    fresh: set[str] = set()
    without = []
    for item in requests_in(collection):
        found = re.findall(r'set\("(\w+)", pm\.variables\.replaceIn\("\{\{\$guid\}\}"\)\)', script(item, "prerequest"))
        fresh |= {f"{{{{{name}}}}}" for name in found}
        route = routes_in({"item": [item]})
        if not route or not operations(document)[route.pop()].parameters("header"):
            continue
        keys = [one["value"] for one in item["request"]["header"] if one["key"] == "Idempotency-Key"]
        if keys and keys[0] in fresh | {"{{$guid}}"}:
            continue
        without.append(item["name"])
    assert without == ["Without the key that it needs"]


def test_it_has_the_form_of_a_collection(collection: Json) -> None:
    assert collection["info"]["schema"].endswith("/v2.1.0/collection.json")
    ids = [collection["info"]["_postman_id"]] + [folder["id"] for folder in collection["item"]]
    for item in requests_in(collection):
        request, ids = item["request"], [*ids, item["id"], *(answer["id"] for answer in item["response"])]
        assert request["method"] in ("GET", "POST", "PATCH", "DELETE")
        assert request["url"]["raw"].startswith(("{{base_url}}/", "{{action_url}}"))
        in_path = [part[1:] for part in request["url"].get("path", ()) if part.startswith(":")]
        assert in_path == [one["key"] for one in request["url"].get("variable", ())]
        for pair in request["header"] + request["url"].get("query", []) + request["url"].get("variable", []):
            assert isinstance(pair["key"], str)
            assert isinstance(pair["value"], str)
        if request.get("body", {}).get("mode") == "raw" and not request["body"]["raw"].startswith("{{"):
            json.loads(request["body"]["raw"])
        for answer in item["response"]:
            assert answer["originalRequest"]["url"] == request["url"]
            assert (json.loads(answer["body"]) if answer["body"] else answer["code"] == 204) is not False
    assert len(set(ids)) == len(ids)


def test_an_example_answer_says_what_its_request_expects(collection: Json) -> None:
    def of(name: str) -> Json:
        item = next(item for item in requests_in(collection) if item["name"] == name)
        return dict(json.loads(item["response"][0]["body"]))

    charged, refused = of("Charge a card"), of("The same key, another amount")
    assert (charged["status"], charged["amount_captured"], charged["order_id"]) == ("captured", 99.99, "order-4711")
    assert of("Not enough money")["decline"]["code"] == "insufficient_funds"
    assert (refused["status"], refused["code"]) == (409, "idempotency_key_reused")
    assert of("Refund a part")["id"].startswith("ref_")


def test_no_secret_is_in_it_but_the_documented_ones(document: Json, collection: Json) -> None:
    environment = make_environment()
    secret = {one["key"]: one["value"] for one in environment["values"] if one["type"] == "secret"}
    assert secret.keys() == {"api_key", "admin_api_key", "webhook_secret"}
    assert (secret["api_key"], secret["admin_api_key"]) == (DEMO_API_KEY, DEMO_ADMIN_KEY)
    text = written(collection).decode()
    assert set(re.findall(r"sk_(?:test|live)_\w{20,}", text)) <= set(
        re.findall(r"sk_test_\w{20,}", json.dumps(document))
    )
    assert not [value for name, value in secret.items() if name != "api_key" and value in text]
    cards = {card.number for card in TEST_CARDS} | {NO_CARD}
    assert set(re.findall(r'card_number[\\": ]+(\d+)', text)) <= cards


def test_another_process_makes_the_same_bytes(collection: Json, tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "postman", "--output", tmp_path / "made"]
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": "not asked"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    made = {path.name.split(".")[1]: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    assert made == {
        "postman_collection": written(collection),
        "postman_environment": written(make_environment()),
    }
    assert f"{sum(1 for _ in requests_in(collection))} requests" in said


def test_newman_is_pinned_with_all_it_needs() -> None:
    folder = ROOT / "scripts" / "postman_newman"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert packages[""]["dependencies"] == wanted
    assert packages["node_modules/newman"]["version"] == wanted["newman"]
    others = {name: said for name, said in packages.items() if name}
    assert [name for name, said in others.items() if not said["integrity"].startswith("sha512-")] == []
    assert [name for name, said in others.items() if "resolved" in said] == []
