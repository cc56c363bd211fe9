"""`cleartill reconcile`: what a person reads, what a program reads, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cleartill.cli import app
from cleartill.embedded.scratch import free_port
from real import captured, open_room, rows
from real.providers import simulator


@pytest.fixture(autouse=True)
def bank_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str) -> Iterator[str]:
    """No `up` runs here, and no setting is taken from a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATABASE_UNSAFE_DURABILITY", "true")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "250")
    with simulator() as url:
        monkeypatch.setenv("BANKING_API_URL", url)
        yield url


def told(*words: str) -> Result:
    return CliRunner().invoke(app, ["reconcile", *words])


@pytest.fixture
async def charged(database_url: str) -> str:
    """A payment that the bank knows nothing of, by its id."""
    async with open_room(database_url) as room:
        return (await captured(room.books)).id


def test_nothing_is_wrong() -> None:
    said = told()
    assert said.exit_code == 0, said.output
    assert "bank: 0 lines" in said.output
    assert "internal: shows no book of its own" in said.output
    assert said.output.count("holds") == 8


def test_something_is_wrong(charged: str) -> None:
    said = told("--grace-s", "0")
    assert said.exit_code == 1, said.output
    for word in ("I1", "missing_at_bank", charged, "1 wrong", "1 discrepancies, 1 of them new"):
        assert word in said.output
    assert "1 discrepancies, 0 of them new" in told("--grace-s", "0").output


def test_what_is_newer_than_the_grace_time_waits(charged: str) -> None:
    said = told()
    assert said.exit_code == 0, said.output
    assert "1 operations wait" in said.output


def test_a_program_reads_json_and_nothing_else(charged: str) -> None:
    said = told("--json", "--grace-s", "0", "--since", "2020-01-01")
    report = json.loads(said.output)
    assert (said.exit_code, report["clean"], report["found"]) == (1, False, {"missing_at_bank": 1})
    assert report["since"] == "2020-01-01T00:00:00.000000Z"
    assert report["invariants"]["I1"] == {
        "holds": False, "discrepancies": 1, "meaning": "The bank's book is ours, per reference and to the cent",
    }  # fmt: skip
    assert report["listed"][0]["subject_id"] == charged


def test_only_what_has_changed_since(charged: str) -> None:
    said = told("--json", "--grace-s", "0", "--since", "2099-01-01T00:00:00+0000")
    assert (said.exit_code, json.loads(said.output)["looked_at"]["operations"]) == (0, 1)


def test_a_bank_that_is_away_is_no_verdict(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BANKING_API_URL", f"http://127.0.0.1:{free_port()}")
    said = told()
    assert (said.exit_code, "The statement of bank cannot be read: connect" in said.output) == (2, True)
    said = told("--json")
    assert (said.exit_code, json.loads(said.output)["clean"]) == (2, None)
    beside = capfd.readouterr()
    assert (beside.out, "books.reconcile" in beside.err) == ("", True), "the log is no part of what a program reads"


def test_books_that_are_away_are_no_verdict(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    rows(database_url, "ALTER TABLE reconciliations RENAME TO elsewhere")
    try:
        assert told().exit_code == 2
    finally:
        rows(database_url, "ALTER TABLE elsewhere RENAME TO reconciliations")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    assert told().exit_code == 2


def test_another_process_is_at_it(database_url: str) -> None:
    rows(database_url, "UPDATE reconcile_lease SET owner = 'another', until = now() + interval '1 minute'")
    said = told()
    assert (said.exit_code, "Another process reconciles now" in said.output) == (2, True)


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--grace-s", "-1"), ("--grace-s", "soon")])
def test_what_makes_no_sense_is_no_verdict(words: tuple[str, str]) -> None:
    assert told(*words).exit_code == 2
