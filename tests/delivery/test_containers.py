"""docker-compose.yml, Dockerfile and .dockerignore, as far as they can be judged without running them."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cleartill.cli import app
from cleartill.cli.serving import BEAT_S
from cleartill.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "cleartill"]
RELEASE: dict[str, Any] = yaml.safe_load((ROOT / "scripts" / "deploy" / "release.yml").read_text())["services"]
EDGE: dict[str, Any] = yaml.safe_load((ROOT / "scripts" / "deploy" / "edge.yml").read_text())["services"]
_POD: dict[str, Any] = yaml.safe_load((ROOT / "scripts" / "deploy" / "kubernetes" / "base" / "worker.yaml").read_text())
(_WORKER,) = _POD["spec"]["template"]["spec"]["containers"]
KUBERNETES = {
    "healthcheck": {"test": _WORKER["livenessProbe"]["exec"]["command"]},
    "environment": {one["name"]: one.get("value") for one in _WORKER["env"]},
}
ROOTED = {"datadog"}
"""The agent lays out its own files as root; docker-compose.yml says so."""
FLUSH_S = 15
"""After the drain: last words of what is still under way, events and traces that wait."""

every_service = pytest.mark.parametrize("name", SERVICES)
every_hardened = pytest.mark.parametrize("name", [name for name in SERVICES if name not in ROOTED])


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(number) * (60 if unit == "m" else 1)


@pytest.mark.parametrize("file", ["docker-compose.yml", "scripts/deploy/edge.yml", "scripts/deploy/release.yml"])
def test_it_is_a_compose_file(file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_everything_the_stack_needs_is_there() -> None:
    assert {"api", "worker", "migrate", "seed", "postgres", "valkey", "kafka", "mockserver"} == {
        name for name, service in SERVICES.items() if "profiles" not in service
    }
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "simulator": ["simulator"],
        "datadog": ["datadog"],
        "datadog-access": ["datadog"],
        "psql": ["tools"],
        "kcat": ["tools"],
    }


@every_service
def test_ports_are_this_machines_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port), f"{name}: bind {port} to 127.0.0.1, settable"


@every_service
def test_no_service_may_take_everything(name: str) -> None:
    service = SERVICES[name]
    assert {"cpus", "memory", "pids"} == set(service["deploy"]["resources"]["limits"])
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert "network_mode" not in service
    assert ":" in service["image"] or service["image"] == "cleartill", "name a version"
    assert "latest" not in service["image"]
    version = service["image"].partition(":")[2]
    assert service["image"] in ("cleartill", "postgres:18") or re.match(r"\d+\.\d+", version), (
        "a minor version at least"
    )


@every_hardened
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["tmpfs"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "a numeric user that is not root"


@every_service
def test_a_service_is_waited_for_by_what_it_can_tell(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        needed = SERVICES[other]
        if how.get("required") is False:
            assert "profiles" in needed, "what is always there is required"
        if needed["restart"] == "no":
            assert how["condition"] == "service_completed_successfully"
        elif "healthcheck" in needed and not needed["healthcheck"].get("disable"):
            assert how["condition"] == "service_healthy"
        else:
            assert how["condition"] == "service_started"


def test_one_off_commands_are_waited_for_by_somebody() -> None:
    # `up --wait` takes the end of a service for a failure unless another one depends on that end.
    waited_for = {other for service in SERVICES.values() for other in service.get("depends_on", {})}
    one_off = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    assert {name for name in one_off if SERVICES[name].get("profiles") != ["tools"]} <= waited_for


@pytest.mark.parametrize("name", ["api", "worker"])
def test_there_is_time_to_drain(name: str) -> None:
    drain_s = Settings.model_fields["drain_s"].default
    assert seconds(SERVICES[name]["stop_grace_period"]) >= drain_s + FLUSH_S


@pytest.mark.parametrize("name", ["postgres", "valkey", "kafka"])
def test_the_agent_finds_its_checks_by_labels(name: str) -> None:
    labels = SERVICES[name]["labels"]
    (check,) = json.loads(labels["com.datadoghq.ad.checks"]).items()
    assert check[0] == {"postgres": "postgres", "valkey": "redisdb", "kafka": "kafka_consumer"}[name]
    (instance,) = check[1]["instances"]
    for variable in re.findall(r"%%env_(\w+)%%", json.dumps(instance)):
        assert variable in SERVICES["datadog"]["environment"], "it is the agent's own environment that is read"
    if name == "postgres":
        assert instance["dbm"] is True
        for setting in ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=all"):
            assert setting in SERVICES[name]["command"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_a_release_runs_as_the_stack_does(name: str) -> None:
    """What scripts/deploy puts on a target is no softer than what runs here."""
    ours, theirs = SERVICES[name], RELEASE[name]
    for rule in ("init", "read_only", "cap_drop", "security_opt", "user", "tmpfs", "restart", "command", "deploy"):
        assert theirs[rule] == ours[rule], rule
    assert theirs["environment"]["WEBHOOK_ALLOW_LOOPBACK"] == "false"
    assert "ports" not in theirs, "the proxy alone is reached from outside"


@pytest.mark.parametrize("worker", [SERVICES["worker"], RELEASE["worker"], KUBERNETES], ids=["stack", "release", "pod"])
@pytest.mark.parametrize(("old_s", "healthy"), [(0, True), (3 * BEAT_S, True), (60, False), (None, False)])
def test_a_worker_that_does_not_beat_is_unhealthy(
    worker: dict[str, Any], old_s: float | None, healthy: bool, tmp_path: Path
) -> None:
    """The check's own program, on a file of that age, or none."""
    said, file = worker["healthcheck"]["test"][-1], tmp_path / "worker"
    told = worker["environment"]["WORKER_BEAT_PATH"]
    assert f'"{told}"' in said
    if old_s is not None:
        file.touch()
        os.utime(file, (time.time() - old_s,) * 2)
    checked = subprocess.run([sys.executable, "-c", said.replace(told, str(file))], stderr=subprocess.DEVNULL)
    assert (checked.returncode == 0) is healthy


