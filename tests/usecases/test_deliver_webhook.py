"""Delivering: each endpoint in a lane of its own, a bounded number at once, at least once."""

import asyncio

import pytest

from cleartill.domain.errors import BooksUnavailable
from cleartill.domain.events import PaymentCaptured
from cleartill.domain.merchant import DEMO_MERCHANT_ID
from cleartill.domain.webhook import DeliveryStatus, Endpoint, Heard
from cleartill.ports import DeliveryQuery, Lane, OutboxRow
from cleartill.usecases.add_endpoint import add_endpoint
from cleartill.usecases.change_endpoint import change_endpoint
from cleartill.usecases.deliver_webhook import IN_FLIGHT, START, WIDEST, UnderWay, deliver_webhook
from cleartill.usecases.rotate_keys import rotate_keys
from cleartill.usecases.rotate_secret import rotate_secret
from cleartill.usecases.send_test import send_test
from fakes import World
from fakes.steps import ORIGIN
from usecases.conftest import Call

DOWN = Heard(None, "timeout", 10_000.0)
LATE = Heard(200, None, 4_000.0)


async def add(world: World, url: str = "https://shop.example/", *types: str) -> Endpoint:
    wanted = types or ("payment.captured",)
    endpoint, _ = await add_endpoint(
        world.till, merchant_id=DEMO_MERCHANT_ID, url=url, event_types=wanted, origin=ORIGIN
    )
    return endpoint


async def happen(world: World, number: int = 1) -> None:
    """So many captures, and nothing else."""
    for _ in range(number):
        id = f"pay_{len(world.memory.outbox)}"
        fact = PaymentCaptured(DEMO_MERCHANT_ID, id, 1, world.clock.now(), {"id": id})
        event = (str(fact.cloud_event(ORIGIN.traceparent)).replace("'", '"')).encode()
        world.memory.outbox[DEMO_MERCHANT_ID, id, 1] = OutboxRow(*(DEMO_MERCHANT_ID, id, 1), event, fact.type, None)
    await world.webhooks.fan_out(1000)


async def rounds(world: World, under_way: UnderWay | None = None, number: int = 4) -> UnderWay:
    under_way = under_way or UnderWay()
    for _ in range(number):
        await deliver_webhook(world.till, "worker", under_way)
    return under_way


async def statuses(world: World, endpoint: Endpoint) -> list[DeliveryStatus]:
    page = await world.webhooks.deliveries(DEMO_MERCHANT_ID, endpoint.id, DeliveryQuery(limit=10_000))
    return [delivery.status for delivery in page.items]


# ── one by one ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_payments_events_are_told_with_their_numbers(world: World, pay: Call) -> None:
    endpoint = await add(world, "https://shop.example/", "payment.created", "payment.captured")
    await pay()
    await world.webhooks.fan_out(100)
    await rounds(world)
    assert await statuses(world, endpoint) == [DeliveryStatus.DELIVERED] * 2
    assert sorted(b'"sequence": 1' in letter.body for letter in world.courier.letters) == [False, True]
    for letter in world.courier.letters:
        assert letter.id.encode() in letter.body
        assert letter.traceparent.split("-")[1] == ORIGIN.trace_id, "the trace goes on at the receiver's"
    assert [name for name, *_ in world.watch.seen].count("webhook.delivered") == 2


async def test_a_first_try_is_in_time_or_not_and_a_second_is_no_first_one(world: World) -> None:
    endpoint = await add(world)
    world.courier.answers[endpoint.url] = DOWN
    for late_s in (60, 61):
        await happen(world)
        world.clock.advance(late_s)
        await rounds(world)
        world.clock.advance(3600)
        await rounds(world)
    firsts = [tags for name, _, tags in world.watch.seen if name == "webhook.first"]
    assert firsts == [{"in_time": "yes"}, {"in_time": "no"}]
    assert [name for name, *_ in world.watch.seen].count("webhook.failed") > 2


async def test_a_quiet_round_does_nothing(world: World) -> None:
    assert await deliver_webhook(world.till, "worker", UnderWay()) == 0
    await add(world)
    assert await deliver_webhook(world.till, "worker", UnderWay()) == 0


