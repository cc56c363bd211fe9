"""The breaker: what opens it, what does not, its one probe, and how processes share it."""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Declined, Finding, Found, Never, NotSent, NotYet, Outcome, Unknown
from cleartill.providers import guard as guard_module

FAILURES = 3
OPEN_S = 5.0
YES = Approved("bnk_1")
NO = Declined("card_declined", "05")
SILENCE = Unknown("timeout")
NO_LINE = NotSent("connect")


@pytest.mark.parametrize("failure", [SILENCE, Unknown("server_error"), RuntimeError("a bug")], ids=str)
async def test_failures_in_a_row_open_the_breaker_which_refuses(kit: Any, failure: Any) -> None:
    bench = kit.Bench([failure] * FAILURES)
    for _ in range(FAILURES):
        assert isinstance(await bench.pay(), Unknown)
    refused = await bench.refused()
    assert refused.retry_after_s == 5
    assert len(bench.provider.asked) == FAILURES
    assert bench.notes.of("guard.rejected") == ["breaker_open"]


async def test_refused_connections_open_the_breaker(kit: Any) -> None:
    bench = kit.Bench([NO_LINE] * 2 * FAILURES)
    assert [await bench.pay() for _ in range(FAILURES)] == [NO_LINE] * FAILURES
    await bench.refused()


async def test_the_refusal_counts_the_seconds_down(kit: Any) -> None:
    bench = await kit.opened()
    bench.clock.at += 3.5
    assert (await bench.refused()).retry_after_s == 2


@pytest.mark.parametrize("between", [YES, NO], ids=["approved", "declined"])
async def test_a_clear_answer_ends_the_row(kit: Any, between: Outcome) -> None:
    bench = kit.Bench(([SILENCE] * (FAILURES - 1) + [between]) * 3)
    for _ in range(FAILURES * 3):
        await bench.pay()
    assert bench.transitions == []


async def test_declines_never_trip_it(kit: Any) -> None:
    bench = kit.Bench([NO] * 100)
    assert [await bench.pay() for _ in range(100)] == [NO] * 100
    assert bench.transitions == []


async def test_cancellations_never_trip_it_and_are_raised(kit: Any) -> None:
    bench = kit.Bench([kit.for_ever] * 20)
    calls = [asyncio.create_task(bench.pay()) for _ in range(20)]
    await kit.turns()
    for call in calls:
        call.cancel()
    assert {type(end) for end in await asyncio.gather(*calls, return_exceptions=True)} == {asyncio.CancelledError}
    assert bench.transitions == []
    assert await bench.pay() == YES


async def test_half_open_lets_one_probe_of_fifty_through_and_recovers(kit: Any) -> None:
    bench = await kit.opened()
    asked_before = len(bench.provider.asked)
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    bench.provider.lines.append(lambda: answer)
    bench.clock.at += OPEN_S
    calls = [asyncio.create_task(bench.pay()) for _ in range(50)]
    await kit.turns()
    assert len(bench.provider.asked) == asked_before + 1
    answer.set_result(YES)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert ends.count(YES) == 1
    assert sum(isinstance(end, ProviderUnavailable) for end in ends) == 49
    assert bench.transitions == ["open", "half_open", "closed"]
    assert [await bench.pay() for _ in range(5)] == [YES] * 5


async def test_a_failed_probe_opens_it_again_for_the_whole_time(kit: Any) -> None:
    bench = await kit.opened()
    bench.provider.lines.append(SILENCE)
    bench.clock.at += OPEN_S
    await bench.pay()
    assert bench.transitions == ["open", "half_open", "open"]
    assert (await bench.refused()).retry_after_s == 5


async def test_a_declined_probe_closes_it(kit: Any) -> None:
    bench = await kit.opened()
    bench.provider.lines.append(NO)
    bench.clock.at += OPEN_S
    await bench.pay()
    assert bench.transitions[-1] == "closed"


async def test_a_cancelled_probe_neither_closes_nor_opens_it(kit: Any) -> None:
    bench = await kit.opened()
    bench.provider.lines.append(kit.for_ever)
    bench.clock.at += OPEN_S
    probe = asyncio.create_task(bench.pay())
    await kit.turns()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert bench.transitions == ["open", "half_open"]
    assert await bench.pay() == YES
    assert bench.transitions[-1] == "closed"


async def test_an_unused_permit_gives_its_place_and_the_probe_back(kit: Any) -> None:
    bench = await kit.opened(in_flight=1)
    bench.clock.at += OPEN_S
    async with bench.permit():
        await bench.refused()
    assert bench.transitions == ["open", "half_open"]
    assert await bench.pay() == YES


async def test_a_probe_out_of_time_says_nothing(kit: Any) -> None:
    bench = await kit.opened()
    bench.clock.at += OPEN_S
    async with bench.permit(1.0) as provider:
        bench.clock.at += 2.0
        assert await provider.authorize(kit.ask) == NotSent("deadline")
    assert bench.transitions == ["open", "half_open"]


