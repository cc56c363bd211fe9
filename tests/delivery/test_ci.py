""".ci/run and the Makefile: the words that the README and callers rely on."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PROMISED = set(
    "help dev dev-setup run run-local test test-unit test-integration test-api test-stack full-test bench lint format "  # noqa: SIM905
    "docker-up docker-down docker-logs docker-shell docker-psql up down build logs shell db-seed seed migrate status "
    "metrics debug deps-check env-check prod-check clean clean-all deploy-staging deploy-prod".split()
)


def test_the_promised_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", MAKEFILE, re.MULTILINE))
    assert targets >= PROMISED, f"missing: {PROMISED - targets}"
    assert ".DEFAULT_GOAL := help" in MAKEFILE


def test_help_names_them_all() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"^\s*(?:\x1b\[36m)?([a-z-]+)", shown, re.MULTILINE)) >= PROMISED


def test_lint_is_style_types_and_import_rules() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    assert all(tool in recipe for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"))


def test_ci_runs_lint_and_ends_with_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    steps = re.findall(r"^ *(?:make --no-print-directory|step) ([a-z-]+)", script, re.MULTILINE)
    wanted = [
        "dev-setup",
        "lint",
        "delivery-check",
        "test-stack",
        "test-postman",
        "test-console",
        "test-drills",
        "test",
    ]
    assert steps == wanted, "pytest's summary is the last line"
    assert script.count("|| failed=1") == 2, "a failure is remembered"
    assert script.rstrip().endswith('exit "$failed"')
    assert "\n    make test " in (ROOT / "README.md").read_text()


def test_scripts_can_be_run() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and not path.suffix]
    assert scripts
    lame = [path.name for path in scripts if not os.access(path, os.X_OK) or not path.read_text().startswith("#!")]
    assert not lame, f"chmod +x, and a first line with #!: {lame}"