async def test_failures_climb_the_ladder(world: World) -> None:
    endpoint = await add(world)
    world.courier.answers[endpoint.url] = DOWN
    await happen(world)
    for waited_s in (0, 5.6, 331, 1981, 7921, 19_801, 39_601, 55_441, 79_201, 95_041):
        world.clock.advance(waited_s - 1)
        before = len(world.courier.letters)
        if waited_s:
            world.clock.advance(-waited_s * 0.2)
            await rounds(world)
            assert len(world.courier.letters) == before, "not before its time"
            world.clock.advance(waited_s * 0.2)
        world.clock.advance(1)
        await rounds(world)
        assert len(world.courier.letters) == before + 1
    assert await statuses(world, endpoint) == [DeliveryStatus.FAILED]
    assert len({letter.id for letter in world.courier.letters}) == 1, "the message keeps its id"
    failed = [tags for name, _, tags in world.watch.seen if name == "webhook.failed"]
    assert failed == [{"reason": "timeout"}] * 10


async def test_a_gone_receiver_is_not_told_again(world: World) -> None:
    endpoint = await add(world)
    world.courier.answers[endpoint.url] = Heard(410, None, 1.0)
    await happen(world, 40)
    await rounds(world)
    told = len(world.courier.letters)
    await rounds(world)
    assert told == len(world.courier.letters) <= START
    assert ("webhook.disabled", 1, {"reason": "gone"}) in world.watch.seen


async def test_a_secret_that_cannot_be_opened_hurts_nobody_else(world: World) -> None:
    good, bad = await add(world), await add(world, "https://other.example/")

    def lost(sealed: bytes, merchant_id: str, owner_id: str) -> object:
        if owner_id == bad.id:
            raise BooksUnavailable("stands for the vault's error")
        return opened(sealed, merchant_id, owner_id)

    opened, world.vault.open_secret = world.vault.open_secret, lost  # type: ignore[method-assign,assignment]
    await happen(world, 3)
    await rounds(world)
    assert await statuses(world, good) == [DeliveryStatus.DELIVERED] * 3
    assert world.courier.sent_to(bad.url) == []
    assert ("webhook.failed", 1, {"reason": "secret"}) in world.watch.seen


# ── crashes and absent parts ─────────────────────────────────────────────────────────────────────────────────────────


async def test_killed_between_sending_and_writing_down_it_is_sent_again(world: World) -> None:
    endpoint = await add(world)
    await happen(world, 3)
    dead = UnderWay()
    await deliver_webhook(world.till, "dead", dead)
    assert len(world.courier.letters) == 3
    await rounds(world)
    assert len(world.courier.letters) == 3, "while the claim lasts it is nobody else's"
    world.clock.advance(31)
    await rounds(world)
    assert len(world.courier.letters) == 6
    assert await statuses(world, endpoint) == [DeliveryStatus.DELIVERED] * 3
    await rounds(world, dead)  # it thaws
    told = [await world.webhooks.delivery(*at) for at in world.webhooks.waiting]
    assert [one.delivery.attempts for one in told] == [1, 1, 1]


async def test_what_cannot_be_written_down_now_is_written_down_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, under_way = await add(world), UnderWay()
    await happen(world, 3)
    await deliver_webhook(world.till, "worker", under_way)

    async def away(tried: object) -> None:
        raise BooksUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.webhooks, "settle", away)
        for _ in range(2):
            with pytest.raises(BooksUnavailable):
                await deliver_webhook(world.till, "worker", under_way)
    await rounds(world, under_way)
    assert await statuses(world, endpoint) == [DeliveryStatus.DELIVERED] * 3
    assert len(world.courier.letters) == 3
    assert under_way.ended == [], "what is written down is let go of"


async def test_told_to_stop_it_finishes_what_it_has_begun(world: World) -> None:
    endpoint, gate, under_way = await add(world), asyncio.Event(), UnderWay()
    world.courier.answers[endpoint.url] = gate
    await happen(world, 2)
    await deliver_webhook(world.till, "worker", under_way)
    finishing = asyncio.create_task(under_way.finish(world.till))
    await asyncio.sleep(0)
    assert not finishing.done()
    gate.set()
    await finishing
    assert await statuses(world, endpoint) == [DeliveryStatus.DELIVERED] * 2


# ── fairness ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_that_hangs_delays_nobody_else(world: World) -> None:
    """By counting: while one receiver answers nothing at all, the others get everything."""
    hanging = await add(world, "https://hanging.example/")
    others = [await add(world, f"https://shop{number}.example/") for number in range(5)]
    world.courier.answers[hanging.url] = gate = asyncio.Event()
    await happen(world, 100)
    under_way = await rounds(world, number=20)
    assert len(world.courier.sent_to(hanging.url)) == START
    for other in others:
        assert await statuses(world, other) == [DeliveryStatus.DELIVERED] * 100
    gate.set()
    await under_way.finish(world.till)