async def test_a_late_failure_from_before_it_opened_changes_nothing(kit: Any) -> None:
    answers: list[asyncio.Future[Outcome]] = [asyncio.get_running_loop().create_future() for _ in range(4)]
    bench = kit.Bench([lambda answer=answer: answer for answer in answers])  # type: ignore[misc]
    calls = [asyncio.create_task(bench.pay()) for _ in answers]
    await kit.turns()
    for answer in answers[:FAILURES]:
        answer.set_result(SILENCE)
    await kit.turns()
    assert bench.transitions == ["open"]
    bench.clock.at += OPEN_S
    async with bench.permit() as probe:
        answers[FAILURES].set_result(SILENCE)
        await asyncio.gather(*calls)
        assert bench.transitions == ["open", "half_open"]
        assert await probe.authorize(kit.ask) == YES
    assert bench.transitions == ["open", "half_open", "closed"]


@pytest.mark.parametrize(
    ("finding", "last"), [(Found(YES), "closed"), (Never(), "closed"), (NotYet(), "half_open")], ids=str
)
async def test_a_lookup_can_be_the_probe(kit: Any, finding: Finding, last: str) -> None:
    bench = await kit.opened(finding=finding)
    bench.clock.at += OPEN_S
    async with bench.permit() as provider:
        assert await provider.lookup(kit.ask) == finding
    assert bench.transitions[-1] == last


async def test_a_lookup_that_fails_is_not_yet_and_counts(kit: Any) -> None:
    bench = kit.Bench(finding=RuntimeError("a bug"))
    for _ in range(FAILURES):
        async with bench.permit() as provider:
            assert await provider.lookup(kit.ask) == NotYet()
    assert bench.transitions == ["open"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share at every turn of the loop."""
    monkeypatch.setattr(guard_module, "SHARE_EVERY_S", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_a_breaker_opened_by_one_process_opens_in_the_others_and_each_recovers(kit: Any) -> None:
    clock = kit.HandClock()
    shared = kit.Shared(clock)
    one, other = (kit.Bench([SILENCE] * FAILURES * first, breakers=shared, clock=clock) for first in (1, 0))
    async with AsyncExitStack() as stack:
        for bench in (one, other):
            await bench.guard.start()
            stack.push_async_callback(bench.guard.close)
        for _ in range(FAILURES):
            await one.pay()
        await kit.turns()
        assert (await other.refused()).retry_after_s == 5
        clock.at += 2.0
        late = kit.Bench(breakers=shared, clock=clock)
        await late.guard.start()
        stack.push_async_callback(late.guard.close)
        await kit.turns()
        assert (await late.refused()).retry_after_s == 3
        clock.at += OPEN_S - 2.0
        assert (await one.pay(), await other.pay()) == (YES, YES)
        await kit.turns()
        assert shared.until == {}
        assert one.transitions == other.transitions == ["open", "half_open", "closed"]


@pytest.mark.usefixtures("at_once")
async def test_an_older_word_does_not_reopen_what_has_just_closed(kit: Any) -> None:
    clock = kit.HandClock()
    shared = kit.Shared(clock)
    bench = await kit.opened(breakers=shared, clock=clock)
    shared.until["bank"] = clock.at + OPEN_S + 0.3  # heard a little later than it was said
    clock.at += OPEN_S
    await bench.pay()
    await bench.guard.start()
    await kit.turns()
    await bench.guard.close()
    assert shared.until == {}
    assert bench.transitions[-1] == "closed"


async def test_a_request_never_waits_for_the_shared_state(kit: Any) -> None:
    clock = kit.HandClock()
    shared = kit.Shared(clock)
    bench = await kit.opened(breakers=shared, clock=clock)
    await bench.refused()
    assert shared.rounds == 0


@pytest.mark.usefixtures("at_once")
async def test_gauges_show_state_and_calls_in_flight(kit: Any) -> None:
    bench = await kit.opened()
    bench.clock.at += OPEN_S
    await bench.guard.start()
    async with bench.permit():
        await kit.turns()
        assert bench.notes.gauges == {"breaker.state": 1, "guard.inflight": 1}
    await kit.turns()
    assert bench.notes.gauges == {"breaker.state": 1, "guard.inflight": 0}
    await bench.guard.close()


@pytest.mark.usefixtures("at_once")
async def test_sharing_ends_though_its_cancellation_is_swallowed(kit: Any) -> None:
    clock = kit.HandClock()
    asked = asyncio.Event()

    class Deaf(kit.Shared):  # type: ignore[misc]
        async def open_until(self, name: str) -> float | None:
            asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return None

    bench = await kit.opened(breakers=Deaf(clock), clock=clock)
    await bench.guard.start()
    await asked.wait()
    await bench.guard.close()
    assert "guard.share" not in {task.get_name() for task in asyncio.all_tasks()}
