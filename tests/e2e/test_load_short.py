"""A few seconds of `make load` against a service of real processes, and against nobody."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cleartill.embedded.scratch import free_port
from service import Service

pytestmark = pytest.mark.drill
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "load_test"


def load(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, text=True, timeout=90, check=False
    )


def test_a_short_load_is_served_and_leaves_a_page(shared: Service, tmp_path: Path) -> None:
    ran = load("smoke", "--url", shared.apis[0], "--rate", "40", "--minutes", "0.05", "--into", str(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "smoke.json").read_text())
    assert told["totals"]["arrived"] == 120 == sum(told["totals"]["outcomes"].values())
    assert {"captured", "declined", "refunded"} <= told["totals"]["outcomes"].keys()
    assert told["totals"]["slow_card"]["count"] >= 1
    assert told["conditions"]["it says"].endswith(("ok", "degraded"))
    assert (tmp_path / "smoke.html").read_text().count("<svg") == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--url", "http://127.0.0.1:{port}"), "does not answer"),
        (("--url", "{api}", "--key", "sk_test_wrong"), "(401)"),
    ],
)
def test_nothing_is_loaded_where_it_cannot_be(
    shared: Service, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    ran = load(*(word.format(port=free_port(), api=shared.apis[0]) for word in words), "--into", str(tmp_path))
    assert ran.returncode == 2
    assert said in ran.stdout.replace("\n", " ")
    assert not list(tmp_path.iterdir())
