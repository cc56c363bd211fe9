"""`make prod-check`: what each ending means, what is asked, and which settings are judged."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from prod_check_steps import Check, Ended, Result, checks, production_settings

ROOT = Path(__file__).resolve().parents[2]
OURS: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "prod_check"), run_name="prod_check")
FIT = """
SECRET_KEY="ssssssssssssssssssssssssssssssss"
ENCRYPTION_KEY=1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
WEBHOOK_SECRET=wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww
SEED_DEMO=false
DATABASE_URL=postgresql://till:own@books.example/cleartill?sslmode=verify-full
"""


def python(*programs: str, **more: Any) -> Check:
    return Check("any", "anything", tuple((sys.executable, "-c", program) for program in programs), **more)


@pytest.mark.parametrize(
    ("programs", "unknown", "result"),
    [
        (["print('well')"], None, Result.PASSED),
        (["raise SystemExit(1)", "print('and this is run too')"], None, Result.FAILED),
        (["raise SystemExit(2)"], None, Result.FAILED),
        (["raise SystemExit(2)"], 2, Result.NOT_KNOWN),
        (["raise SystemExit(1)"], 2, Result.FAILED),
        (["raise SystemExit(2)", "raise SystemExit(1)"], 2, Result.FAILED),
    ],
)
def test_an_ending_is_what_it_means(programs: list[str], unknown: int | None, result: Result, tmp_path: Path) -> None:
    assert python(*programs, unknown=unknown).run(tmp_path / "log").result is result
    assert (tmp_path / "log").read_text().count("$ ") == len(programs)


def test_arguments_for_us_are_none_for_the_makes_that_we_call(tmp_path: Path) -> None:
    """As with `make prod-check ARGS="--env-file …"`, whose checks call `make test`."""
    inner, log, program = tmp_path / "inner.mk", tmp_path / "log", tmp_path / "checks.py"
    inner.write_text("all:\n\t@echo [$(ARGS)]\n")
    program.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        "from prod_check_steps import Check, Path\n"
        f"Check('any', 'anything', (('make', '-f', {str(inner)!r}),)).run(Path({str(log)!r}))\n"
    )
    (tmp_path / "outer.mk").write_text(f"all:\n\t@{sys.executable} {program}\n")
    subprocess.run(["make", "-f", tmp_path / "outer.mk", "ARGS=--env-file x"], check=True, timeout=30)
    assert "[]" in log.read_text().splitlines()


def test_what_is_not_there_or_does_not_end_has_failed(tmp_path: Path) -> None:
    absent = Check("any", "anything", (("no-such-program-anywhere",),)).run(tmp_path / "log")
    assert absent.result is Result.FAILED
    assert "no-such-program-anywhere" in (tmp_path / "log").read_text()
    endless = python("import time; time.sleep(600)", at_most_s=0.2).run(tmp_path / "log")
    assert (endless.result, endless.note) == (Result.FAILED, "not done within 0 s")


def test_what_cannot_be_run_here_is_said_not_passed(tmp_path: Path) -> None:
    assert python("x", unable=lambda: "no engine").run(tmp_path / "log") == Ended(Result.NOT_RUN, 0.0, "no engine")
    assert not (tmp_path / "log").exists()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("run", "log_of"):
        monkeypatch.setitem(OURS[name].__globals__, "LOGS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("strict", "result"), [(False, Result.NOT_KNOWN), (True, Result.FAILED)])
def test_not_to_know_fails_only_when_knowing_is_required(logs: Path, strict: bool, result: Result) -> None:
    [(_, ended)] = OURS["run"]([python("raise SystemExit(2)", unknown=2)], quick=False, require_audit=strict)
    assert ended.result is result


def test_quick_leaves_out_what_takes_minutes(logs: Path, tmp_path: Path) -> None:
    [(_, ended)] = OURS["run"]([python("raise SystemExit(1)", takes_minutes=True)], quick=True, require_audit=False)
    assert ended.result is Result.NOT_RUN
    assert {one.name for one in checks(None, tmp_path) if one.takes_minutes} == {"tests", "fuzz"}


def test_everything_is_asked(tmp_path: Path) -> None:
    asked = {one.name: one for one in checks(None, tmp_path)}
    assert list(asked) == [
        "lint", "types", "imports", "security", "licences", "settings", "delivery", "audit", "migrations", "fuzz",
        "tests", "image",
    ]  # fmt: skip
    programs = [Path(word) for one in asked.values() for command in one.commands for word in command[:2]]
    assert all(one.exists() for one in programs if one.is_absolute())
    assert asked["audit"].unknown == 2, "what scripts/supply_chain ends with"


def settings_check(env_file: Path, scratch: Path) -> Check:
    return next(one for one in checks(env_file, scratch) if one.name == "settings")


def test_a_files_settings_are_judged_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    file = tmp_path / "production.env"
    file.write_text(FIT)
    monkeypatch.setenv("DEBUG", "true")  # the caller's, and none of production's
    assert settings_check(file, tmp_path / "empty").run(tmp_path / "log").result is Result.PASSED
    assert "sslmode" in (tmp_path / "log").read_text()
    assert "own@" not in (tmp_path / "log").read_text()

    monkeypatch.setenv("SECRET_KEY", "s" * 32)
    file.write_text(FIT.replace("SECRET_KEY=", "OTHER=").replace("?sslmode=verify-full", ""))
    assert settings_check(file, tmp_path / "empty").run(tmp_path / "log").result is Result.FAILED
    said = (tmp_path / "log").read_text()
    assert "SECRET_KEY" in said
    assert "TLS in DATABASE_URL" in said
    assert "Traceback" not in said


def test_this_environments_settings_are_judged_as_productions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "development")
    monkeypatch.setenv("FEE_FIXED_MINOR", "7")
    told = production_settings(None, tmp_path)
    assert (told["ENV"], told["FEE_FIXED_MINOR"]) == ("production", "7")
    assert told["CLEARTILL_DATA_DIR"] == str(tmp_path), "no stack that runs here lends its addresses"
