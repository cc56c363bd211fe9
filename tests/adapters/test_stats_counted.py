"""A merchant's figures on real rows: equal to counting one by one, whatever lives the payments led."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.adapters.postgres.stats import PostgresStats
from cleartill.domain.outcome import Approved, Declined, NotSent, Unknown
from cleartill.domain.payment import Payment
from cleartill.domain.refund import Refund
from cleartill.domain.stats import Step, Window, point_of, stats
from cleartill.ports import PaymentQuery, RefundQuery, TooMany
from real import MERCHANT, Room
from real.listing import START, give_back, put, settled

OTHER = "merchant_456"
SAID = (Approved("bnk_1"), Approved("bnk_2"), Declined("do_not_honor", "05"), Declined("lost_card", "41"),
        Declined("provider_unavailable"), NotSent("connect"), Unknown("timeout"))  # fmt: skip
UNTIL = START + timedelta(hours=3)


async def lives(room: Room, seed: int) -> None:
    """Payments over four hours, some before and some after the window, by a merchant and by another."""
    dice = random.Random(seed)
    for _ in range(60):
        at = dice.uniform(-1800, 3 * 3600 + 1800)
        fields: dict[str, Any] = {
            "merchant_id": dice.choice([MERCHANT, MERCHANT, OTHER]),
            "amount_minor": dice.randrange(100, 10**9),
            "currency": dice.choice(["USD", "JPY", "BHD"]),
        }
        if dice.random() < 0.1:
            await put(room.books, at, **fields)
            continue
        made = await settled(room.books, at, dice.choice(SAID), **fields)
        while made.status in ("captured", "partially_refunded") and dice.random() < 0.4:
            said = dice.choice([Approved("bnk_r"), Declined("do_not_honor", "05"), None])
            await give_back(room.books, made, at + dice.uniform(0, 3600), said, provider="bank")


async def every(room: Room, merchant_id: str) -> tuple[list[Payment], list[Refund]]:
    payments = await room.reads.payments(merchant_id, PaymentQuery(limit=1_000))
    refunds = await room.reads.refunds(merchant_id, RefundQuery(limit=1_000))
    return payments.items, refunds.items


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("step", list(Step))
async def test_equal_to_counting_one_by_one(room: Room, seed: int, step: Step) -> None:
    await lives(room, seed)
    since = UNTIL - timedelta(hours=3)
    for merchant_id in (MERCHANT, OTHER):
        tallies = await PostgresStats(room.pool).tallies(merchant_id, since, UNTIL, step)
        said = stats(merchant_id, tallies, Window.DAY, step, since, UNTIL)

        payments, refunds = await every(room, merchant_id)
        payments = [one for one in payments if since <= one.created_at < UNTIL]
        refunds = [one for one in refunds if since <= one.created_at < UNTIL and one.status == "succeeded"]
        assert said["payments"] == len(payments)
        assert said["by_status"] == dict(sorted(Counter(str(one.status) for one in payments).items()))
        captured, refunded = Counter[str](), Counter[str]()
        for payment in payments:
            captured[payment.currency] += payment.amount_captured_minor
        for refund in refunds:
            refunded[refund.currency] += refund.amount_minor
        money = {one["currency"]: (one["amount_captured_minor"], one["amount_refunded_minor"]) for one in said["money"]}
        moved = {code for code in captured | refunded if captured[code] or refunded[code]}
        assert money == {code: (captured[code], refunded[code]) for code in moved}
        no = [one.decline.code for one in payments if one.status == "failed" and one.decline]
        assert {one["code"]: one["count"] for one in said["declines"]} == Counter(
            code for code in no if code != "provider_unavailable"
        )
        at = Counter(point_of(one.created_at, step) for one in payments)
        assert {datetime.fromisoformat(one["at"]): one["payments"] for one in said["points"] if one["payments"]} == at
        assert sum(one["refunds"] for one in said["points"]) == len(refunds) == said["refunds"]


async def test_the_edges_of_a_window_are_exact(room: Room) -> None:
    micro = timedelta(microseconds=1)
    for number, at in enumerate((START - micro, START, UNTIL - micro, UNTIL)):
        await put(room.books, (at - START).total_seconds() + number / 1000, created_at=at)
    tallies = await PostgresStats(room.pool).tallies(MERCHANT, START, UNTIL, Step.HOUR)
    assert sum(one.count for one in tallies) == 2


async def test_more_than_may_be_counted_is_refused(room: Room) -> None:
    for number in range(3):
        await put(room.books, number)
    assert await PostgresStats(room.pool, most=3).tallies(MERCHANT, START, UNTIL, Step.HOUR)
    with pytest.raises(TooMany):
        await PostgresStats(room.pool, most=2).tallies(MERCHANT, START, UNTIL, Step.HOUR)


def test_points_begin_with_their_hour_in_utc() -> None:
    at = datetime(2026, 1, 15, 12, 34, 56, 789, tzinfo=UTC)
    assert point_of(at, Step.MINUTE) == datetime(2026, 1, 15, 12, 34, tzinfo=UTC)
    assert point_of(at, Step.HOUR) == datetime(2026, 1, 15, 12, tzinfo=UTC)
