"""scripts/deploy on a Docker that writes down what it is told: in, watched, back by itself or because one asked."""

from pathlib import Path
from typing import Any

import pytest
from deploy.release import BROKEN, LIVE, TAKEN_BACK, UNCHANGED
from deploy.target import Refused, Target, _Said
from deploy_ground import SETTINGS, Ground
from docker_engine import Told


def index_of(said: list[str], *parts: str) -> int:
    return next(number for number, one in enumerate(said) if all(part in one for part in parts))


def test_a_release_comes_in_beside_the_one_that_serves(ground: Ground) -> None:
    assert ground.release("v1").deploy() == LIVE
    before = len(ground.told.said)
    assert ground.release("v2").deploy() == LIVE
    said = ground.told.said[before:]
    steps = [
        ("build", "cleartill:v2"),
        ("run", "check"),
        ("run", "migrate"),
        ("up", "api"),
        ("exec", "cleartill-green-api", "/health/ready"),
        ("exec", "turn green"),
        ("up", "worker"),
        ("exec", "/api/v1/operations"),
        ("stop cleartill-blue-worker",),
        ("stop cleartill-blue-api",),
    ]
    after_ready = index_of(said, "exec", "turn green")
    places = [index_of(said, *step) for step in steps if step[1:] != ("/api/v1/operations",)]
    assert places == sorted(places)
    assert any("/api/v1/operations" in one for one in said[after_ready:]), "watched after the switch"
    assert ground.told.running() == {
        "cleartill-edge": "",
        "cleartill-green-api": "v2",
        "cleartill-green-worker": "v2",
    }
    assert ground.told.state["live"] == "green"


def test_the_key_is_in_no_command(ground: Ground) -> None:
    ground.release("v1").deploy()
    assert "admin's key" not in " ".join(ground.told.said) + ground.out.getvalue()


def test_the_same_again_does_nothing(ground: Ground) -> None:
    ground.release("v1").deploy()
    was = ground.told.state["containers"]
    assert ground.release("v1").deploy() == LIVE
    assert ground.told.state["containers"] == was
    assert "nothing was done" in ground.out.getvalue()


def test_the_same_again_when_asked_for(ground: Ground) -> None:
    ground.release("v1").deploy()
    assert ground.release("v1").deploy(again=True) == LIVE
    assert ground.told.state["live"] == "green"


@pytest.mark.parametrize("broken", ["build", " check", " migrate", " api", "network create"])
def test_what_fails_before_the_switch_changes_nothing(ground: Ground, broken: str) -> None:
    if broken != "network create":
        ground.release("v1").deploy()
    was, live = ground.told.running(), ground.told.state["live"]
    ground.told.change(wrong={broken: 1})
    before = len(ground.told.said)
    assert ground.release("v2").deploy() == UNCHANGED
    assert (ground.told.running(), ground.told.state["live"]) == (was, live)
    assert not [one for one in ground.told.said[before:] if "turn " in one]
    assert "nothing has changed" in ground.out.getvalue()


@pytest.mark.parametrize("broken", [" check", " migrate"])
def test_what_fails_early_keeps_the_way_back(ground: Ground, broken: str) -> None:
    ground.release("v1").deploy()
    ground.release("v2").deploy()
    ground.told.change(wrong={broken: 1})
    assert ground.release("v3").deploy() == UNCHANGED
    assert ground.release("v2").back() == LIVE
    assert ground.told.running()["cleartill-blue-api"] == "v1"


@pytest.mark.parametrize("how", ["unready", "unwell"])
def test_one_that_is_never_ready_is_not_let_in(ground: Ground, how: str) -> None:
    ground.release("v1").deploy()
    ground.told.change(**{how: ["v2"]})
    assert ground.release("v2").deploy() == UNCHANGED
    assert ground.told.state["live"] == "blue"
    assert not [name for name in ground.told.state["containers"] if "green" in name], "nothing of it stays"
    assert not [one for one in ground.told.said if one.startswith("exec cleartill-edge turn green")]
    assert "the last words of cleartill-green-api" in ground.out.getvalue()


def test_one_that_fails_too_often_is_taken_back(ground: Ground) -> None:
    ground.release("v1").deploy()
    ground.told.change(errors={"v2": 10})
    assert ground.release("v2").deploy() == TAKEN_BACK
    assert ground.told.state["live"] == "blue"
    assert ground.told.running() == {
        "cleartill-edge": "",
        "cleartill-blue-api": "v1",
        "cleartill-blue-worker": "v1",
    }
    assert "10 of 110 answers are 5xx" in ground.out.getvalue()
    said = ground.told.said
    assert index_of(said, "turn blue") < index_of(said, "stop cleartill-green-worker"), "callers first"


def test_one_that_mends_what_failed_is_let_in(ground: Ground) -> None:
    ground.release("v1").deploy()
    ground.told.change(errors={"v1": 50, "v2": 49})
    assert ground.release("v2").deploy() == LIVE


