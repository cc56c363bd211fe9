"""Where releases are tried: scripts/deploy in this process, on a Docker that writes down what it is told."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).parent))
from deploy_ground import SETTINGS, Ground
from docker_engine import Told


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "engine.json")


@pytest.fixture
def ground(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    @contextmanager
    def at_once(_engine: Any, _image: str) -> Iterator[None]:
        yield

    monkeypatch.setattr("deploy.release.lease", at_once)
    for name in [name for name in os.environ if name.startswith("DEPLOY_")]:
        monkeypatch.delenv(name)
    (tmp_path / "settings").write_text(SETTINGS)
    return Ground(told, tmp_path / "settings")
