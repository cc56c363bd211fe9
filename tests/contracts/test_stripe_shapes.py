"""Stripe where it differs from the acquirer: its failures, its memory for keys, its intents that know no time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import (
    ActionRequired,
    Approved,
    Declined,
    Disagrees,
    Found,
    Never,
    NotSent,
    NotYet,
    Outcome,
    Unknown,
)
from cleartill.ports import NoWatch, SystemClock
from cleartill.providers import Provider
from cleartill.providers.guard import Guard
from fakes.stripe import FakeStripe, StripeError
from real.providers import (
    PAYER_URL,
    authorization,
    authorized,
    impatiently,
    made,
    means,
    ready,
    reversal,
    stripe_shapes,
)

pytestmark = pytest.mark.enable_socket

CHALLENGED = "4000000000003220"
AWAY = StripeError(500, "api_error")
MANY_REQUESTS = StripeError(429, "invalid_request_error", "rate_limit")
IN_USE = StripeError(409, "idempotency_error", "idempotency_key_in_use")


class Later(SystemClock):
    """The real clock, moved."""

    by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
async def shapes() -> AsyncIterator[tuple[FakeStripe, str]]:
    async with stripe_shapes() as played:
        yield played


@pytest.fixture
def played(shapes: tuple[FakeStripe, str]) -> FakeStripe:
    return shapes[0]


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
async def stripe(shapes: tuple[FakeStripe, str], clock: Later) -> AsyncIterator[Provider]:
    async with made("stripe", means("", shapes[1], clock=clock)) as provider:
        yield provider


async def test_an_intent_carries_whose_it_is_and_nothing_of_the_card(stripe: Provider, played: FakeStripe) -> None:
    ask = await ready(stripe, authorization(currency="JPY", capture=False))
    intent = played.intents[str(ask.provider_payment_id)]
    assert intent["metadata"] == {"payment_id": ask.payment_id, "attempt_key": ask.attempt_key}
    assert (intent["amount"], intent["currency"], intent["capture_method"]) == (1234, "jpy", "manual")


async def test_preparing_twice_makes_one_intent(stripe: Provider, played: FakeStripe) -> None:
    ask = authorization()
    assert await stripe.prepare(ask) == await stripe.prepare(ask)
    assert len(played.intents) == 1


@pytest.mark.parametrize(("amount_minor", "currency"), [(5124, "KWD"), (12345, "MGA")])
async def test_an_amount_without_a_number_is_refused_before_anything_is_asked(
    stripe: Provider, played: FakeStripe, amount_minor: int, currency: str
) -> None:
    assert not stripe.takes(amount_minor, currency)
    ask = authorization(amount_minor=amount_minor, currency=currency)
    assert await stripe.prepare(ask) == Declined("processing_error")
    back = replace(reversal(Approved("pi_1"), "refund"), amount_minor=amount_minor, currency=currency)
    assert await stripe.capture(back) == Declined("processing_error")
    assert await stripe.refund(back) == Declined("processing_error")
    assert not played.asked


@pytest.mark.parametrize(("amount_minor", "code"), [(49, "processing_error"), (100_000_000, "limit_exceeded")])
async def test_stripes_own_limits_are_declines(stripe: Provider, amount_minor: int, code: str) -> None:
    assert await stripe.prepare(authorization(amount_minor=amount_minor)) == Declined(code)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(AWAY, Unknown("server_error")), (MANY_REQUESTS, NotSent("rate_limited")), (IN_USE, Unknown("in_progress"))],
    ids=["500", "429", "409"],
)
async def test_failures_are_no_declines(
    stripe: Provider, played: FakeStripe, failure: StripeError, outcome: Outcome
) -> None:
    ask = await ready(stripe, authorization())
    played.fail_next.append(failure)
    assert await stripe.authorize(ask) == outcome
    played.fail_next.append(failure)
    assert await stripe.lookup(ask) == NotYet()
    played.fail_next.append(failure)
    assert await stripe.prepare(authorization()) == outcome


async def test_a_wrong_key_opens_the_breaker(shapes: tuple[FakeStripe, str]) -> None:
    async with made("stripe", replace(means("", shapes[1]), stripe_secret_key="sk_test_revoked")) as stripe:
        guard = Guard(
            {"stripe": stripe}, in_flight=8, failures=2, open_s=30, breakers=None, watch=NoWatch(), clock=SystemClock()
        )
        for _ in range(2):
            async with guard.permit("stripe", time.monotonic() + 5) as permitted:
                assert await permitted.prepare(authorization()) == NotSent("credentials")
        with pytest.raises(ProviderUnavailable):
            async with guard.permit("stripe", time.monotonic() + 5):
                pass


async def test_who_must_act_may_until_the_time_is_over(stripe: Provider, played: FakeStripe, clock: Later) -> None:
    ask = await ready(stripe, authorization(CHALLENGED, expires_at=datetime.now(UTC) + timedelta(seconds=8)))
    asked = await stripe.authorize(ask)
    assert isinstance(asked, ActionRequired)
    assert await stripe.lookup(ask) == Found(asked)
    intent = played.intents[asked.provider_id]
    back = intent["next_action"]["redirect_to_url"]["return_url"]
    assert back == f"{PAYER_URL}?payment_id={ask.payment_id}"
    clock.by = timedelta(minutes=16)
    assert await stripe.lookup(ask) == Never()
    assert intent["status"] == "canceled"


async def test_who_acted_has_paid(stripe: Provider, played: FakeStripe) -> None:
    ask = await ready(stripe, authorization(CHALLENGED))
    asked = await stripe.authorize(ask)
    assert isinstance(asked, ActionRequired)
    played.pay(played.intents[asked.provider_id])
    found = await stripe.lookup(ask)
    assert isinstance(found, Found)
    assert isinstance(found.outcome, Approved)


async def test_an_action_may_be_ended_by_a_void(stripe: Provider) -> None:
    asked = await authorized(stripe, CHALLENGED)
    assert isinstance(asked, ActionRequired)
    assert await stripe.void(reversal(Approved(asked.provider_id), "void")) == Approved(asked.provider_id)


async def test_without_an_intent_it_is_never_once_its_time_has_surely_passed(stripe: Provider, clock: Later) -> None:
    ask = authorization(expires_at=datetime.now(UTC) + timedelta(seconds=60))
    assert await stripe.lookup(ask) == NotYet()
    clock.by = timedelta(seconds=62)
    assert await stripe.lookup(ask) == NotYet()  # by our clock; by another's not
    clock.by = timedelta(seconds=66)
    assert await stripe.lookup(ask) == Never()
    assert await stripe.authorize(replace(ask, provider_payment_id="pi_1")) == NotSent("deadline")


async def test_a_confirmation_and_a_tombstone_race_for_one_effect(stripe: Provider, played: FakeStripe) -> None:
    for _ in range(20):
        ask = await ready(stripe, authorization())
        outcome, found = await asyncio.gather(stripe.authorize(ask), stripe.lookup(ask))
        status = played.intents[str(ask.provider_payment_id)]["status"]
        if status == "succeeded":
            assert isinstance(outcome, Approved)
            assert found in (Found(outcome), NotYet())
        else:
            assert (status, found) == ("canceled", Never())
            assert outcome == Declined("not_charged", provider_id=ask.provider_payment_id)


async def test_an_intent_of_another_attempt_is_not_cancelled(stripe: Provider, played: FakeStripe) -> None:
    ask = await ready(stripe, authorization())
    assert await stripe.lookup(replace(ask, attempt_key="pay_x.authorize.1")) == Disagrees("kind")
    assert played.intents[str(ask.provider_payment_id)]["status"] == "requires_payment_method"


async def test_an_intent_that_another_account_has_is_no_never(stripe: Provider) -> None:
    assert await stripe.lookup(authorization(provider_payment_id="pi_of_another")) == NotYet()


async def test_a_refund_is_found_after_stripe_has_forgotten_its_key(stripe: Provider, played: FakeStripe) -> None:
    paid = await authorized(stripe)
    ask = reversal(paid, "refund", 100)
    first = await stripe.refund(ask)
    played.forget_keys()
    assert await stripe.refund(ask) == first
    assert len(played.refunds) == 1


async def test_a_pending_refund_is_followed_to_its_end(stripe: Provider, played: FakeStripe) -> None:
    paid = await authorized(stripe)
    played.refund_status = "pending"
    ask = reversal(paid, "refund", 100)
    assert await stripe.refund(ask) == Unknown("processing")
    assert await stripe.refund(ask) == Unknown("processing")
    played.refunds[0]["status"] = "succeeded"
    assert isinstance(await stripe.refund(ask), Approved)
    assert len(played.refunds) == 1


async def test_a_refund_is_not_sent_while_nobody_can_tell_of_earlier_ones(stripe: Provider, played: FakeStripe) -> None:
    paid = await authorized(stripe)
    played.fail_next.append(AWAY)
    assert await stripe.refund(reversal(paid, "refund", 100)) == NotSent("connect")
    assert played.refunds == []


@pytest.mark.parametrize("verb", ["capture", "void"])
async def test_a_failure_of_stripes_own_is_looked_behind(stripe: Provider, played: FakeStripe, verb: str) -> None:
    hold = await authorized(stripe, capture=False)
    ask = reversal(hold, verb)
    assert isinstance(await getattr(stripe, verb)(ask), Approved)
    played.fail_next.append(AWAY)
    assert isinstance(await getattr(stripe, verb)(ask), Approved)
    other = await authorized(stripe, capture=False)
    played.fail_next.append(AWAY)
    assert isinstance(await getattr(stripe, verb)(reversal(other, verb)), Unknown)


async def test_a_capture_is_found_after_stripe_has_forgotten_its_key(stripe: Provider, played: FakeStripe) -> None:
    hold = await authorized(stripe, capture=False)
    ask = reversal(hold, "capture", 1000)
    first = await stripe.capture(ask)
    played.forget_keys()
    assert await stripe.capture(ask) == first


async def test_neither_the_package_nor_we_log_a_card(
    stripe: Provider, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ask = await ready(stripe, authorization())
        assert isinstance(await impatiently(stripe, ask), Approved)
        assert isinstance(await authorized(stripe, "4000000000000002"), Declined)
    said = caplog.text + "".join(capfd.readouterr())
    assert "4111111111111111" not in said
    assert "4000000000000002" not in said
    assert "payment_method_data" not in said
