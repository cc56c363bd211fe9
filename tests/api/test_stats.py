"""A merchant's figures over HTTP: what is counted, by which rule, for whom."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cleartill.domain.merchant import DEMO_ADMIN_KEY, DEMO_MERCHANT_ID
from cleartill.domain.outcome import Declined, Unknown
from fakes import OTHER_API_KEY, OTHER_MERCHANT_ID, WRITE_ONLY_KEY, World
from fakes.requests import CHARGE, charge

STATS = "/api/v1/stats"
NOTHING = {"payments": 0, "approved": 0, "declined": 0, "authorization_rate": None, "refunds": 0, "money": []}


async def pay(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/payments/process", json=charge(**changes))
    found: dict[str, Any] = answer.json()
    return found


async def ask(client: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    answer = await client.get(STATS, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_of_nothing_every_point_is_empty(client: httpx.AsyncClient) -> None:
    said = await ask(client)
    assert {name: said[name] for name in NOTHING} == NOTHING
    assert (said["window"], said["step"], said["by_status"], said["declines"]) == ("24h", "hour", {}, [])
    assert said["since"] == "2026-01-14T12:00:00.000000Z"
    assert said["until"] == "2026-01-15T12:00:00.000000Z"
    assert len(said["points"]) == 24
    assert all({**point, "at": ""} == {**NOTHING, "at": ""} for point in said["points"])


async def test_money_by_currency_and_what_is_left_of_it(client: httpx.AsyncClient, world: World) -> None:
    first = await pay(client)
    await pay(client, amount=500, currency="JPY")
    assert (await client.post(f"/api/v1/payments/{first['id']}/refund", json={"amount": "10.00"})).status_code == 201
    world.clock.advance(1)

    said = await ask(client)

    assert said["money"] == [
        {
            "currency": "JPY", "captures": 1, "amount_captured": 500, "amount_captured_minor": 500, "refunds": 0,
            "amount_refunded": 0, "amount_refunded_minor": 0, "amount": 500, "amount_minor": 500,
        },
        {
            "currency": "USD", "captures": 1, "amount_captured": 99.99, "amount_captured_minor": 9999, "refunds": 1,
            "amount_refunded": 10.0, "amount_refunded_minor": 1000, "amount": 89.99, "amount_minor": 8999,
        },
    ]  # fmt: skip
    assert said["points"][-1]["money"] == said["money"]
    assert said["by_status"] == {"captured": 1, "partially_refunded": 1}


async def test_the_authorization_rate_is_of_clear_answers(client: httpx.AsyncClient, world: World) -> None:
    """Doubt, and what was not sent, say nothing about issuers."""
    await pay(client)
    world.bank.answers(Declined("do_not_honor", "05"), Declined("insufficient_funds", "51"), Unknown("timeout"))
    for _ in range(3):
        await pay(client)
    await client.post("/api/v1/payments", json=CHARGE, headers={"Idempotency-Key": "pending"})
    world.bank.answers(Declined("provider_unavailable"))
    await pay(client)
    world.clock.advance(1)

    said = await ask(client)

    assert (said["payments"], said["approved"], said["declined"]) == (6, 1, 2)
    assert said["authorization_rate"] == 0.3333
    assert said["declines"] == [
        {"code": "do_not_honor", "category": "soft", "count": 1, "share": 0.5},
        {"code": "insufficient_funds", "category": "soft", "count": 1, "share": 0.5},
    ]
    assert said["by_status"] == {"captured": 1, "failed": 3, "in_doubt": 1, "pending": 1}


@pytest.mark.parametrize(
    ("window", "step", "points"),
    [("1h", "minute", 60), ("24h", "hour", 24), ("7d", "hour", 168), ("30d", "hour", 720)],
)
async def test_each_window_begins_where_it_says(
    client: httpx.AsyncClient, world: World, window: str, step: str, points: int
) -> None:
    await pay(client)
    length = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
    world.clock.advance(length[window].total_seconds())
    said = await ask(client, window=window)
    assert (said["payments"], said["step"], len(said["points"])) == (1, step, points)
    assert said["points"][0]["payments"] == 1

    world.clock.advance(0.001)
    said = await ask(client, window=window)
    assert (said["payments"], len(said["points"])) == (0, points + 1)


async def test_minutes_of_a_day(client: httpx.AsyncClient, world: World) -> None:
    await pay(client)
    world.clock.advance(61)
    said = await ask(client, window="24h", step="minute")
    assert (said["step"], len(said["points"])) == ("minute", 1441)
    assert [point["at"] for point in said["points"] if point["payments"]] == ["2026-01-15T12:00:00.000000Z"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"window": "25h"}, "window"),
        ({"window": ""}, "window"),
        ({"window": "24H"}, "window"),
        ({"window": "-1h"}, "window"),
        ({"step": "second"}, "step"),
        ({"window": "7d", "step": "minute"}, "step"),
        ({"window": "30d", "step": "minute"}, "step"),
        ({"merchant_id": "a b"}, "merchant_id"),
        ({"since": "2026-01-01T00:00:00Z"}, "since"),
    ],
)
async def test_what_makes_no_sense_is_422(client: httpx.AsyncClient, asked: dict[str, str], field: str) -> None:
    answer = await client.get(STATS, params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_query")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_window_sent_twice_is_422(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{STATS}?window=1h&window=24h")).status_code == 422


async def test_more_than_can_be_counted_is_refused_and_never_half_counted(
    client: httpx.AsyncClient, world: World
) -> None:
    world.stats.most = 1
    for _ in range(2):
        await pay(client)
    world.clock.advance(1)
    answer = await client.get(STATS)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "window")


async def test_another_merchants_are_his_own(client: httpx.AsyncClient, world: World) -> None:
    await pay(client)
    world.clock.advance(1)
    theirs = {"Authorization": f"Bearer {OTHER_API_KEY}"}
    assert (await client.get(STATS, headers=theirs)).json()["payments"] == 0
    named = await client.get(STATS, params={"merchant_id": DEMO_MERCHANT_ID}, headers=theirs)
    nobody = await client.get(STATS, params={"merchant_id": "merchant_nobody"}, headers=theirs)
    for answer in (named, nobody):
        assert answer.status_code == 404
    volatile = ("request_id", "trace_id")
    assert {n: v for n, v in named.json().items() if n not in volatile} == {
        n: v for n, v in nobody.json().items() if n not in volatile
    }
    own = await client.get(STATS, params={"merchant_id": OTHER_MERCHANT_ID}, headers=theirs)
    assert own.json()["merchant_id"] == OTHER_MERCHANT_ID


async def test_an_admin_may_name_any_that_is_there(client: httpx.AsyncClient, world: World) -> None:
    await pay(client)
    world.clock.advance(1)
    admins = {"Authorization": f"Bearer {DEMO_ADMIN_KEY}"}
    said = await client.get(STATS, params={"merchant_id": DEMO_MERCHANT_ID}, headers=admins)
    assert (said.json()["merchant_id"], said.json()["payments"]) == (DEMO_MERCHANT_ID, 1)
    nobody = await client.get(STATS, params={"merchant_id": "merchant_nobody"}, headers=admins)
    assert nobody.status_code == 404


async def test_it_needs_the_scope(client: httpx.AsyncClient) -> None:
    answer = await client.get(STATS, headers={"Authorization": f"Bearer {WRITE_ONLY_KEY}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_books_that_are_away_are_503_and_the_next_question_is_asked_anew(
    client: httpx.AsyncClient, world: World
) -> None:
    world.stats.away = True
    assert (await client.get(STATS)).status_code == 503
    world.stats.away = False
    assert (await client.get(STATS)).status_code == 200


async def test_who_asks_at_once_asks_once_and_a_dear_answer_is_kept(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, slow = world.stats.tallies, asyncio.Event()

    async def half_a_second(*asked: Any) -> Any:
        await slow.wait()
        world.clock.advance(0.5)
        return await counted(*asked)

    monkeypatch.setattr(world.stats, "tallies", half_a_second)
    asking = [asyncio.create_task(client.get(STATS)) for _ in range(5)]
    await asyncio.sleep(0)
    slow.set()
    assert {(await one).status_code for one in asking} == {200}
    assert world.stats.asked == 1

    world.clock.advance(9.9)  # twenty times half a second are ten
    await client.get(STATS)
    assert world.stats.asked == 1
    world.clock.advance(0.2)
    await client.get(STATS)
    assert world.stats.asked == 2
    await client.get(STATS, params={"window": "7d"})
    assert world.stats.asked == 3