def test_one_that_becomes_unwell_is_taken_back_though_the_bank_is_away_for_both(ground: Ground) -> None:
    ground.release("v1").deploy()
    run = ground.told.run

    def run_until_let_in(*command: Any) -> tuple[int, str]:
        ended = run(*command)
        if command[0][-2:] == ["turn", "green"]:
            ground.told.change(unwell=["v1", "v2"])
        return ended

    assert ground.release("v2", run_until_let_in).deploy() == TAKEN_BACK
    assert ground.told.state["live"] == "blue"


def test_the_first_release_has_nobody_to_go_back_to(ground: Ground) -> None:
    ground.told.change(errors={"v1": 50})
    assert ground.release("v1").deploy() == TAKEN_BACK
    assert ground.told.state["live"] == "nobody"
    assert ground.told.running() == {"cleartill-edge": ""}


def test_a_way_back_that_fails_is_said_loudly(ground: Ground) -> None:
    ground.release("v1").deploy()
    ground.told.change(errors={"v2": 50}, wrong={"turn blue": 1})
    assert ground.release("v2").deploy() == BROKEN
    out = ground.out.getvalue()
    assert "THE WAY BACK FAILED" in out
    assert "docker --host ssh://deploy@target exec cleartill-edge turn blue" in out
    assert "v2 is in green, v1 in blue" in out
    assert set(ground.told.running()) >= {"cleartill-blue-api", "cleartill-green-api"}, "nothing was stopped"


def test_back_and_not_forth(ground: Ground) -> None:
    with pytest.raises(Refused):
        ground.release("").back()
    ground.release("v1").deploy()
    with pytest.raises(Refused):
        ground.release("").back()
    ground.release("v2").deploy()
    assert ground.release("v2").back() == LIVE
    assert ground.told.state["live"] == "blue"
    assert set(ground.told.running()) == {"cleartill-edge", "cleartill-blue-api", "cleartill-blue-worker"}
    with pytest.raises(Refused, match="v2 is newer"):
        ground.release("v1").back()


def test_a_dry_run_prints_every_step_and_does_none(ground: Ground) -> None:
    ground.release("v1").deploy()
    was = ground.told.state
    assert ground.release("v2", dry=True).deploy() == LIVE
    now, out = ground.told.state, ground.out.getvalue()
    assert now["containers"] == was["containers"]
    assert now["live"] == "blue"
    assert {one.split()[0] for one in ground.told.said[len(was["said"]) :]} <= {"ps", "network", "exec"}
    for step in (
        "build --tag cleartill:v2",
        "run --rm --no-deps --no-TTY migrate",
        "turn green",
        "stop cleartill-blue-api",
    ):
        assert step in out
    assert "DEPLOY_STOP_GRACE=50s" in out, "DRAIN_S and twenty seconds"


def test_another_proxy_is_not_put_in_by_the_way(ground: Ground) -> None:
    ground.release("v1").deploy()
    containers = ground.told.state["containers"]
    containers["cleartill-edge"]["image"] = "cleartill-edge:older"
    ground.told.change(containers=containers)
    with pytest.raises(Refused, match="--replace-edge"):
        ground.release("v2").deploy()
    assert ground.release("v2").deploy(replace_edge=True) == LIVE


def test_production_needs_a_key_to_watch_with_and_both_need_a_place(told: Told, tmp_path: Path) -> None:
    settings = tmp_path / "settings"
    settings.write_text(SETTINGS)
    said = _Said(_env_file=None, prod_docker="a", prod_settings=str(settings))  # type: ignore[call-arg]
    with pytest.raises(Refused, match="DEPLOY_PROD_ADMIN_KEY"):
        Target("production", said)
    with pytest.raises(Refused, match="DEPLOY_STAGING_DOCKER"):
        Target("staging", said)


def test_one_bad_look_is_forgiven(ground: Ground) -> None:
    ground.release("v1").deploy()
    run, looks = ground.told.run, 0

    def run_once_bad(*command: Any) -> tuple[int, str]:
        nonlocal looks
        if "operations" in command[0][-1]:
            looks += 1
            ground.told.change(errors={"v2": 50 if looks == 2 else 0})  # the first look is before the switch
        return run(*command)

    assert ground.release("v2", run_once_bad).deploy() == LIVE
    assert looks >= 3


def test_who_is_behind_the_door_is_asked_and_not_believed(ground: Ground) -> None:
    ground.release("v1").deploy()

    def run_deaf(command: list[str], *more: Any) -> tuple[int, str]:
        if command[-2:] == ["turn", "green"]:
            return 0, "green\n"  # and goes on letting blue in
        return ground.told.run(command, *more)

    assert ground.release("v2", run_deaf).deploy() == TAKEN_BACK
    assert "behind the door is not v2" in ground.out.getvalue()
    assert ground.told.running()["cleartill-blue-api"] == "v1"
