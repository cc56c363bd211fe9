"""What the service promises is counted where it happens: decided payments, published events, in time or not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cleartill.domain.attempt import AttemptKind
from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.ports import OutboxRow
from cleartill.telemetry.decided import IN_TIME, count_decided


async def charged(stage: Any, outcome: Outcome) -> list[list[str]]:
    stage.bank.outcome = outcome
    with stage.deck.background("test") as origin:
        await stage.charge(origin)
    return [tags[3:] for tags in stage.heard.tags_of("payment.decided")]


async def test_an_approved_payment_is_decided(stage: Any) -> None:
    assert await charged(stage, Approved("bank_1")) == [["decision:approved", "in_time:yes"]]
    assert stage.heard.tags_of("payment.decided")[0][:3] == ["provider:bank", "brand:visa", "currency:USD"]


async def test_a_declined_payment_is_decided(stage: Any) -> None:
    assert await charged(stage, Declined("lost_card")) == [["decision:declined", "in_time:yes"]]


async def test_a_payment_that_nobody_heard_of_is_no_decline(stage: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        await charged(stage, NotSent("connect"))
    assert [tags[3] for tags in stage.heard.tags_of("payment.decided")] == ["decision:unreached"]
    assert stage.heard.tags_of("payment.count")[0][3] == "status:failed"


async def test_a_payment_the_bank_never_charged_is_no_decline(stage: Any) -> None:
    assert await charged(stage, Declined("not_charged")) == [["decision:unreached", "in_time:yes"]]


async def test_a_payment_in_doubt_is_not_decided(stage: Any) -> None:
    assert await charged(stage, Unknown("timeout")) == []
    assert stage.heard.tags_of("payment.count")[0][3] == "status:in_doubt"


@pytest.mark.parametrize(("late", "in_time"), [(timedelta(), "yes"), (timedelta(seconds=1), "no")])
async def test_the_promise_counts_from_the_attempt(stage: Any, late: timedelta, in_time: str) -> None:
    await stage.visit()
    unit = next(unit for kind, unit in stage.facts if kind == "payment.captured")
    fact = next(fact for fact in unit.facts if fact.type == "payment.captured")
    stage.heard.said.clear()
    count_decided(stage.metrics, unit, replace(fact, at=unit.attempt.expires_at + IN_TIME + late))
    assert stage.heard.tags_of("payment.decided")[0][4] == f"in_time:{in_time}"


async def test_a_capture_of_a_hold_decides_nothing_anew(stage: Any) -> None:
    await stage.visit()
    unit = next(unit for kind, unit in stage.facts if kind == "payment.captured")
    unit.attempt.kind = AttemptKind.CAPTURE
    stage.heard.said.clear()
    for fact in unit.facts:
        count_decided(stage.metrics, unit, fact)
    assert stage.heard.said == []


async def test_a_payment_that_was_given_up_is_not_decided(stage: Any) -> None:
    stage.bank.outcome = Declined("lost_card")
    await stage.visit()
    unit = next(unit for kind, unit in stage.facts if kind == "payment.failed")
    unit.payment.decline = None
    stage.heard.said.clear()
    for fact in unit.facts:
        count_decided(stage.metrics, unit, fact)
    assert stage.heard.said == []


async def test_events_are_published_in_time_or_not(stage: Any) -> None:
    now = datetime.now(UTC)
    made = [now, now + timedelta(hours=1), now - timedelta(seconds=60)]
    rows = [OutboxRow("m", "pay_1", seq, b"{}", "payment.captured", None, at=at) for seq, at in enumerate(made)]
    await stage.till.publisher.publish(rows)
    said = {tags[1]: value for _, name, value, tags in stage.heard.said if name == "outbox.published"}
    assert said == {"in_time:yes": 2, "in_time:no": 1}
    waited_ms = [value for _, name, value, _ in stage.heard.said if name == "outbox.wait"]
    assert 0 <= waited_ms[0] < 60_000  # the database's clock may be ahead of ours, and nothing waits for less than 0
    assert waited_ms[1] == 0
    assert waited_ms[2] >= 60_000
