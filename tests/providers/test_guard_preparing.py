"""The permit around `prepare`, and the answers that only some providers give."""

from typing import Any

import pytest

from cleartill.domain.outcome import ActionRequired, Approved, Declined, NotSent, Outcome, Unknown

FAILURES = 3
YES = Approved("bnk_1")


async def test_what_was_prepared_comes_through(kit: Any) -> None:
    bench = kit.Bench(["pi_1"])
    async with bench.permit() as provider:
        assert (provider.prepares, provider.needs_card) == (True, True)
        assert provider.takes(100, "EUR")
        assert not provider.takes(100, "USD")
        assert await provider.prepare(kit.ask) == "pi_1"


@pytest.mark.parametrize("first", [NotSent("connect"), Unknown("reset")], ids=str)
async def test_preparing_is_asked_once_more_with_the_same_key(kit: Any, first: Outcome) -> None:
    bench = kit.Bench([first, "pi_1"])
    async with bench.permit() as provider:
        assert await provider.prepare(kit.ask) == "pi_1"
    assert bench.provider.asked == [kit.ask, kit.ask]


async def test_preparing_has_the_same_deadline(kit: Any) -> None:
    bench = kit.Bench([kit.for_ever])
    async with bench.permit(0.01) as provider:
        assert await provider.prepare(kit.ask) == Unknown("timeout")


async def test_a_refusal_to_prepare_is_a_decline(kit: Any) -> None:
    bench = kit.Bench([Declined("limit_exceeded")])
    async with bench.permit() as provider:
        assert await provider.prepare(kit.ask) == Declined("limit_exceeded")


async def test_who_prepares_and_never_answers_is_not_well(kit: Any) -> None:
    bench = kit.Bench(["pi_1", Unknown("timeout")] * FAILURES)
    for _ in range(FAILURES):
        async with bench.permit() as provider:
            await provider.prepare(kit.ask)
            await provider.authorize(kit.ask)
    assert bench.transitions == ["open"]


async def test_who_cannot_even_prepare_is_not_well(kit: Any) -> None:
    bench = kit.Bench([Unknown("timeout")] * FAILURES)
    for _ in range(FAILURES):
        async with bench.permit() as provider:
            await provider.prepare(kit.ask)
    assert bench.transitions == ["open"]


@pytest.mark.parametrize("reason", ["credentials", "rate_limited", "connect"])
async def test_being_turned_away_opens_the_breaker(kit: Any, reason: str) -> None:
    bench = kit.Bench([NotSent(reason)] * FAILURES * 2)
    for _ in range(FAILURES):
        assert await bench.pay() == NotSent(reason)
    assert bench.transitions == ["open"]


@pytest.mark.parametrize("reason", ["credentials", "rate_limited"])
async def test_being_turned_away_is_not_asked_again_at_once(kit: Any, reason: str) -> None:
    bench = kit.Bench([NotSent(reason)])
    assert await bench.pay() == NotSent(reason)
    assert len(bench.provider.asked) == 1


async def test_asking_the_payer_says_that_the_provider_is_well(kit: Any) -> None:
    bench = await kit.opened()
    bench.clock.at += 5.0
    bench.provider.lines.append(ActionRequired("pi_1", "https://bank.example/challenge"))
    await bench.pay()
    assert bench.transitions == ["open", "half_open", "closed"]
