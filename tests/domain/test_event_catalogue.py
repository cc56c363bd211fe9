"""The catalogue of events holds every event there is, each with an example that the real methods have made."""

import re

from cleartill.domain.event_catalogue import DESCRIPTIONS, examples
from cleartill.domain.events import event_types
from cleartill.domain.webhook import TEST

TIME = re.compile(r"2026-01-15T12:00:0[02]\.000000Z")


def test_every_event_is_in_it_and_nothing_else() -> None:
    assert set(DESCRIPTIONS) == event_types() | {TEST}
    assert all(said.endswith(".") and len(said) < 120 for said in DESCRIPTIONS.values())


def test_every_example_is_a_cloud_event_of_its_type() -> None:
    found = examples()
    assert list(found) == list(DESCRIPTIONS)
    for type, event in found.items():
        assert (event["specversion"], event["type"], event["source"]) == ("1.0", type, "/cleartill")
        assert event["sequence"] >= (0 if type == TEST else 1)
        assert TIME.fullmatch(event["time"])
        assert event["traceparent"].startswith("00-")
        assert isinstance(event["data"], dict)


def test_an_example_shows_what_its_event_is_about() -> None:
    found = examples()
    for type, event in found.items():
        noun, _, what = type.partition(".")
        if (noun in ("refund", "deposit", "withdrawal") and what in ("succeeded", "failed", "in_doubt")) or (
            noun == "payment" and what not in ("created", "resolved", "needs_review")
        ):
            assert event["data"]["status"] == what
    assert found["payment.failed"]["data"]["decline"]["code"] == "insufficient_funds"
    assert found["payment.requires_action"]["data"]["action"]["type"] == "redirect"
    assert found["payment.resolved"]["data"]["status"] == "captured"
    assert found["webhook_endpoint.disabled"]["data"]["disabled_reason"] == "gone"
    assert found["withdrawal.in_doubt"]["data"]["dead_letter"]
    assert found["api_key.revoked"]["data"]["revoked_at"]
