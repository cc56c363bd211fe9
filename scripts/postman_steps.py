"""What the flows of the Postman collection are written in: steps, and the scripts that Postman runs around them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MERCHANT, ADMIN, NOBODY = "{{api_key}}", "{{admin_api_key}}", None
TRIES, PAUSE_MS = 120, 500
"""How often a step is asked again until its answer is final, and how long it waits in between."""


@dataclass(frozen=True)
class Step:
    """One request. `body`: the name of one of the document's examples; `changes`: fields put into it, None takes one
    out. `status`: as expected; several if each is right. `expect`: path in the answer → value; a tuple if each of
    several is right; `SET` if any will do. `keep`: variable → path in the answer. `until`: asked again until this
    JavaScript is true of `answer`. `checks`: what it means → JavaScript that is true then. `key`: whose; None:
    nobody's.
    """

    name: str
    route: str
    status: int | tuple[int, ...] | None = None
    body: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = "{{$guid}}"
    key: str | None = MERCHANT
    until: str | None = None
    before: Sequence[str] = ()
    about: str = ""
    url: str | None = None
    """Instead of the API's: the bank's page for payers."""
    form: Mapping[str, str] | None = None
    raw: str | None = None
    """A body that a script has made, in the place of the example."""


@dataclass(frozen=True)
class Flow:
    name: str
    about: str
    steps: Sequence[Step]


SET = object()


def set_fresh(variable: str) -> tuple[str, ...]:
    """A script that makes a value nobody has used."""
    return (f'pm.collectionVariables.set("{variable}", pm.variables.replaceIn("{{{{$guid}}}}"));',)


def tests(step: Step, statuses: Sequence[int], required: Sequence[str]) -> list[str]:
    """The script that judges the answer and keeps what later steps need."""
    judged = [_status(statuses)]
    speaks = bool(required or step.expect or step.keep or step.checks or step.until)
    if required:
        names = json.dumps(list(required))
        judged.append(f'pm.test("all fields are there", () => pm.expect(answer).to.include.all.keys({names}));')
    judged += [_expectation(path, value) for path, value in step.expect.items()]
    judged += [f"pm.test({_text(what)}, () => pm.expect({true}).to.be.true);" for what, true in step.checks.items()]
    judged += [f'pm.collectionVariables.set("{name}", {_at(path)});' for name, path in step.keep.items()]
    # Whoever is refused has no JSON to read perhaps; the status says so then, and no script breaks.
    read = ["const answer = (() => { try { return pm.response.json(); } catch (_) { return {}; } })();"] * speaks
    if step.until is None:
        return read + judged
    return [
        *read,
        'const tries = Number(pm.collectionVariables.get("tries") || 0);',
        f"if (!({step.until}) && tries < {TRIES}) {{",
        "    // Not yet: once more. (Run by hand, press Send again.)",
        '    pm.collectionVariables.set("tries", tries + 1);',
        "    pm.execution.setNextRequest(pm.info.requestId);",
        f"    setTimeout(() => {{}}, {PAUSE_MS});",
        "} else {",
        '    pm.collectionVariables.unset("tries");',
        *(f"    {line}" for line in judged),
        "}",
    ]


def _status(statuses: Sequence[int]) -> str:
    either = " or ".join(map(str, statuses))
    return (
        f'pm.test("status is {either}", () => pm.expect(pm.response.code).to.be.oneOf({json.dumps(list(statuses))}));'
    )


def _expectation(path: str, value: object) -> str:
    if value is SET:
        return f'pm.test("{path} is there", () => pm.expect({_at(path)}).to.exist);'
    if isinstance(value, tuple):
        either = " or ".join(map(str, value))
        one_of = json.dumps(list(value))
        return f"pm.test({_text(f'{path} is {either}')}, () => pm.expect({_at(path)}).to.be.oneOf({one_of}));"
    if isinstance(value, str) and value.startswith("{{"):
        name = value.strip("{}")
        known = f'pm.variables.get("{name}")'
        return f"pm.test({_text(f'{path} is {name}')}, () => pm.expect({_at(path)}).to.eql({known}));"
    written = json.dumps(value, ensure_ascii=False)
    return f"pm.test({_text(f'{path} is {written}')}, () => pm.expect({_at(path)}).to.eql({written}));"


def _at(path: str) -> str:
    """Absent on the way is absent at its end: the test says so, the script goes on."""
    return "answer?." + path.replace("[", "?.[").replace(".", "?.").replace("??", "?").replace("?.?.", "?.")


def _text(words: str) -> str:
    return json.dumps(words, ensure_ascii=False)
