"""The manifests of scripts/deploy/kubernetes, as kustomize renders them: hardened, drained, measured, and with settings
that the service takes."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cleartill.settings import _SECRETS, Settings
from cleartill.telemetry.catalog import METRICS, NAMESPACE
from cleartill.telemetry.datadog.query import parse_metric

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "scripts" / "deploy" / "kubernetes"
FLUSH_S = 15
BASE = {
    (one["kind"], one["metadata"]["name"]): one
    for file in sorted((MANIFESTS / "base").glob("*.yaml"))
    for one in yaml.safe_load_all(file.read_text())
    if one["kind"] != "Kustomization"
}
PODS = {kind: one["spec"]["template"] for kind, one in BASE.items() if kind[0] in ("Deployment", "Job")}
each_pod = pytest.mark.parametrize("pod", PODS.values(), ids=[name for _, name in PODS])
each_overlay = pytest.mark.parametrize("overlay", ["staging", "production"])


@cache
def rendered(overlay: str) -> dict[tuple[str, str], Any]:
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here: the overlays cannot be rendered")
    command = ["kubectl", "kustomize", str(MANIFESTS / "overlays" / overlay)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"].partition("-settings-")[0]): one for one in yaml.safe_load_all(made)}


def test_all_of_it_is_there() -> None:
    assert BASE.keys() >= {
        ("Deployment", "cleartill-api"),
        ("Deployment", "cleartill-worker"),
        ("Job", "cleartill-migrate"),
        ("Service", "cleartill-api"),
        ("HorizontalPodAutoscaler", "cleartill-api"),
        ("PodDisruptionBudget", "cleartill-api"),
        ("PodDisruptionBudget", "cleartill-worker"),
        ("NetworkPolicy", "cleartill"),
    }
    assert not [kind for kind, _ in BASE if kind == "Secret"], "secrets are referred to"


@each_pod
def test_a_pod_may_do_nothing_it_need_not(pod: dict[str, Any]) -> None:
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() >= {"cpu", "memory"}


@each_pod
def test_secrets_are_files_by_reference(pod: dict[str, Any]) -> None:
    (container,) = pod["spec"]["containers"]
    told = {one["name"]: one for one in container["env"]}
    files = {name: one["value"] for name, one in told.items() if name.endswith("_FILE")}
    assert {name.removesuffix("_FILE").lower() for name in files} <= set(_SECRETS)
    (place,) = (one["mountPath"] for one in container["volumeMounts"] if one["name"] == "secrets")
    assert all(file.startswith(f"{place}/") for file in files.values())
    assert not [name for name in told if name.lower() in _SECRETS]
    (volume,) = (one for one in pod["spec"]["volumes"] if one["name"] == "secrets")
    assert volume["secret"]["secretName"] == "cleartill"


@pytest.mark.parametrize("name", ["api", "worker"])
def test_there_is_time_to_drain(name: str) -> None:
    spec = PODS["Deployment", f"cleartill-{name}"]["spec"]
    before_s = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert spec["terminationGracePeriodSeconds"] >= before_s + Settings.model_fields["drain_s"].default + FLUSH_S
    assert before_s > 0 or name == "worker", "balancers learn of it while it still serves"


def test_the_probes_ask_what_the_api_answers() -> None:
    (container,) = PODS["Deployment", "cleartill-api"]["spec"]["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {"http": 8000}
    readiness = container["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 5, "unready is seen while preStop sleeps"


@each_overlay
def test_its_settings_are_ones_that_the_service_takes(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = rendered(overlay)["ConfigMap", "cleartill"]["data"]
    fields = {str(name).upper() for name in Settings.model_fields} | {"DD_METRICS_ENABLED"}
    assert told.keys() <= fields, "nobody reads these"
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    secrets = {"secret_key": "s" * 32, "encryption_key": "1:" + "A" * 43 + "=", "webhook_secret": "w" * 32}
    secrets["database_url"] = "postgresql://cleartill:own@books/cleartill?sslmode=verify-full&sslrootcert=system"
    settings = Settings(_env_file=None, **secrets)  # type: ignore[call-arg]
    assert settings.env == overlay
    assert settings.seed_demo is False


@each_overlay
def test_it_grows_by_a_metric_of_the_catalogue(overlay: str) -> None:
    made = rendered(overlay)
    metric = next(one for (kind, _), one in made.items() if kind == "DatadogMetric")
    query = parse_metric(metric["spec"]["query"])
    assert query.metric.removeprefix(f"{NAMESPACE}.") in METRICS
    assert f"env:{overlay}" in metric["spec"]["query"]
    (asked,) = made["HorizontalPodAutoscaler", "cleartill-api"]["spec"]["metrics"]
    place, name = metric["metadata"]["namespace"], metric["metadata"]["name"]
    assert asked["external"]["metric"]["name"] == f"datadogmetric@{place}:{name}"
    assert float(asked["external"]["target"]["value"]) < Settings.model_fields["bank_in_flight"].default
    assert "replicas" not in made["Deployment", "cleartill-api"]["spec"], "two would set it"


@each_overlay
@pytest.mark.parametrize("name", ["api", "worker"])
def test_telemetry_is_told_the_same_everywhere(overlay: str, name: str) -> None:
    deployment = rendered(overlay)["Deployment", f"cleartill-{name}"]
    pod = deployment["spec"]["template"]
    tags = {
        f"tags.datadoghq.com/{one}": pod["metadata"]["labels"][f"tags.datadoghq.com/{one}"]
        for one in ("env", "service", "version")
    }
    assert tags["tags.datadoghq.com/env"] == overlay
    assert deployment["metadata"]["labels"].items() >= tags.items()
    image = pod["spec"]["containers"][0]["image"]
    assert image.rpartition(":")[2] == tags["tags.datadoghq.com/version"], "newTag and the label are one release"
    told = {
        one["name"]: one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        for one in pod["spec"]["containers"][0]["env"]
    }
    for variable, tag in (("DD_ENV", "env"), ("DD_SERVICE", "service"), ("DD_VERSION", "version")):
        assert told[variable] == f"metadata.labels['tags.datadoghq.com/{tag}']"
    for annotation, value in pod["metadata"]["annotations"].items():
        assert re.fullmatch(rf"ad\.datadoghq\.com/{name}\.(logs|checks)", annotation), "of a container that is there"
        json.loads(value)


@each_overlay
def test_labels_lead_where_they_should(overlay: str) -> None:
    made = rendered(overlay)
    pods = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for (kind, name), one in made.items()
        if kind in ("Deployment", "Job")
    }
    for (kind, name), one in made.items():
        selector = one["spec"].get("selector") or one["spec"].get("podSelector") if "spec" in one else None
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"):
            wanted = selector.get("matchLabels", selector)
            found = [pod for pod, labels in pods.items() if labels.items() >= wanted.items()]
            assert found, f"{kind} {name} is about nobody"
            assert kind == "NetworkPolicy" or found == [name], f"{kind} {name} is about {found}"
