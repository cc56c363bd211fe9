"""What every Webhooks port must do with deliveries: one suite, on the fake and on PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.errors import EndpointDisabled, NotFound
from cleartill.domain.webhook import TEST, DeliveryStatus, Why, trial_event
from cleartill.ports import DeliveryQuery
from real import MERCHANT, captured
from real.hooks import ALL, DOWN, GONE, NOW, OK, add, all_of, claim, ready, take_on, tried
from real.house import House


@pytest.fixture(autouse=True)
async def _merchants(house: House) -> None:
    await take_on(house)


# ── claiming and settling ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_claimed_is_nobody_elses(house: House) -> None:
    made = await ready(house, 5)
    first, second = await claim(house, made, room=3), await claim(house, made, room=3)
    assert (len(first), len(second)) == (3, 2)
    assert len({parcel.id for parcel in first + second}) == 5
    assert await claim(house, made) == []


async def test_delivered_is_the_end_of_it(house: House) -> None:
    made = await ready(house)
    (parcel,) = await claim(house, made)
    assert await house.webhooks.settle([tried(parcel)]) == [(tried(parcel), None)]
    told = await house.webhooks.delivery(MERCHANT, parcel.id)
    assert (told.delivery.status, told.delivery.attempts) == (DeliveryStatus.DELIVERED, 1)
    assert told.delivery.delivered_at is not None
    assert [(one.number, one.at, one.heard) for one in told.tries] == [(1, NOW, OK)]
    assert told.event["id"] == parcel.event_id
    assert await claim(house, made) == []
    with pytest.raises(NotFound):
        await house.webhooks.delivery("merchant_9", parcel.id)


async def test_what_was_not_heard_comes_again_later(house: House) -> None:
    made = await ready(house)
    (parcel,) = await claim(house, made)
    await house.webhooks.settle([tried(parcel, DOWN)])
    assert await claim(house, made) == []  # in five seconds
    told = await house.webhooks.delivery(MERCHANT, parcel.id)
    assert (told.delivery.status, told.tries[0].heard.error) == (DeliveryStatus.PENDING, "timeout")
    assert told.delivery.next_at is not None
    assert (await house.webhooks.get(MERCHANT, made.id)).failing_since is not None
    assert [lane.failing for lane in await house.webhooks.lanes(*ALL)] == [True]

    sent_again = await house.webhooks.resend(MERCHANT, parcel.id)
    assert sent_again.status is DeliveryStatus.PENDING
    (again,) = await claim(house, made)
    assert (again.id, again.tries, again.epoch) == (parcel.id, 0, parcel.epoch + 1)
    await house.webhooks.settle([tried(again)])
    assert (await house.webhooks.get(MERCHANT, made.id)).failing_since is None
    assert [one.number for one in (await house.webhooks.delivery(MERCHANT, parcel.id)).tries] == [1, 2]


async def test_what_was_delivered_can_be_sent_again(house: House) -> None:
    made = await ready(house)
    (parcel,) = await claim(house, made)
    assert (await house.webhooks.resend(MERCHANT, parcel.id)).next_at is None  # it is being sent
    assert await claim(house, made) == []
    await house.webhooks.settle([tried(parcel)])
    again = await house.webhooks.resend(MERCHANT, parcel.id)
    assert (again.status, again.delivered_at) == (DeliveryStatus.PENDING, None)
    assert [one.id for one in await claim(house, made)] == [parcel.id]


async def test_a_thawed_worker_writes_nothing(house: House) -> None:
    made = await ready(house)
    (parcel,) = await claim(house, made)
    await house.webhooks.settle([tried(parcel, DOWN)])
    await house.webhooks.resend(MERCHANT, parcel.id)
    (newer,) = await claim(house, made)
    assert await house.webhooks.settle([tried(parcel)]) == []
    assert (await house.webhooks.delivery(MERCHANT, parcel.id)).delivery.attempts == 1
    assert len(await house.webhooks.settle([tried(newer)])) == 1
    assert await house.webhooks.settle([tried(newer)]) == []


async def test_gone_disables_once_with_an_event(house: House) -> None:
    made, other = await ready(house, 3), await add(house, event_types=("webhook_endpoint.disabled",))
    parcels = await claim(house, made, room=2)
    settled = await house.webhooks.settle([tried(parcel, GONE) for parcel in parcels])
    assert sorted(str(why) for _, why in settled) == ["None", "gone"]
    found = await house.webhooks.get(MERCHANT, made.id)
    assert (found.open, found.disabled_reason, found.seq) == (False, Why.GONE, 2)
    assert await claim(house, made) == []
    assert [lane.due for lane in await house.webhooks.lanes(*ALL) if lane.place[1] == made.id] == [False]
    with pytest.raises(EndpointDisabled):
        await house.webhooks.resend(MERCHANT, parcels[0].id)
    await house.webhooks.fan_out(100)
    assert await all_of(house, other) == [("webhook_endpoint.disabled", DeliveryStatus.PENDING)]


async def test_days_of_nothing_but_failure_disable(house: House) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=5, minutes=1)
    made, recent = await ready(house, 1, failing_since=long_ago), await ready(house)
    (parcel, other) = await claim(house, made, recent, room=1)
    settled = await house.webhooks.settle([tried(parcel, DOWN), tried(other, DOWN)])
    assert {one.parcel.endpoint_id: why for one, why in settled} == {made.id: Why.FAILING, recent.id: None}


async def test_a_test_that_fails_says_nothing_about_the_endpoint(house: House) -> None:
    made = await add(house, event_types=("payment.captured",))
    sent = await house.webhooks.post(made, trial_event(made, NOW, "00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    assert (sent.type, sent.status) == (TEST, DeliveryStatus.PENDING)
    (parcel,) = await claim(house, made)
    await house.webhooks.settle([tried(parcel, DOWN)])
    assert (await house.webhooks.get(MERCHANT, made.id)).failing_since is None
    assert (await house.webhooks.delivery(MERCHANT, sent.id)).delivery.status is DeliveryStatus.FAILED


async def test_both_secrets_go_along_while_the_old_one_lasts(house: House) -> None:
    soon, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    rotated = await ready(house, old_secret=b"older", old_secret_until=soon)
    worn = await add(house, event_types=("payment.captured",), old_secret=b"older", old_secret_until=past)
    await captured(house.books)
    await house.webhooks.fan_out(100)
    assert {parcel.secrets for parcel in await claim(house, rotated)} == {(b"sealed", b"older")}
    assert {parcel.secrets for parcel in await claim(house, worn)} == {(b"sealed",)}


# ── lanes and lists ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_lanes_are_walked_a_few_at_a_time(house: House) -> None:
    made = sorted([await add(house, event_types=("payment.captured",)) for _ in range(5)], key=lambda one: one.id)
    quiet = await add(house, event_types=("refund.failed",))
    for _ in range(3):
        await captured(house.books)
    await house.webhooks.fan_out(100)
    first = await house.webhooks.lanes(("", ""), 2)
    second = await house.webhooks.lanes(first[-1].place, 2)
    third = await house.webhooks.lanes(second[-1].place, 2)
    assert [lane.place[1] for lane in first + second + third] == [one.id for one in made]
    assert all(lane.due and not lane.failing for lane in first + second + third)
    assert quiet.id not in {lane.place[1] for lane in await house.webhooks.lanes(*ALL)}


async def test_deliveries_are_listed_page_by_page(house: House) -> None:
    made = await ready(house, 7)
    parcels = await claim(house, made, room=3)
    await house.webhooks.settle([tried(parcel) for parcel in parcels])
    seen: list[str] = []
    before = None
    while True:
        page = await house.webhooks.deliveries(MERCHANT, made.id, DeliveryQuery(before=before, limit=3))
        seen += [one.event_id for one in page.items]
        before = page.next
        if before is None:
            break
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)
    delivered = DeliveryQuery(frozenset({DeliveryStatus.DELIVERED}))
    found = await house.webhooks.deliveries(MERCHANT, made.id, delivered)
    assert {one.event_id for one in found.items} == {parcel.event_id for parcel in parcels}
    assert (await house.webhooks.deliveries("merchant_9", made.id, delivered)).items == []


async def test_a_page_that_looks_at_few_goes_on_behind_them(house: House) -> None:
    made = await ready(house, 5)
    oldest = (await claim(house, made, room=1))[0]
    await house.webhooks.settle([tried(oldest)])
    wanted, before, pages = frozenset({DeliveryStatus.DELIVERED}), None, 0
    found: list[str] = []
    while pages == 0 or before is not None:
        page = await house.webhooks.deliveries(MERCHANT, made.id, DeliveryQuery(wanted, before, look_at=2))
        found += [one.id for one in page.items]
        before, pages = page.next, pages + 1
    assert (found, pages) == ([oldest.id], 3)


async def test_how_much_waits(house: House) -> None:
    await ready(house, 2)
    depths = {depth.name: depth.value for depth in await house.webhooks.depths()}
    assert depths["webhook.pending"] == 2
    assert 0 <= depths["webhook.oldest_s"] < 60
