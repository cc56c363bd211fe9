"""Which stack a command finds: its folder's own, the only one elsewhere, the one it is told; never a dead one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cleartill.cli import app
from cleartill.embedded.beside import CHOSEN, SeveralRun, data_of_the_running, noted, what_it_says


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (CHOSEN, "API_URL", "DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "BANKING_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".cleartill"


@pytest.fixture
def dead() -> int:
    """A process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def up(data: Path, pid: int | None = None, **more: str) -> Path:
    data.mkdir(parents=True, exist_ok=True)
    (data / "up.json").write_text(json.dumps({"pids": {"up": pid or os.getpid()}, **more}))
    return data


def note(beside: Path, data: Path, pid: int) -> None:
    (beside / "elsewhere").mkdir(parents=True, exist_ok=True)
    (beside / "elsewhere" / str(pid)).write_text(f"{data}\n")


def test_none(beside: Path) -> None:
    assert data_of_the_running(beside) is None
    assert what_it_says(None) == {}


def test_the_folders_own(beside: Path) -> None:
    up(beside, api="http://127.0.0.1:1")
    assert data_of_the_running(beside) == beside
    with noted(beside, beside):
        assert not (beside / "elsewhere").exists()


def test_one_elsewhere_for_as_long_as_it_runs(beside: Path, tmp_path: Path) -> None:
    data = up(tmp_path / "there")
    with noted(data, beside):
        assert data_of_the_running(beside) == data
    assert data_of_the_running(beside) is None
    assert not beside.exists(), "nothing is left of it"


def test_a_folder_that_holds_more_is_kept(beside: Path, tmp_path: Path) -> None:
    beside.mkdir()
    with noted(up(tmp_path / "there"), beside):
        pass
    assert list(beside.iterdir()) == []


def test_where_nothing_may_be_written_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with noted(up(tmp_path / "there"), tmp_path / "file" / ".cleartill"):
        assert data_of_the_running(tmp_path / "file" / ".cleartill") is None


def test_its_own_comes_before_one_elsewhere(beside: Path, tmp_path: Path) -> None:
    up(beside)
    with noted(up(tmp_path / "there"), beside):
        assert data_of_the_running(beside) == beside


def test_the_dead_are_passed_over(beside: Path, tmp_path: Path, dead: int) -> None:
    up(beside, dead)
    note(beside, up(tmp_path / "killed", dead), dead)
    note(beside, tmp_path / "gone", dead)
    note(beside, up(tmp_path / "reborn"), dead)  # somebody else runs there now, and has not written this note
    assert data_of_the_running(beside) is None
    with noted(up(tmp_path / "there"), beside):
        assert data_of_the_running(beside) == tmp_path / "there"


@pytest.mark.parametrize("told", ["", "[]", '{"pids": {"up": "many"}}', '{"pids": null}', "{}"])
def test_what_makes_no_sense_is_nobody(beside: Path, told: str) -> None:
    up(beside)
    (beside / "up.json").write_text(told)
    assert data_of_the_running(beside) is None


def test_of_two_elsewhere_nobody_guesses(beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getppid()
    note(beside, up(tmp_path / "second", parent), parent)
    with noted(up(tmp_path / "first", api="http://127.0.0.1:1"), beside):
        with pytest.raises(SeveralRun, match=r"first, .*second"):
            data_of_the_running(beside)
        told = CliRunner().invoke(app, ["doctor"])
        assert (told.exit_code, f"{CHOSEN}={tmp_path / 'first'}" in told.stderr) == (2, True)
        monkeypatch.setenv(CHOSEN, str(tmp_path / "first"))
        assert "http://127.0.0.1:1 is away" in CliRunner().invoke(app, ["doctor"]).output


def test_whoever_names_every_server_is_asked_nothing(
    beside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stack's own processes run where the first one is found."""
    for name in ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS", "BANKING_API_URL"):
        monkeypatch.setenv(name, "redis://given.example")
    note(beside, up(tmp_path / "second", os.getppid()), os.getppid())
    with noted(up(tmp_path / "first"), beside):
        assert CliRunner().invoke(app, ["doctor", "--settings"]).exit_code == 0
