"""Health: every part named with its latency; degraded is 200, unable to take payments 503."""

import asyncio

import httpx
import pytest

from fakes import World
from fakes.requests import CHARGE

PARTS = {"database", "bank", "kafka", "redis", "outbox"}


async def test_all_is_well_and_no_key_is_asked(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    answer = await client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"], body["degraded"]) == (200, "ok", [])
    assert set(body["checks"]) == PARTS
    assert all(check["status"] == "up" and check["latency_ms"] >= 0 for check in body["checks"].values())
    assert body["checks"]["outbox"]["oldest_s"] == 0
    assert (body["version"], body["environment"]) == ("0.1.0", "test")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("away", "status", "said"),
    [
        ({"database"}, 503, "unavailable"),
        ({"bank"}, 503, "unavailable"),
        ({"kafka"}, 200, "degraded"),
        ({"redis"}, 200, "degraded"),
        ({"outbox"}, 200, "degraded"),
        ({"kafka", "redis"}, 200, "degraded"),
        ({"bank", "kafka"}, 503, "unavailable"),
        ({"database", "outbox", "bank", "redis", "kafka"}, 503, "unavailable"),
    ],
)
async def test_parts_away(client: httpx.AsyncClient, world: World, away: set[str], status: int, said: str) -> None:
    world.books.away = "database" in away
    world.reads.away = "outbox" in away
    world.bank.away = "bank" in away
    world.publisher.away = "kafka" in away
    world.redis_away = "redis" in away
    answer = await client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (status, said)
    assert set(body["degraded"]) == away
    assert {name for name, check in body["checks"].items() if check["status"] == "down"} == away


async def test_a_part_that_hangs_is_away(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleartill.api.health.PROBE_WITHIN_S", 0.001)

    async def hang() -> None:
        await asyncio.Event().wait()

    world.till.probes = {**world.till.probes, "redis": hang}
    assert (await client.get("/health")).json()["degraded"] == ["redis"]


async def test_parts_are_asked_at_once(client: httpx.AsyncClient, world: World) -> None:
    """Each waits for the other: one after the other would never end."""
    met = asyncio.Barrier(2)

    async def meet() -> None:
        await met.wait()

    world.till.probes = {"database": meet, "bank": meet}
    assert (await client.get("/health")).json()["status"] == "ok"


async def test_an_old_outbox_degrades(client: httpx.AsyncClient, world: World) -> None:
    await client.post("/api/v1/payments/process", json=CHARGE)
    world.clock.advance(59)
    assert (await client.get("/health")).json()["status"] == "ok"
    world.clock.advance(2)
    body = (await client.get("/health")).json()
    assert (body["status"], body["degraded"], body["checks"]["outbox"]["oldest_s"]) == ("degraded", ["outbox"], 61)


async def test_live_and_ready(client: httpx.AsyncClient, world: World) -> None:
    world.books.away = True
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/health/ready")).status_code == 200


async def test_however_many_ask_the_parts_are_asked_once_a_second(client: httpx.AsyncClient, world: World) -> None:
    asked: list[int] = []

    async def count() -> None:
        asked.append(1)

    world.till.probes = {**world.till.probes, "bank": count}
    await asyncio.gather(*(client.get("/health") for _ in range(20)))
    assert len(asked) == 1
    world.clock.advance(1.1)
    await client.get("/health")
    assert len(asked) == 2
