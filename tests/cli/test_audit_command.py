"""`cleartill audit`: what it says of a chain that is whole, or not, or cannot be read, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cleartill.cli import app
from cleartill.embedded.postgres import EmbeddedPostgres
from cleartill.embedded.scratch import free_port
from fakes.kafka import MockKafka
from real import open_room, rows
from real.chained import by_superuser, insert_many, postgres_chained

COUNT = 40


@pytest.fixture(scope="module")
def mock() -> Iterator[MockKafka]:
    kafka = MockKafka()
    kafka.create("cleartill.events")
    yield kafka
    kafka.end()


@pytest.fixture(autouse=True)
async def sealed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str, mock: MockKafka
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATABASE_UNSAFE_DURABILITY", "true")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("BANKING_API_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", mock.bootstrap)
    insert_many(database_url, 1, COUNT)
    async with open_room(database_url) as room, postgres_chained(room, database_url) as chained:
        await chained.seal_all()


def told(*words: str, **options: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words], **options)  # type: ignore[arg-type]


def tamper(postgres: EmbeddedPostgres) -> None:
    by_superuser(postgres.admin_url, "UPDATE audit_logs SET actor = 'x' WHERE seal_number = 17")


def test_nothing_was_touched() -> None:
    said = told("verify")
    assert said.exit_code == 0, said.output
    assert f"{COUNT} rows up to {COUNT}" in said.output
    assert "Nothing was touched." in said.output


def test_the_head_is_kept_and_compared(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    said = told("head")
    head = json.loads(said.output)
    assert (said.exit_code, head["number"], len(head["hash"])) == (0, COUNT, 64)
    kept = tmp_path / "head.json"
    kept.write_text(said.output)
    by_superuser(
        postgres.admin_url,
        "DELETE FROM audit_logs WHERE seal_number > 30",
        "UPDATE audit_chain SET number = 30, seal = (SELECT seal FROM audit_logs WHERE seal_number = 30)",
    )
    assert told("verify").exit_code == 0, "from within it cannot be told"
    for words, stdin in ((("--from", str(kept)), ""), (("--from", "-"), said.output), (("--from", "-"), f"[{head}]")):
        again = told("verify", *words, "--json", input=stdin.replace("'", '"'))
        assert (again.exit_code, json.loads(again.output)["faults"][0]["kind"]) == (1, "tail_cut"), again.output
        assert json.loads(again.output)["faults"][0]["number"] == 31


def test_the_first_bad_number_is_named(postgres: EmbeddedPostgres) -> None:
    tamper(postgres)
    said = told("verify")
    assert said.exit_code == 1, said.output
    assert "tampered with from 17 on: edited" in said.output
    said = told("verify", "--json")
    assert json.loads(said.output)["faults"] == [
        {"kind": "edited", "number": 17, "details": "its contents are not what was sealed"}
    ]


def test_reconciliation_finds_it_too(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    from real.providers import simulator

    tamper(postgres)
    with simulator() as url:
        monkeypatch.setenv("BANKING_API_URL", url)
        said = CliRunner().invoke(app, ["reconcile", "--json", "--since", "2099-01-01"])
    report = json.loads(said.output)
    assert report["invariants"]["I9"]["discrepancies"] == 1
    assert [(one["kind"], one["reference"]) for one in report["listed"] if one["invariant"] == "I9"] == [
        ("audit_chain", "edited 17")
    ]


def test_what_cannot_be_found_out_is_no_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text('{"chain": "chn_1"}')
    for words in (("--from", "nowhere.json"), ("--from", "no.json"), ("--from", "-")):
        said = told("verify", *words, "--json")
        assert (said.exit_code, json.loads(said.output)["sound"]) == (2, None), words
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    said = told("verify")
    assert (said.exit_code, "Kafka cannot be reached" in said.output) == (2, True), said.output
    assert told("verify", "--no-kafka").exit_code == 0
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    assert told("verify", "--no-kafka").exit_code == 2


def test_rows_that_wait_for_their_seal_are_no_fault(database_url: str) -> None:
    insert_many(database_url, COUNT + 1, COUNT + 3)
    assert told("verify").exit_code == 0
    assert rows(database_url, "SELECT count(*) FROM audit_logs WHERE seal_number IS NULL") == [(3,)]