async def test_many_that_are_dead_leave_half_of_the_places(world: World) -> None:
    """More of them than there are places, all known to fail: whoever answers still has his."""
    dead = [Lane(("m", f"we_{number:05}"), True, True) for number in range(2 * IN_FLIGHT)]
    well = [Lane(("m", "we_z"), True, False)]
    shares = dict(UnderWay().shares(dead + well))
    assert shares[well[0].place] == START
    assert sum(room for place, room in shares.items() if place != well[0].place) == IN_FLIGHT // 2
    assert set(shares.values()) == {1, START}


async def test_a_lane_grows_while_all_is_well_and_shrinks_when_it_is_not(world: World) -> None:
    endpoint, under_way = await add(world), UnderWay()
    place = (DEMO_MERCHANT_ID, endpoint.id)
    await happen(world, 300)
    await rounds(world, under_way, 30)
    assert under_way.widths[place] == WIDEST
    assert await statuses(world, endpoint) == [DeliveryStatus.DELIVERED] * 300
    for heard, width, troubled in ((LATE, START, True), (DOWN, 1, True)):
        world.courier.answers[endpoint.url] = heard
        await happen(world)
        await rounds(world, under_way)
        assert (under_way.widths[place], place in under_way.troubled) == (width, troubled)
    assert under_way.shares([Lane(place, True, True)]) == [(place, 1)]
    assert under_way.shares([Lane(place, False, True)]) == []


async def test_no_more_at_once_than_there_are_places(world: World) -> None:
    under_way = UnderWay()
    lanes = [Lane(("m", f"we_{number:05}"), True, False) for number in range(IN_FLIGHT)]
    shares = under_way.shares(lanes)
    assert sum(room for _, room in shares) == IN_FLIGHT
    assert {room for _, room in shares} == {START}


# ── what people do with endpoints ────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_rotation_both_secrets_sign_for_a_day(world: World) -> None:
    endpoint, first = await add_endpoint(
        world.till, merchant_id=DEMO_MERCHANT_ID, url="https://shop.example/", event_types=("payment.captured",),
        origin=ORIGIN,
    )  # fmt: skip
    _, second = await rotate_secret(world.till, DEMO_MERCHANT_ID, endpoint.id, ORIGIN)
    await happen(world)
    await rounds(world)
    world.clock.advance(24 * 3600 + 1)
    await happen(world)
    await rounds(world)
    told = [[secret.reveal() for secret in letter.secrets] for letter in world.courier.letters]
    assert told == [[second.reveal(), first.reveal()], [second.reveal()]]
    assert first.reveal().startswith("whsec_")


async def test_rotating_the_key_ring_takes_webhook_secrets_along(world: World) -> None:
    endpoint = await add(world, "https://shop.example/", "payment.captured")
    await rotate_secret(world.till, DEMO_MERCHANT_ID, endpoint.id, ORIGIN)
    before = await world.webhooks.get(DEMO_MERCHANT_ID, endpoint.id)
    world.vault.key_version = 2
    await rotate_keys(world.till)
    now = await world.webhooks.get(DEMO_MERCHANT_ID, endpoint.id)
    assert now.key_version == 2
    assert now.secret != before.secret
    owner = (DEMO_MERCHANT_ID, endpoint.id)
    assert world.vault.open_secret(now.secret, *owner) == world.vault.open_secret(before.secret, *owner)
    assert now.old_secret is not None
    assert before.old_secret is not None
    assert world.vault.open_secret(now.old_secret, *owner) == world.vault.open_secret(before.old_secret, *owner)


async def test_a_test_is_tried_once_whatever_the_endpoint_wants(world: World) -> None:
    endpoint = await add(world, "https://shop.example/", "refund.failed")
    world.courier.answers[endpoint.url] = DOWN
    sent = await send_test(world.till, DEMO_MERCHANT_ID, endpoint.id, ORIGIN)
    await rounds(world)
    world.clock.advance(100_000)
    await rounds(world)
    assert len(world.courier.letters) == 1
    assert (await world.webhooks.delivery(DEMO_MERCHANT_ID, sent.id)).delivery.status is DeliveryStatus.FAILED


async def test_what_waits_goes_to_the_new_address(world: World) -> None:
    endpoint = await add(world, "https://old.example/", "payment.captured")
    await happen(world)
    await change_endpoint(world.till, DEMO_MERCHANT_ID, endpoint.id, {"url": "https://new.example/"}, ORIGIN)
    await rounds(world)
    assert [letter.url for letter in world.courier.letters] == ["https://new.example/"]
