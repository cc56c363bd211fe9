"""Whoever is woken at night finds what a runbook sends him to: routes, commands, targets, settings, names, pages."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cleartill import cli
from cleartill.api.app import create_app
from cleartill.settings import Settings
from cleartill.telemetry.catalog import METRICS, SPANS
from cleartill.telemetry.datadog.assets import Asset, load, walk
from fakes import World

ROOT = Path(__file__).resolve().parents[3]
ROUTE = re.compile(r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(?<![\w*{<…./])(/[a-z][\w{}/.-]*|…/[\w{}/.…-]+)")
SETTING = re.compile(r"(?<![\w{@])[A-Z][A-Z0-9]*(?:_[A-Z0-9…]+)+(?!\w)")
QUOTED = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
EMPHASISED = re.compile(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)")
TAGS = {"http.route", "error.type"}


def texts(assets: tuple[Asset, ...]) -> Iterator[tuple[str, str]]:
    """File and prose: messages of monitors, notes and descriptions of dashboards, descriptions of SLOs."""
    for asset in assets:
        for path, value in walk(asset.document):
            if isinstance(value, str) and path.rpartition(".")[2] in ("message", "description", "content"):
                yield asset.file, value


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """What there is."""
    document = create_app(World().till, environment="test", version="0.1.0", drain_s=0.05).openapi()
    facts = re.findall(r'"([a-z_]+\.[a-z_]+)"', (ROOT / "src/cleartill/domain/events.py").read_text())
    return {
        "routes": {(method.upper(), path) for path, methods in document["paths"].items() for method in methods},
        "targets": set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
        "settings": {name.upper() for name in Settings.model_fields} | {"DEBUG"},
        "dotted": {*METRICS, *SPANS, *facts, *TAGS},
        "pages": {asset.name for asset in load()},
    }


def wrong(text: str, known: dict[str, Any]) -> list[str]:
    """What it names and is not there."""
    found = [f"route {method} {path}" for method, path in ROUTE.findall(text) if not _is_route(method, path, known)]
    found += [f"setting {name}" for name in SETTING.findall(text) if name not in known["settings"]]
    for quoted in QUOTED.findall(text):
        words = quoted.split()
        if words[0] == "make" and words[1:] and words[1] not in known["targets"]:
            found.append(f"target {quoted}")
        if words[0] == "cleartill" and words[1:] and (why := _no_command(words[1:])):
            found.append(f"command {quoted}: {why}")
        if words[0].isupper() and words[0].isalpha() and words[0] not in known["settings"] and not words[1:]:
            found.append(f"setting {quoted}")
        if DOTTED.fullmatch(quoted) and quoted not in known["dotted"] and not _is_module(quoted):
            found.append(f"name {quoted}")
    for page in EMPHASISED.findall(text):
        if not any(name == page or name.startswith(f"{page}:") for name in known["pages"]):
            found.append(f"page {page}")
    return found


def _is_route(method: str, path: str, known: dict[str, Any]) -> bool:
    return any(path == there and method in ("", verb) for verb, there in known["routes"])


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _no_command(words: list[str]) -> str:
    """Why the words behind `cleartill` cannot be typed; a group of commands alone does nothing."""
    command: Any = typer.main.get_command(cli.app)
    while subcommands := getattr(command, "commands", None):
        if not words or words[0].startswith("-"):
            return "which of its commands?"
        name, *words = words
        if name not in subcommands:
            return f"no command {name}"
        command = subcommands[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("-") and word not in options]
    takes = sum(parameter.param_type_name == "argument" for parameter in command.params)
    given = sum(word.startswith("<") for word in words)
    if unknown or given > takes:
        return f"{', '.join(unknown) or 'too many arguments'}"
    return ""


def test_everything_that_our_texts_name_is_there(known: dict[str, Any]) -> None:
    told = list(texts(load()))

    assert len(told) > 50
    assert [(file, what) for file, text in told for what in wrong(text, known)] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("`GET /api/v1/webhooks/{id}/deliveries` shows it", "route GET /api/v1/webhooks/{id}/deliveries"),
        ("`POST …/deliveries/{id}/resend`", "route POST …/deliveries/{id}/resend"),
        ("look at /api/v1/paymnts first", "route  /api/v1/paymnts"),
        ("`DELETE /health`", "route DELETE /health"),
        ("`make reconsile`", "target make reconsile"),
        ("`cleartill reconsile`", "command cleartill reconsile: no command reconsile"),
        ("`cleartill transfers`", "command cleartill transfers: which of its commands?"),
        ("`cleartill transfers kill <id>`", "command cleartill transfers kill <id>: no command kill"),
        ("`cleartill reconcile --sinse`", "command cleartill reconcile --sinse: --sinse"),
        ("`cleartill doctor <id>`", "command cleartill doctor <id>: too many arguments"),
        ("raise BANK_INFLIGHT", "setting BANK_INFLIGHT"),
        ("divide the `RATE_LIMIT_…_PER_MIN`", "setting RATE_LIMIT_…_PER_MIN"),
        ("`LOG_REQEUSTS=false`", "setting LOG_REQEUSTS"),
        ("`VERBOSE`", "setting VERBOSE"),
        ("`outbox.pendin`", "name outbox.pendin"),
        ("`cleartill.adapters.kaffka`", "name cleartill.adapters.kaffka"),
        ("see *Cleartill 7 · Nothing*", "page Cleartill 7 · Nothing"),
    ],
)
def test_what_is_not_there_is_found(known: dict[str, Any], text: str, what: str) -> None:
    assert wrong(text, known) == [what]


@pytest.mark.parametrize(
    "text",
    [
        "`GET /api/v1/payments/{id}/timeline`, `GET /health`",
        "**Authorization rate** is approved ÷ decided; and/or, (I/O, locks)",
        "`make reconcile`, `cleartill reconcile --since` the start, `cleartill transfers retry <id>`, `cleartill work`",
        "`BANK_IN_FLIGHT`, `LOG_REQUESTS=false`, `DEBUG`; WAL, DNS, TLS, HTTP",
        "`in_doubt.count`, `payment.resolve`, `payment.needs_review`, `cleartill.adapters.kafka`, `error.type`",
        "*Cleartill 4 · Money safety*, *Bank answers slowly*",
    ],
)
def test_what_is_there_is_not(known: dict[str, Any], text: str) -> None:
    assert wrong(text, known) == []
