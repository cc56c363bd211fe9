"""What operators see over HTTP: minutes of several processes as one, and the age of every part."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from cleartill.api.operations import EXAMPLE, OperationsView
from cleartill.api.stats import EXAMPLE as STATS_EXAMPLE
from cleartill.api.stats import StatsView
from cleartill.domain.merchant import DEMO_ADMIN_KEY
from cleartill.telemetry.minutes import MinuteRecorder
from fakes import World

OPERATIONS = "/api/v1/operations"
BANK = {"provider": "bank"}


@pytest.fixture
def admin(client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.headers["Authorization"] = f"Bearer {DEMO_ADMIN_KEY}"
    return client


def process(world: World, role: str = "api") -> MinuteRecorder:
    made = MinuteRecorder(role, world.clock)
    made._port = world.minutes
    return made


def pay(at: MinuteRecorder, status: str = "captured", ms: float = 20.0, times: int = 1) -> None:
    decision = "approved" if status == "captured" else "declined"
    tags = {**BANK, "currency": "USD", "status": status}
    for _ in range(times):
        category = "none" if status == "captured" else "soft"
        at.count("payment.count", 1, {**tags, "brand": "visa", "decline_category": category})
        at.observe("payment.amount", 9_999, {**tags, "brand": "visa"})
        at.count("payment.decided", 1, {**BANK, "brand": "visa", "decision": decision, "in_time": "yes"})
        at.observe("payment.latency", ms, {**BANK, "status": status})
        at.observe("payment.overhead", ms / 2, {**BANK, "status": status})


async def ask(admin: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    answer = await admin.get(OPERATIONS, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    OperationsView.model_validate(found)
    return found


async def test_two_processes_are_one_view(admin: httpx.AsyncClient, world: World) -> None:
    first, second = process(world), process(world)
    pay(first, ms=10.0, times=90)
    pay(second, "failed", ms=1_000.0, times=10)
    first.gauge("guard.inflight", 3, BANK)
    second.observe("guard.inflight", 4, BANK)
    first.gauge("breaker.state", 0, BANK)
    second.gauge("breaker.state", 2, BANK)
    world.clock.advance(50)
    for one in (first, second):
        await one.write()

    said = await ask(admin)

    assert said["payments"] == {
        "count": 100, "per_s": 2.0, "authorization_rate": 0.9, "by_status": {"captured": 90, "failed": 10},
        "by_provider": {"bank": 100}, "declined_by_category": {"soft": 10},
        "captured": [{"currency": "USD", "amount": 8999.1, "amount_minor": 899_910}],
    }  # fmt: skip
    total, own = said["latency"]["total"], said["latency"]["own"]
    assert total["count"] == 100
    for found, true in ((total["p50_ms"], 10), (total["p95_ms"], 1_000), (own["p50_ms"], 5), (own["p99_ms"], 500)):
        assert abs(found - true) <= true * said["precision"]
    (bank,) = said["providers"]
    assert (bank["breaker"], bank["inflight"], bank["authorization_rate"]) == ("open", 7, 0.9)
    assert [one["alive"] for one in said["processes"]] == [True, True]
    assert said["minutes"][-1]["payments"] == 100
    assert len(said["minutes"]) == 30


async def test_what_waits_is_what_a_worker_saw_last_and_says_how_old_that_is(
    admin: httpx.AsyncClient, world: World
) -> None:
    one, other = process(world, "worker"), process(world, "worker")
    one.gauge("outbox.pending", 900, {})
    one.gauge("in_doubt.count", 2, {})
    one.gauge("in_doubt.amount", 5_000, {"currency": "JPY"})
    one.gauge("in_doubt.amount", 5_000, {"currency": "USD"})
    await one.write()
    world.clock.advance(10)
    other.gauge("outbox.pending", 7, {})
    other.gauge("in_doubt.count", 1, {})
    other.gauge("in_doubt.amount", 2_000, {"currency": "USD"})
    await other.write()
    world.clock.advance(3)

    said = await ask(admin)

    assert (said["outbox"]["pending"], said["outbox"]["age_s"]) == (7, 3.0)
    assert said["doubts"]["money"] == [{"currency": "USD", "amount": 20.0, "amount_minor": 2_000}]
    assert said["webhooks"]["pending"] is None
    assert said["webhooks"]["age_s"] is None


async def test_a_process_that_is_gone_is_seen_to_be_gone(admin: httpx.AsyncClient, world: World) -> None:
    """Its counts stay, its breaker and its places in the bulkhead do not."""
    gone, alive = process(world), process(world)
    pay(gone)
    gone.gauge("breaker.state", 2, BANK)
    gone.gauge("guard.inflight", 50, BANK)
    await gone.write()
    world.clock.advance(40)
    alive.gauge("breaker.state", 0, BANK)
    await alive.write()

    said = await ask(admin)

    assert [(one["alive"], one["age_s"]) for one in said["processes"]] == [(True, 0), (False, 40)]
    assert (said["providers"][0]["breaker"], said["providers"][0]["inflight"]) == ("closed", 0)
    assert said["payments"]["count"] == 1
    world.clock.advance(700)
    assert (await ask(admin))["processes"] == []


@pytest.mark.parametrize(("window", "count"), [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 20)])
async def test_a_window_is_so_many_minutes(admin: httpx.AsyncClient, world: World, window: str, count: int) -> None:
    one = process(world)
    for _ in range(20):
        await one.write()
        pay(one)
        world.clock.advance(60)
        await one.write()
    world.clock.advance(-1)
    said = await ask(admin, window=window)
    assert said["payments"]["count"] == count
    assert said["latency"]["total"]["count"] == count
    assert [minute["payments"] for minute in said["minutes"]] == [0] * 10 + [1] * 20


async def test_of_nothing_there_is_nothing_to_say(admin: httpx.AsyncClient) -> None:
    said = await ask(admin)
    assert (said["payments"]["authorization_rate"], said["age_s"], said["processes"]) == (None, None, [])
    assert (said["reconciliation"], said["latency"]["total"]["p99_ms"]) == (None, None)


async def test_it_is_for_admins(client: httpx.AsyncClient) -> None:
    answer = await client.get(OPERATIONS)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("asked", [{"window": "2m"}, {"window": ""}, {"span": "5m"}])
async def test_what_makes_no_sense_is_422(admin: httpx.AsyncClient, asked: dict[str, str]) -> None:
    assert (await admin.get(OPERATIONS, params=asked)).status_code == 422


async def test_books_that_are_away_are_503(admin: httpx.AsyncClient, world: World) -> None:
    world.minutes.away = True
    assert (await admin.get(OPERATIONS)).status_code == 503


def test_the_examples_are_what_the_models_say() -> None:
    OperationsView.model_validate(EXAMPLE)
    StatsView.model_validate(STATS_EXAMPLE)
    for model, example in ((OperationsView, EXAMPLE), (StatsView, STATS_EXAMPLE)):
        assert model.model_fields.keys() == example.keys()


async def test_a_minute_of_the_clock_set_back_is_counted_once(admin: httpx.AsyncClient, world: World) -> None:
    one = process(world)
    for step in (-60, 60, -60):
        pay(one)
        await one.write()
        world.clock._at += timedelta(seconds=step)
        await one.write()
    world.clock._at += timedelta(seconds=60)
    assert (await ask(admin))["payments"]["count"] == 3


def work(at: MinuteRecorder, worker: str, done: int = 0, failing: int = 0, next_s: float = 0.2) -> None:
    outcome = "failed" if failing else "done" if done else "idle"
    at.count("worker.round", 1, {"worker": worker, "outcome": outcome})
    at.count("worker.done", done, {"worker": worker})
    at.observe("worker.failing", failing, {"worker": worker})
    at.observe("worker.next_s", next_s, {"worker": worker})


async def test_workers_say_what_they_did_and_whether_they_fail_or_are_late(
    admin: httpx.AsyncClient, world: World
) -> None:
    one, other = process(world, "worker"), process(world, "worker")
    work(one, "resolve", done=3)
    work(one, "purge", next_s=60)
    world.clock.advance(1)
    work(other, "resolve", failing=4, next_s=8)
    other.observe("worker.latency", 100.0, {"worker": "resolve"})
    for each in (one, other):
        await each.write()
    world.clock.advance(9)

    purge, resolve = (await ask(admin))["workers"]

    assert resolve["rounds"] == {"done": 1, "idle": 0, "failed": 1}
    assert (resolve["name"], resolve["processes"], resolve["done"], resolve["failing"]) == ("resolve", 2, 3, 4)
    assert (resolve["last_s"], resolve["late_s"], resolve["latency"]["count"]) == (9, 9.8, 1)
    assert (purge["name"], purge["processes"], purge["last_s"], purge["late_s"]) == ("purge", 1, 10, 0)


async def test_a_worker_that_nobody_runs_any_more_is_named_and_has_no_process(
    admin: httpx.AsyncClient, world: World
) -> None:
    gone = process(world, "worker")
    work(gone, "resolve", failing=2)
    await gone.write()
    world.clock.advance(100)
    (resolve,) = (await ask(admin))["workers"]
    assert (resolve["processes"], resolve["failing"], resolve["late_s"], resolve["last_s"]) == (0, 0, None, 100)


async def test_the_audit_chain_and_transfers_that_were_put_off_are_told(admin: httpx.AsyncClient, world: World) -> None:
    worker = process(world, "worker")
    worker.gauge("audit.unsealed", 5, {})
    worker.gauge("audit.oldest_s", 1.25, {})
    worker.gauge("audit.head", 900, {})
    worker.count("transfer.retried", 2, {"kind": "deposit"})
    await worker.write()
    said = await ask(admin)
    assert said["audit"] == {"unsealed": 5, "oldest_s": 1.25, "head": 900, "age_s": 0}
    assert said["transfers"]["retried"] == 2


async def test_minutes_have_latencies_as_far_back_as_the_window_goes(admin: httpx.AsyncClient, world: World) -> None:
    one = process(world)
    for _ in range(8):
        await one.write()
        pay(one, ms=10.0)
        world.clock.advance(60)
        await one.write()
    world.clock.advance(-1)
    shown = [minute["p95_ms"] is not None for minute in (await ask(admin))["minutes"]]
    assert shown == [False] * 25 + [True] * 5
    last = (await ask(admin, window="15m"))["minutes"][-8:]
    assert all(abs(minute["own_p95_ms"] - 5) <= 0.1 for minute in last)
