"""Stripe's provider against localstripe, whose author read the same documentation as we did, without us.

It knows no idempotency keys, no 3-D Secure by redirect and few declines: what needs those is promised on our own
shapes (see test_provider_contract).
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cleartill.domain.outcome import Approved, Declined, Disagrees, Found, Never, NotSent, NotYet, Unknown
from cleartill.embedded.child import StartFailed
from cleartill.providers import Provider
from real.localstripe import install_localstripe, localstripe
from real.providers import authorization, authorized, made, means, ready, reversal

pytestmark = pytest.mark.enable_socket

DECLINED = "4000000000000002"
CHALLENGED = "4000000000003220"


@pytest.fixture(scope="module")
def url(scratch: Path) -> Iterator[str]:
    try:
        install_localstripe(scratch)
    except StartFailed as failed:
        pytest.skip(f"localstripe cannot be had here: {failed}")
    with localstripe(scratch) as address:
        yield address


@pytest.fixture
async def stripe(url: str) -> AsyncIterator[Provider]:
    async with made("stripe", means("", url)) as provider:
        yield provider


async def test_a_payment_is_taken_and_given_back_in_parts(stripe: Provider) -> None:
    ask = await ready(stripe, authorization())
    paid = await stripe.authorize(ask)
    assert isinstance(paid, Approved)
    assert paid.provider_id == ask.provider_payment_id
    assert str(paid.bank_reference).startswith("ch_")
    assert await stripe.lookup(ask) == Found(paid)
    back = reversal(paid, "refund", 400)
    first = await stripe.refund(back)
    assert isinstance(first, Approved)
    assert first.provider_id.startswith("re_")
    # Found among the payment's refunds: without idempotency keys a second one would be made.
    assert await stripe.refund(back) == first
    assert isinstance(await stripe.refund(reversal(paid, "refund", 834)), Approved)


async def test_a_hold_is_captured_in_part(stripe: Provider) -> None:
    hold = await authorized(stripe, capture=False)
    assert isinstance(await stripe.capture(reversal(hold, "capture", 1000)), Approved)


async def test_a_hold_is_captured_whole_and_no_more(stripe: Provider) -> None:
    hold = await authorized(stripe, capture=False)
    assert isinstance(await stripe.capture(reversal(hold, "capture", 1235)), Declined)
    assert isinstance(await stripe.capture(reversal(hold, "capture")), Approved)
    assert isinstance(await stripe.void(reversal(hold, "void")), Declined)


async def test_a_hold_is_released(stripe: Provider) -> None:
    hold = await authorized(stripe, capture=False)
    assert isinstance(await stripe.void(reversal(hold, "void")), Approved)


async def test_what_was_never_confirmed_never_happens_and_cannot_any_more(stripe: Provider) -> None:
    ask = await ready(stripe, authorization())
    assert await stripe.lookup(ask) == Never()
    assert isinstance(await stripe.authorize(ask), Declined)
    assert await stripe.lookup(ask) == Never()


async def test_a_decline_is_found_later(stripe: Provider) -> None:
    ask = await ready(stripe, authorization(DECLINED))
    assert isinstance(await stripe.authorize(ask), Declined)
    assert await stripe.lookup(ask) == Found(Declined("card_declined", provider_id=ask.provider_payment_id))


async def test_an_action_that_has_no_page_is_ended(stripe: Provider) -> None:
    ask = await ready(stripe, authorization(CHALLENGED))
    assert await stripe.authorize(ask) == Unknown("processing")
    assert await stripe.lookup(ask) == Never()


async def test_an_intent_that_is_not_ours_is_left_alone(stripe: Provider) -> None:
    ask = await ready(stripe, authorization())
    assert await stripe.lookup(replace(ask, attempt_key="pay_other.authorize.1")) == Disagrees("kind")
    assert await stripe.lookup(replace(ask, amount_minor=1235)) == Disagrees("amount")
    assert isinstance(await stripe.authorize(ask), Approved)


async def test_what_has_no_intent_is_never_once_its_time_has_passed(stripe: Provider) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    assert await stripe.lookup(authorization()) == NotYet()
    assert await stripe.lookup(authorization(expires_at=past)) == Never()
    assert await stripe.authorize(authorization()) == NotSent("unprepared")


async def test_a_wrong_key_moves_nothing(url: str) -> None:
    async with made("stripe", replace(means("", url), stripe_secret_key="not-a-key")) as stripe:
        assert await stripe.prepare(authorization()) == NotSent("credentials")
        assert await stripe.lookup(authorization(provider_payment_id="pi_1")) == NotYet()


async def test_it_is_well(stripe: Provider) -> None:
    await stripe.ping()
