"""`scripts/datadog`: what people read, and the code it ends with."""

import json
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import pytest
from typer.testing import CliRunner

from cleartill.telemetry.catalog import METRICS
from cleartill.telemetry.datadog.assets import Asset
from telemetry.datadog.datadog_api import DatadogApi

pytestmark = pytest.mark.enable_socket
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "datadog"
Ran = Callable[..., tuple[int, str]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs the script in this process: exit code, and what was printed."""
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("DD_API_KEY", "DD_APP_KEY", "DD_SITE"):
        monkeypatch.delenv(name, raising=False)
    app = run_path(str(SCRIPT))["app"]

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        told = CliRunner().invoke(app, arguments, env=environment)
        return told.exit_code, told.output

    return run


@pytest.fixture
def folder(tmp_path: Path, assets: tuple[Asset, ...]) -> Path:
    for asset in assets:
        (tmp_path / asset.file).parent.mkdir(exist_ok=True)
        (tmp_path / asset.file).write_text(json.dumps(asset.document))
    return tmp_path


def test_validate_names_each_defect_by_file_and_path(ran: Ran, folder: Path) -> None:
    code, told = ran("validate", "--folder", str(folder))
    assert (code, "Bank slow: {{provider.name}}" in told) == (0, True), told

    spoilt = (folder / "slos" / "events.json").read_text().replace("payment.count", "payment.counts")
    (folder / "slos" / "events.json").write_text(spoilt)
    code, told = ran("validate", "--folder", str(folder))

    assert code == 1
    assert "slos/events.json .query.numerator cleartill.payment.counts: no such metric in the catalogue" in told
    (folder / "entity.datadog.json").write_text("{")
    assert ran("validate", "--folder", str(folder))[0] == 1


def test_push_shows_the_difference_and_ends_with_one_when_something_fails(
    ran: Ran, api: DatadogApi, folder: Path
) -> None:
    keys = {"DD_API_KEY": "api", "DD_APP_KEY": "app"}
    to = ("push", "--folder", str(folder), "--api-host", api.url)

    code, told = ran(*to, "--only", "slos", "--only", "monitors/events*", **keys)
    assert (code, "2 create" in told) == (0, True), told
    api.named("slo", "Events in time")["thresholds"][0]["target"] = 99.0
    code, told = ran(*to, "--dry-run", **keys)
    assert code == 0
    assert ".thresholds[0].target: 99.0 → 99.9" in told
    assert f"Dry run, nothing was written: 3 create, 1 update, 1 unchanged, {len(METRICS)} waiting, 0 failed" in told
    assert len(api.writes) == 2
    code, told = ran(*to, **{**keys, "DD_APP_KEY": "stolen"})
    assert (code, "403 Forbidden" in told) == (1, True)
    assert "stolen" not in told


def test_the_catalogue_alone_is_pushed_and_what_was_never_sent_is_no_failure(
    ran: Ran, api: DatadogApi, tmp_path: Path
) -> None:
    api.received("cleartill.payment.latency")
    to = ("push", "--folder", str(tmp_path), "--api-host", api.url, "--only", "metrics")
    keys = {"DD_API_KEY": "api", "DD_APP_KEY": "app"}

    code, told = ran(*to, "--dry-run", **keys)
    assert (code, api.writes) == (0, []), told
    assert '.metadata.unit: nothing → "millisecond"' in told
    assert "metrics/payment.count" in told
    assert "not yet received: push again once the service has sent it" in told
    code, told = ran(*to, **keys)

    assert code == 0, told
    assert f"0 create, 1 update, 0 unchanged, {len(METRICS) - 1} waiting, 0 failed" in told
    assert api.configurations["cleartill.payment.latency"]["include_percentiles"] is True


def test_push_needs_keys(ran: Ran, folder: Path) -> None:
    code, told = ran("push", "--folder", str(folder), DD_API_KEY="api")

    assert (code, told.strip()) == (1, "DD_APP_KEY must be set")
