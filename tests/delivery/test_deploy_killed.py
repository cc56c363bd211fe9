"""scripts/deploy killed anywhere and run again; and as a program: who may, what is refused, one at a time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deploy.release import LIVE
from deploy.target import Refused
from deploy_ground import SETTINGS, Ground
from docker_engine import Told, put_on_path

ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """As SIGKILL: nothing of the release runs any more."""


def killing(ground: Ground, after: int, *, done: bool) -> Any:
    """Commands up to the one numbered `after`, which has been `done` or not when the end comes."""
    count = 0

    def run(*command: Any) -> tuple[int, str]:
        nonlocal count
        count += 1
        if count > after or (count == after and not done):
            raise Killed
        return ground.told.run(*command)

    return run


@pytest.mark.parametrize("done", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("first", [True, False], ids=["first release", "second release"])
def test_killed_anywhere_and_run_again_it_ends_the_same(told: Told, ground: Ground, first: bool, done: bool) -> None:
    if not first:
        ground.release("v1").deploy()
    start, ends = told.state, 0
    wanted = {
        "cleartill-edge": "",
        **dict.fromkeys((f"cleartill-{('green', 'blue')[first]}-{one}" for one in ("api", "worker")), "v2"),
    }
    for number in range(1, 60):
        told.change(**start)
        try:
            ground.release("v2", killing(ground, number, done=done)).deploy()
            ends += 1
        except Killed:
            running = told.running()
            if not first:
                assert f"cleartill-{told.state['live']}-api" in running, f"killed at {number}: nobody serves"
        assert ground.release("v2").deploy() == LIVE
        assert told.running() == wanted, f"killed at {number}: {told.said[-8:]}"
        assert told.state["live"] == ("green", "blue")[first]
        if ends:
            break
    assert ends, "every command was reached"


def test_a_way_back_killed_anywhere_and_run_again_ends_the_same(told: Told, ground: Ground) -> None:
    ground.release("v1").deploy()
    ground.release("v2").deploy()
    start, ends = told.state, 0
    for number in range(1, 40):
        told.change(**start)
        try:
            ground.release("v2", killing(ground, number, done=True)).back()
            ends += 1
        except Killed:
            try:
                ground.release("v2").back()
            except Refused as done:
                assert "v2 is newer" in str(done)  # noqa: PT017
        assert told.state["live"] == "blue", f"killed at {number}"
        assert set(told.running()) == {"cleartill-edge", "cleartill-blue-api", "cleartill-blue-worker"}
        if ends:
            break
    assert ends


# ── as a program ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def program(told: Told, tmp_path: Path) -> Any:
    """`scripts/deploy`, with `docker` and `git` of our own on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    put_on_path(folder, told.file)
    git = folder / "git"
    (tmp_path / "settings").write_text(SETTINGS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOY_")}

    def run(*words: str, tag: str = "v1", dirty: str = "", typed: str = "") -> subprocess.CompletedProcess[str]:
        said = f'status) echo "{dirty}" | grep . || true;; tag) echo "{tag}";; *) echo abc1234'
        git.write_text(f'#!/bin/sh\ncase "$1" in {said};; esac\n')
        git.chmod(0o755)
        place = {
            **kept,
            "PATH": f"{folder}:{os.environ['PATH']}",
            "DEPLOY_PROD_DOCKER": "production",
            "DEPLOY_PROD_SETTINGS": str(tmp_path / "settings"),
            "DEPLOY_PROD_ADMIN_KEY": "the admin's key",
            "DEPLOY_READY_S": "0.5",
            "DEPLOY_WATCH_S": "0.01",
        }
        command = [sys.executable, str(ROOT / "scripts" / "deploy"), "production", *words]
        return subprocess.run(command, env=place, input=typed, capture_output=True, text=True, check=False)

    return run


def test_production_asks_for_the_name_of_the_release(told: Told, program: Any) -> None:
    assert program(typed="yes\n").returncode == 2
    assert program(typed="").returncode == 2
    assert not told.running()
    ended = program(typed="v1\n")
    assert ended.returncode == LIVE, ended.stdout + ended.stderr
    assert set(told.running()) == {"cleartill-edge", "cleartill-blue-api", "cleartill-blue-worker"}


@pytest.mark.parametrize(
    ("tree", "why"),
    [({"dirty": " M src/x.py"}, "in no commit"), ({"tag": ""}, "has no tag"), ({"tag": "v1 v2"}, "several tags")],
    ids=["dirty", "untagged", "twice"],
)
def test_a_tree_that_nobody_could_name_is_refused(told: Told, program: Any, tree: dict[str, str], why: str) -> None:
    ended = program("--yes", **tree)
    assert ended.returncode == 2
    assert why in ended.stdout
    assert not told.running()


def test_killed_for_real_it_leaves_no_lease_and_goes_on(told: Told, program: Any) -> None:
    told.change(kill_at="turn blue")
    assert program("--yes").returncode < 0
    assert program("--yes", "--dry-run").returncode == LIVE
    for _ in range(50):  # the pipe is closed; whoever kept the lease needs a moment to see it
        ended = program("--yes")
        if "somebody else" not in ended.stdout:
            break
    assert ended.returncode == LIVE, ended.stdout
    assert set(told.running()) == {"cleartill-edge", "cleartill-blue-api", "cleartill-blue-worker"}


def test_two_at_once_are_one_too_many(told: Told, program: Any) -> None:
    told.file.with_suffix(".lease").touch()
    ended = program("--yes")
    assert ended.returncode == 2
    assert "somebody else is releasing" in ended.stdout
    assert not told.running()
