"""A money operation belongs to the app: callers who hang up change nothing, and the end waits for it."""

import asyncio

import httpx
from fastapi import FastAPI

from cleartill.api.desk import Desk
from fakes import World
from fakes.requests import CHARGE

PROCESS = "/api/v1/payments/process"


async def begun(client: httpx.AsyncClient, world: World) -> "asyncio.Task[httpx.Response]":
    """A payment that the bank has been asked about and has not answered."""
    world.bank.hold = asyncio.Event()
    request = asyncio.create_task(client.post(PROCESS, json=CHARGE))
    await world.bank.reached.wait()
    return request


async def test_a_cancelled_request_goes_on(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    request = await begun(client, world)
    request.cancel()
    await asyncio.wait([request])
    assert request.cancelled()
    [payment] = world.memory.payments.values()
    assert payment.status == "processing"

    desk: Desk = app.state.desk
    [operation] = desk.under_way
    assert world.bank.hold is not None
    world.bank.hold.set()
    await operation
    [payment] = world.memory.payments.values()
    assert payment.status == "captured"
    assert desk.under_way == set()


async def test_the_end_waits_for_what_is_under_way(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    desk: Desk = app.state.desk
    async with app.router.lifespan_context(app):
        request = await begun(client, world)
        assert world.bank.hold is not None
        asyncio.get_running_loop().call_soon(world.bank.hold.set)
    assert desk.under_way == set()
    assert (await request).json()["status"] == "captured"


async def test_the_end_cuts_off_what_takes_too_long_in_doubt(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    async with app.router.lifespan_context(app):
        request = await begun(client, world)
    # It is written by now: after the lifespan's end the writer closes.
    [payment] = world.memory.payments.values()
    assert payment.status == "in_doubt"
    [attempt] = world.memory.attempts.values()
    assert (attempt.status, attempt.reason) == ("open", "cancelled")
    await asyncio.wait([request])


async def test_leaving_is_unready_and_serves_each_caller_once_more(app: FastAPI, client: httpx.AsyncClient) -> None:
    """Till the balancer has noticed; and no connection is kept for the moment when idle ones are closed."""
    before = await client.get("/health/ready")
    assert (before.status_code, before.headers.get("connection")) == (200, None)
    app.state.desk.leave(25)
    ready, paid = await client.get("/health/ready"), await client.post(PROCESS, json=CHARGE)
    read = await client.get(f"/api/v1/payments/{paid.json()['id']}")
    refused = await client.post(PROCESS, json={})
    assert [answer.status_code for answer in (ready, paid, read, refused)] == [503, 201, 200, 422]
    assert {answer.headers.get("connection") for answer in (ready, paid, read, refused)} == {"close"}


async def test_the_end_is_counted_from_the_signal(world: World) -> None:
    """However long the server has taken before: then there is no time left for a payment that is under way."""
    desk, never = Desk(world.till, "test", "0.1.0"), asyncio.Event()
    under_way = asyncio.ensure_future(never.wait())
    desk.under_way.add(under_way)  # type: ignore[arg-type]
    desk.leave(25)
    world.clock.advance(25)
    await desk.drain(3600)
    assert under_way.cancelled()


async def test_draining_is_unready_alive_and_begins_nothing(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    payment = (await client.post(PROCESS, json=CHARGE)).json()["id"]
    rows = world.memory.rows
    app.state.desk.leave(25)
    app.state.desk.draining = True
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get(f"/api/v1/payments/{payment}")).status_code == 200
    for path in (PROCESS, f"/api/v1/payments/{payment}/refund"):
        answer = await client.post(path, json=CHARGE if path == PROCESS else {})
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        assert answer.headers["retry-after"] == "1"
    assert world.memory.rows == rows
