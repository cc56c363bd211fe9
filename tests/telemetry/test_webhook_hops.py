"""A try to tell an endpoint: a piece of work in the trace of its payment, kept whole when it was not heard."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cleartill.domain.card import Secret
from cleartill.domain.webhook import Heard
from cleartill.ports import Letter, Origin
from cleartill.telemetry.catalog import check_span

URL = "https://shop.example/"
LETTER = Letter(URL, "evt_1", b"{}", (Secret("whsec_x"),), "", datetime(2026, 1, 15, tzinfo=UTC))
ORIGIN = Origin("deliver_webhook", "", "1" * 32, "2" * 16, keep=False)


@pytest.mark.parametrize(
    ("heard", "outcome", "tags", "deserving"),
    [
        (Heard(200, None, 1.0), "ok", {"event_id": "evt_1", "http.status_code": 200}, False),
        (Heard(500, None, 1.0), "failed", {"event_id": "evt_1", "http.status_code": 500}, True),
        (Heard(None, "timeout", 1.0), "failed", {"event_id": "evt_1", "reason": "timeout"}, True),
    ],
)
async def test_a_letter_is_a_hop(stage: Any, heard: Heard, outcome: str, tags: dict[str, Any], deserving: bool) -> None:
    stage.courier.answers[URL] = heard
    with stage.deck.background("webhook.deliver", ORIGIN) as here:
        assert here.trace_id == ORIGIN.trace_id
        assert await stage.till.courier.send(LETTER) == heard
    flight = stage.landed[-1]
    [leg] = flight.hops
    assert (leg.name, leg.outcome, leg.tags, flight.deserving) == ("webhook.send", outcome, tags, deserving)
    check_span(leg.name, frozenset(leg.tags))
    check_span(flight.name, frozenset())
    assert stage.heard.total("work.count") == 1


async def test_outside_of_any_work_it_is_sent_all_the_same(stage: Any) -> None:
    assert (await stage.till.courier.send(LETTER)).ok
    assert stage.courier.letters == [LETTER]
