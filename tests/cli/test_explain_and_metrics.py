"""`cleartill explain` and `cleartill metrics` on real rows: what a person reads, in 80 columns."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cleartill.adapters.postgres.minutes import PostgresMinutes
from cleartill.cli import app
from cleartill.cli.explaining import acts, waterfall
from cleartill.cli.metrics import picture, sparkline
from cleartill.domain.outcome import Declined
from cleartill.ports import Step, SystemClock
from cleartill.telemetry.minutes import MinuteRecorder
from fakes import World
from real import open_room, till_on
from real.orders import back, id_of, pay

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str, redis_url: str) -> None:
    """No `up` runs here, and no setting is taken from a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATABASE_UNSAFE_DURABILITY", "true")
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("BANKING_API_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("COLUMNS", "80")


def told(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.fixture
async def made(database_url: str) -> dict[str, str]:
    """A payment with a refund, a declined one, and a minute of a process."""
    world = World(clock=SystemClock())  # type: ignore[arg-type]
    async with open_room(database_url) as room:
        till = till_on(room, world)
        paid = id_of(await pay(till))
        refund = id_of(await back(till, paid, "3.00"))
        world.bank.answers(Declined("do_not_honor", "05"))
        declined = id_of(await pay(till, "k2"))
        recorder = MinuteRecorder("api")
        recorder._port = PostgresMinutes(room.pool)
        for tags in ({"provider": "bank", "status": "captured"}, {"provider": "bank", "status": "failed"}):
            recorder.observe("payment.latency", 20.0, tags)
        recorder.count("payment.decided", 1, {"provider": "bank", "decision": "approved"})
        recorder.gauge("breaker.state", 2, {"provider": "bank"})
        recorder.gauge("transfer.dead", 3, {})
        await recorder.write()
    return {"paid": paid, "refund": refund, "declined": declined}


def test_a_payment_is_explained(made: dict[str, str]) -> None:
    said = told("explain", made["paid"])
    assert said.exit_code == 0, said.output
    for words in (made["paid"], "payment.captured", "attempt.authorize", "refund.succeeded", "by key_1", "trace"):
        assert words in said.output
    assert max(map(len, said.output.splitlines())) <= 80


def test_a_refund_is_explained_by_its_payment(made: dict[str, str]) -> None:
    said = told("explain", made["refund"])
    assert said.exit_code == 0
    assert made["paid"] in said.output
    assert f"the payment of {made['refund']}" in " ".join(said.output.split())


def test_a_decline_says_why_in_words(made: dict[str, str]) -> None:
    said = told("explain", made["declined"]).output
    assert "do_not_honor: " in said
    assert "code 05: card declined" in said


@pytest.mark.parametrize("id", ["pay_0", "ref_0", "dep_0", "wdr_0", "evt_0", "", "'; --", "[red]", "pay_\N{SNOWMAN}"])
def test_a_wrong_id_is_a_kind_message(id: str) -> None:
    said = told("explain", id)
    assert (said.exit_code, "There is no payment" in said.output, id in said.output) == (1, True, True)


def test_metrics_once(made: dict[str, str]) -> None:
    said = told("metrics", "--once")
    assert said.exit_code == 0, said.output
    for words in ("payments/s", "authorized 100.0%", "total", "own", "open", "dead letters", "1 api"):
        assert words in said.output
    assert max(map(len, said.output.splitlines())) <= 80
    assert "\x1b" not in said.output, "plain where there is no terminal"


def test_metrics_for_programs(made: dict[str, str]) -> None:
    said = json.loads(told("metrics", "--json", "--window", "1h").output)
    assert (said["window"], said["payments"]["count"], said["transfers"]["dead"]) == ("1h", 2, 3)


def test_metrics_without_books_is_a_kind_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    said = told("metrics", "--once")
    assert (said.exit_code, "cannot be reached" in said.output) == (1, True)


def test_a_sparkline() -> None:
    assert sparkline([0, 1, 4, 8]) == "·▂▅█"
    assert sparkline([0, 0]) == "··"
    assert sparkline([]) == ""


def step(seconds: float, ms: float | None = None, name: str = "provider.call", **details: Any) -> Step:
    return Step(AT + timedelta(seconds=seconds), name, "ok", ms, details)


def test_what_happens_the_next_day_does_not_squeeze_the_charge() -> None:
    lines = [str(line) for line in waterfall([step(0, 50), step(0.05, 50), step(86_400, 10), step(86_400.01, 10)])]
    assert [line[36:56].rstrip() for line in (lines[1], lines[2])] == ["█" * 10, " " * 10 + "█" * 10]
    assert "24.0 h later" in lines[3] or "1.0 d later" in lines[3]
    assert [line[36:56].rstrip() for line in lines[4:]] == ["█" * 10, " " * 10 + "█" * 10]
    assert max(map(len, lines)) <= 80


def test_a_doubt_of_minutes_is_a_break_and_a_slow_bank_is_not() -> None:
    doubt = Step(AT + timedelta(minutes=3), "attempt.authorize", "approved", 180_000, {})
    assert [len(act) for act in acts([step(0, 8_000), step(8.001), doubt])] == [2, 1]


def test_a_picture_of_very_much_still_fits(made: dict[str, str]) -> None:
    view = json.loads(told("metrics", "--json").output)
    view["payments"] |= {"per_s": 12_345.67, "by_status": dict.fromkeys(("captured", "failed", "in_doubt"), 10**9)}
    view["hops"] = [{"name": "h" * 30, "count": 10**9, "p50_ms": 1e6, "p95_ms": 1e6, "p99_ms": 1e6}]
    console = Console(width=80, record=True, file=StringIO())
    console.print(picture(view))
    assert max(map(len, console.export_text().splitlines())) <= 80
