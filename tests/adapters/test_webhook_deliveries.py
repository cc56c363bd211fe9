"""Deliveries on a real PostgreSQL, to real receivers on this machine: several workers at once, and receivers of all
kinds beside each other."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from standardwebhooks import Webhook

from cleartill.adapters.https import GuardedHttps
from cleartill.adapters.standard_webhooks import StandardWebhooks
from cleartill.demo import seed_demo
from cleartill.domain.card import Secret
from cleartill.domain.webhook import DeliveryStatus, Endpoint, Heard
from cleartill.embedded.scratch import free_port
from cleartill.ports import DeliveryQuery, Letter, Till
from cleartill.usecases.add_endpoint import add_endpoint
from cleartill.usecases.deliver_webhook import START, UnderWay, deliver_webhook
from fakes import World
from real import MERCHANT, Room, captured, open_room, origin, rows, till_on
from real.orders import id_of, pay

HURRIED_S = 1.5
"""In place of ten seconds, for those who hang."""


class Receiver:
    """Answers as `said` says; None: never. Counts messages by their id."""

    def __init__(self, said: bytes | None) -> None:
        self.port, self.said = free_port(), said
        self.got: Counter[str] = Counter()
        self.bodies: list[tuple[dict[str, str], bytes]] = []
        self.most = self.now = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                self.bodies.append((headers, await reader.readexactly(int(headers["Content-Length"]))))
                self.got[headers["webhook-id"]] += 1
                self.now += 1
                self.most = max(self.most, self.now)
                if self.said is None:
                    await reader.read()  # until its caller gives up
                    self.now -= 1
                    return
                await asyncio.sleep(0)
                writer.write(self.said)
                await writer.drain()
                self.now -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: int, headers: str = "", body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status} x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def receiving(said: bytes | None = answer(200, body=b"thanks")) -> AsyncIterator[Receiver]:
    made = Receiver(said)
    server = await asyncio.start_server(made.serve, "127.0.0.1", made.port)
    try:
        yield made
    finally:
        server.close()


@pytest.fixture
async def till(room: Room, world: World) -> AsyncIterator[Till]:
    courier = StandardWebhooks(GuardedHttps(loopback=True), timeout_s=HURRIED_S)
    made = replace(till_on(room, world), courier=courier)
    await seed_demo(made)
    yield made
    await courier.close()


async def add(till: Till, url: str, *types: str) -> tuple[Endpoint, Secret]:
    wanted = types or ("payment.captured",)
    return await add_endpoint(till, merchant_id=MERCHANT, url=url, event_types=wanted, origin=origin())


async def happen(till: Till, number: int) -> None:
    await asyncio.gather(*(captured(till.books) for _ in range(number)))
    while await till.webhooks.fan_out(500):
        pass


async def until_quiet(till: Till, under_way: UnderWay | None = None) -> None:
    under_way = under_way or UnderWay()
    while await deliver_webhook(till, "worker", under_way):
        pass


async def statuses(till: Till, endpoint: Endpoint) -> Counter[DeliveryStatus]:
    page = await till.webhooks.deliveries(MERCHANT, endpoint.id, DeliveryQuery(limit=1000))
    return Counter(delivery.status for delivery in page.items)


async def test_a_payment_is_told_signed_and_in_its_timeline(till: Till) -> None:
    async with receiving() as receiver:
        endpoint, secret = await add(till, receiver.url, "payment.created", "payment.captured")
        payment_id = id_of(await pay(till))
        while await till.webhooks.fan_out(500):
            pass
        await until_quiet(till)
    told = [Webhook(secret.reveal()).verify(body, headers) for headers, body in receiver.bodies]
    assert sorted((event["type"], event["sequence"]) for event in told) == [
        ("payment.captured", 2),
        ("payment.created", 1),
    ]
    assert {event["subject"] for event in told} == {payment_id}
    steps = await till.reads.timeline(MERCHANT, payment_id)
    webhooks = [step for step in steps if step.name.endswith("→ webhook")]
    assert sorted(step.name for step in webhooks) == ["payment.captured → webhook", "payment.created → webhook"]
    for step in webhooks:
        assert (step.outcome, step.details["status"], step.details["endpoint_id"]) == ("delivered", 200, endpoint.id)


async def test_the_event_is_the_one_on_kafka(till: Till, world: World) -> None:
    async with receiving() as receiver:
        await add(till, receiver.url)
        await happen(till, 1)
        await until_quiet(till)
    lease = await till.backlog.lease_outbox("a", 16)
    published = [json.loads(row.event) for row in await till.backlog.unpublished(lease, 500)]
    assert json.loads(receiver.bodies[0][1]) in published


async def test_two_workers_at_once_tell_each_event_once(till: Till, database_url: str, world: World) -> None:
    async with receiving() as receiver, open_room(database_url) as other_room:
        other = replace(till_on(other_room, world), courier=till.courier)
        endpoint, _ = await add(till, receiver.url)
        await asyncio.gather(*(captured(till.books) for _ in range(200)))

        async def work(mine: Till) -> None:
            under_way = UnderWay()
            for _ in range(60):
                await mine.webhooks.fan_out(7)
                await deliver_webhook(mine, "worker", under_way)
            await under_way.finish(mine)

        await asyncio.gather(work(till), work(other), work(till))
        assert await statuses(till, endpoint) == {DeliveryStatus.DELIVERED: 200}
    assert len(receiver.got) == 200
    assert set(receiver.got.values()) == {1}


async def test_receivers_of_all_kinds_beside_each_other(till: Till) -> None:
    """By counting: whoever answers has got everything while the others have still not failed for good."""
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 65_536
    async with (
        receiving() as well,
        receiving(None) as hanging,
        receiving(answer(302, f"Location: http://127.0.0.1:{free_port()}/\r\n")) as redirecting,
        receiving(answer(410)) as gone,
        receiving(answer(503, "Retry-After: 3600\r\n")) as busy,
        receiving(huge) as talkative,
    ):
        kinds = {"well": well, "hanging": hanging, "redirecting": redirecting, "gone": gone, "busy": busy}
        endpoints = {name: (await add(till, one.url))[0] for name, one in (kinds | {"huge": talkative}).items()}
        endpoints["dead"], _ = await add(till, f"http://127.0.0.1:{free_port()}/")
        await happen(till, 40)
        under_way = UnderWay()
        while len(well.got) < 40 or len(talkative.got) < 40:
            await deliver_webhook(till, "worker", under_way)
        assert hanging.most <= START
        await under_way.finish(till)

        assert (await statuses(till, endpoints["well"]))[DeliveryStatus.DELIVERED] == 40
        assert (await statuses(till, endpoints["huge"]))[DeliveryStatus.DELIVERED] == 40
        for name in ("hanging", "redirecting", "busy", "dead"):
            assert (await statuses(till, endpoints[name])) == {DeliveryStatus.PENDING: 40}, name
        disabled = await till.webhooks.get(MERCHANT, endpoints["gone"].id)
        assert (disabled.disabled_reason, disabled.seq) == ("gone", 2)
        assert sum(gone.got.values()) <= START
        why: dict[str, set[tuple[int | None, str | None]]] = {}
        for name in ("hanging", "redirecting", "busy", "dead"):
            page = await till.webhooks.deliveries(MERCHANT, endpoints[name].id, DeliveryQuery(limit=100))
            told = [await till.webhooks.delivery(MERCHANT, delivery.id) for delivery in page.items]
            why[name] = {(one.heard.status, one.heard.error) for each in told for one in each.tries}
        assert why == {
            "hanging": {(None, "timeout")},
            "redirecting": {(302, "redirect")},
            "busy": {(503, None)},
            "dead": {(None, "connect")},
        }


async def test_retry_after_puts_the_next_try_off(till: Till, database_url: str) -> None:
    async with receiving(answer(503, "Retry-After: 3600\r\n")) as busy:
        await add(till, busy.url)
        await happen(till, 1)
        await until_quiet(till)
    ((seconds,),) = rows(database_url, "SELECT extract(epoch FROM next_at - now())::float8 FROM webhook_deliveries")
    assert 3500 < seconds < 4000


async def test_an_endpoint_that_was_disabled_is_told_of_by_an_event(till: Till, database_url: str) -> None:
    async with receiving(answer(410)) as gone:
        endpoint, _ = await add(till, gone.url)
        await happen(till, 1)
        await until_quiet(till)
    found = rows(database_url, "SELECT type, seq, event FROM outbox WHERE subject_id = %s ORDER BY seq", endpoint.id)
    assert [(type, seq) for type, seq, _ in found] == [
        ("webhook_endpoint.created", 1),
        ("webhook_endpoint.disabled", 2),
    ]
    assert found[1][2]["data"]["disabled_reason"] == "gone"
    assert rows(database_url, "SELECT actor FROM audit_logs WHERE event = 'webhook_endpoint.disabled'") == [
        ("webhook.deliver",)
    ]


async def test_killed_between_sending_and_writing_down_it_is_told_again(till: Till, database_url: str) -> None:
    async with receiving() as receiver:
        endpoint, _ = await add(till, receiver.url)
        await happen(till, 5)
        dead = UnderWay()
        await deliver_webhook(till, "dead", dead)
        await asyncio.wait(dead.tasks)
        assert len(receiver.got) == 5
        await until_quiet(till)
        assert set(receiver.got.values()) == {1}, "its claim lasts"
        rows(database_url, "UPDATE webhook_deliveries SET next_at = now() WHERE claimed")
        await until_quiet(till)
        assert set(receiver.got.values()) == {2}, "the same message, under the same id"
        assert await statuses(till, endpoint) == {DeliveryStatus.DELIVERED: 5}
        await deliver_webhook(till, "dead", dead)
        assert rows(database_url, "SELECT count(*), max(number) FROM webhook_attempts") == [(5, 1)]


async def test_an_address_that_turned_inward_is_not_asked(till: Till) -> None:
    """Saved when it was let, and refused when something is sent."""
    async with receiving() as inside:
        endpoint, _ = await add(till, inside.url)
        await happen(till, 1)
        strict = StandardWebhooks(GuardedHttps(loopback=False))
        await until_quiet(replace(till, courier=strict))
        await strict.close()
        page = await till.webhooks.deliveries(MERCHANT, endpoint.id, DeliveryQuery())
        told = await till.webhooks.delivery(MERCHANT, page.items[0].id)
    assert [(one.heard.status, one.heard.error) for one in told.tries] == [(None, "forbidden_address")]
    assert inside.got == {}


async def test_without_an_endpoint_nothing_is_noted(till: Till, database_url: str) -> None:
    await captured(till.books)
    assert rows(database_url, "SELECT count(*) FROM webhook_wanted") == [(0,)]
    await add(till, "https://shop.example/", "refund.failed")
    await captured(till.books)
    assert rows(database_url, "SELECT count(*) FROM webhook_wanted") == [(0,)]
    await add(till, "https://shop.example/")
    await captured(till.books)
    assert rows(database_url, "SELECT count(*) FROM webhook_wanted") == [(1,)]


async def test_a_round_finds_its_way_by_indexes(till: Till, database_url: str) -> None:
    """However many deliveries are over, or wait for later: none of them is looked at."""
    for number in range(3):
        await add(till, f"https://shop{number}.example/")
    rows(
        database_url,
        """INSERT INTO webhook_deliveries
               (merchant_id, id, endpoint_id, event_id, type, subject_id, seq, event, next_at, status, delivered_at)
           SELECT e.merchant_id, 'dlv_' || e.id || n, e.id, 'evt_' || n, 't', 's', 1, '{}',
               now() + interval '1 hour', CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'delivered' END,
               CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
           FROM webhook_endpoints e, generate_series(1, 20000) n""",
    )
    rows(database_url, "ANALYZE webhook_deliveries")  # or what is known of it is an earlier test's
    await happen(till, 3)

    async def fetched() -> int:
        found = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'webhook_deliveries'"
        rows(database_url, "SELECT pg_stat_force_next_flush()")
        return int(rows(database_url, found)[0][0])

    class Nobody:
        async def send(self, letter: Letter) -> Heard:
            return Heard(200, None, 1.0)

    await till.webhooks.lanes(("", ""), 10)
    await asyncio.sleep(1.1)  # statistics are told once a second at most
    before = await fetched()
    await until_quiet(replace(till, courier=Nobody()))  # type: ignore[arg-type]
    await asyncio.sleep(1.1)
    await till.webhooks.lanes(("~", "~"), 10)
    assert await fetched() - before < 1000