def test_the_proxy_is_hardened_and_on_this_machine_unless_said_otherwise() -> None:
    edge = EDGE["edge"]
    assert (edge["read_only"], edge["cap_drop"], edge["user"]) == (True, ["ALL"], "99:99")
    assert edge["security_opt"] == ["no-new-privileges:true"]
    assert edge["ports"] == ["${DEPLOY_BIND:-127.0.0.1:8080}:8080"]


@pytest.mark.parametrize("name", OURS)
def test_our_commands_exist_with_their_options(name: str) -> None:
    verb, *options = SERVICES[name]["command"]
    command = typer.main.get_command(app).commands[verb]
    known = {flag for parameter in command.params for flag in parameter.opts}
    missing = {option for option in options if option.startswith("--")} - known
    assert not missing, f"cleartill {verb} has no {missing}"


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_told_where_the_others_are(name: str) -> None:
    told = SERVICES[name]["environment"]
    fields = {str(field.validation_alias or key).upper() for key, field in Settings.model_fields.items()}
    assert told.keys() <= fields, "nobody reads these"
    for variable in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "BANKING_API_URL"):
        host = re.search(r"(?:@|//|^)(\$\{BANK:-\w+\}|\w+):\d+", told[variable])[1]
        assert host.removeprefix("${BANK:-").removesuffix("}") in SERVICES


@pytest.mark.parametrize("name", OURS)
def test_webhooks_do_not_lead_back_into_our_own_containers(name: str) -> None:
    assert SERVICES[name]["environment"]["WEBHOOK_ALLOW_LOOPBACK"] == "false"


def test_mockserver_gets_its_expectations_and_keeps_card_numbers_to_itself() -> None:
    mockserver = SERVICES["mockserver"]
    folder, inside, mode = mockserver["volumes"][0].split(":")
    file = mockserver["environment"]["MOCKSERVER_INITIALIZATION_JSON_PATH"]
    assert mode == "ro"
    assert (ROOT / folder / Path(file).relative_to(inside)).is_file()
    assert mockserver["environment"]["MOCKSERVER_LOG_LEVEL"] == "OFF"


def test_tests_and_containers_use_the_same_versions() -> None:
    for name, script in (("mockserver", "mockserver"), ("kafka", "kafka_broker")):
        version = re.search(r'^VERSION = "([^"]+)"', (ROOT / "scripts" / script).read_text(), re.MULTILINE)[1]
        assert SERVICES[name]["image"].endswith(f":{version}")
    assert SERVICES["postgres"]["image"] == "postgres:18"


# ── the image ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_in_particular() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    assert stages == [("python:3.13-slim", "build"), ("python:3.13-slim", "")]
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert "RUN" not in last, "nothing is made in the image that runs"
    assert re.search(r'^HEALTHCHECK .* CMD \["python", .*/health/live', last, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["cleartill"\]$', last, re.MULTILINE)


def test_everything_in_the_image_is_installed_by_hash_or_from_here() -> None:
    commands = DOCKERFILE.replace("\\\n", " ")
    installs = re.findall(r"pip(?: --python \S+)? install ([^&\n]*)", commands)
    assert len(installs) == 4
    for options in installs:
        assert "--require-hashes" in options or "--no-index --no-deps" in options, options
    assert not re.search(r"https?://|curl|wget|apt", commands)


def test_the_build_sees_only_what_the_image_is_made_of() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)).split()
    assert let_in == set(copied)
