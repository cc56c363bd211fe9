"""What the wrapper around a provider says of each answer, and that it hides nothing of the provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import get_args

import pytest

from cleartill.domain.outcome import ActionRequired, Approved, Disagrees, Finding, Found, Never, NotSent, Outcome
from cleartill.ports import Asked, Authorization, Inquiry, Provider, Reversal
from cleartill.telemetry.edges import MEANINGS, ObservedProviders
from fakes.world import FakeWatch

SOON = datetime(2030, 1, 1, tzinfo=UTC)
ASK = Authorization("pay_1.authorize.1", "pay_1", 100, "EUR", None, True, SOON)
INQUIRY = Inquiry("pay_1.authorize.1", "pay_1", 100, "EUR", SOON, "pi_1")
CHALLENGE = ActionRequired("pi_1", "https://bank.example/challenge")


class Answering:
    """A provider, and those who give the right to ask it."""

    name, prepares, needs_card = "stripe", True, False

    def __init__(self) -> None:
        self.says: object = "pi_1"

    @asynccontextmanager
    async def permit(self, name: str, deadline: float) -> AsyncIterator[Provider]:
        yield self  # type: ignore[misc]

    def takes(self, amount_minor: int, currency: str) -> bool:
        return amount_minor == 100

    async def prepare(self, ask: Authorization | Asked | Reversal) -> object:
        return self.says

    authorize = lookup = prepare


@pytest.mark.parametrize(
    ("operation", "says", "outcome"),
    [
        ("prepare", "pi_1", "prepared"),
        ("prepare", NotSent("credentials"), "not_sent"),
        ("authorize", CHALLENGE, "action_required"),
        ("lookup", Found(CHALLENGE), "action_required"),
        ("lookup", Found(Approved("pi_1")), "approved"),
        ("lookup", Never(), "never"),
        ("lookup", Disagrees("amount"), "disagrees"),
    ],
)
async def test_each_answer_is_counted_by_its_meaning(operation: str, says: object, outcome: str) -> None:
    provider, watch = Answering(), FakeWatch()
    provider.says = says
    async with ObservedProviders(provider, watch).permit("stripe", 1.0) as observed:
        assert await getattr(observed, operation)(INQUIRY if operation == "lookup" else ASK) == says
    tags = {"provider": "stripe", "operation": operation, "outcome": outcome}
    assert ("provider.call", 1, tags) in watch.seen


async def test_what_a_provider_is_like_can_be_seen() -> None:
    async with ObservedProviders(Answering(), FakeWatch()).permit("stripe", 1.0) as observed:
        assert (observed.name, observed.prepares, observed.needs_card) == ("stripe", True, False)
        assert observed.takes(100, "EUR")
        assert not observed.takes(101, "EUR")


def test_every_answer_has_a_meaning() -> None:
    assert {*get_args(Outcome), *get_args(Finding), str} - {Found} <= MEANINGS.keys()
