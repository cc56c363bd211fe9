"""A place in the bulkhead, time left, and a second try only where that is safe."""

import asyncio
from typing import Any

import pytest

from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Declined, NotSent, Outcome, Unknown
from cleartill.ports import Provider
from cleartill.providers import guard as guard_module
from cleartill.providers.wire import Wire

FAILURES = 3
OPEN_S = 5.0
YES = Approved("bnk_1")
NO = Declined("card_declined", "05")
SILENCE = Unknown("timeout")
NO_LINE = NotSent("connect")


async def test_calls_run_side_by_side_up_to_the_bound_and_in_order(kit: Any) -> None:
    gate = asyncio.Event()

    async def wait() -> Outcome:
        await gate.wait()
        return YES

    bench = kit.Bench([wait] * 12, in_flight=8)
    served: list[int] = []

    async def numbered(number: int) -> None:
        await bench.pay()
        served.append(number)

    calls = [asyncio.create_task(numbered(number)) for number in range(12)]
    await kit.turns()
    assert bench.provider.at_once == 8
    gate.set()
    await asyncio.gather(*calls)
    assert bench.provider.most_at_once == 8
    assert served == list(range(12))


async def test_a_full_bulkhead_refuses_after_a_short_wait(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "QUEUE_S", 0.01)
    bench = kit.Bench(in_flight=1)
    async with bench.permit():
        await bench.refused()
    assert bench.notes.of("guard.rejected") == ["bulkhead_full"]
    assert await bench.pay() == YES


async def test_who_would_wait_in_vain_is_refused_at_once(kit: Any) -> None:
    bench = kit.Bench(in_flight=1)
    async with bench.permit():
        bench.clock.at += 60.0  # the mean stay is now some seconds
    async with bench.permit():
        call = asyncio.create_task(bench.pay())
        await kit.turns()
        assert isinstance(call.exception(), ProviderUnavailable)
    assert bench.notes.of("guard.rejected") == ["bulkhead_full"]


async def test_the_queue_is_no_longer_than_the_bulkhead(kit: Any) -> None:
    bench = kit.Bench(in_flight=2)
    async with bench.permit(), bench.permit():
        waiting = [asyncio.create_task(bench.pay()) for _ in range(2)]
        await kit.turns()
        await bench.refused()
    assert await asyncio.gather(*waiting) == [YES, YES]


async def test_one_who_leaves_the_queue_takes_no_place_there_or_behind_it(kit: Any) -> None:
    bench = kit.Bench(in_flight=1)
    async with bench.permit():
        for _ in range(3):
            leaver = asyncio.create_task(bench.pay())
            await kit.turns()
            leaver.cancel()
            await asyncio.wait([leaver])
        stayer = asyncio.create_task(bench.pay())
        await kit.turns()
    assert await stayer == YES
    assert await bench.pay() == YES


async def test_who_queued_while_the_breaker_opened_is_refused_and_leaves_no_place_taken(kit: Any) -> None:
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    bench = kit.Bench([lambda: answer], in_flight=1, failures=1)
    first = asyncio.create_task(bench.pay())
    await kit.turns()
    second = asyncio.create_task(bench.pay())
    await kit.turns()
    answer.set_result(SILENCE)
    assert await first == SILENCE
    with pytest.raises(ProviderUnavailable):
        await second
    bench.clock.at += OPEN_S
    assert await bench.pay() == YES


async def test_a_provider_that_is_not_there_is_unavailable(kit: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        async with kit.Bench().guard.permit("nobody", 2000.0):
            pass


async def test_without_time_left_there_is_no_permit(kit: Any) -> None:
    bench = kit.Bench()
    with pytest.raises(ProviderUnavailable):
        await bench.pay(0.0)
    assert bench.notes.of("guard.rejected") == ["deadline"]


async def test_a_call_that_comes_too_late_is_not_made(kit: Any) -> None:
    bench = kit.Bench()
    async with bench.permit(1.0) as provider:
        bench.clock.at += 1.0
        assert await provider.refund(kit.back) == NotSent("deadline")
    assert bench.provider.asked == []
    assert bench.transitions == []


async def test_silence_until_the_deadline_is_unknown(kit: Any) -> None:
    bench = kit.Bench([kit.for_ever])
    assert await bench.pay(0.01) == Unknown("timeout")


async def test_a_deadline_that_strikes_before_a_byte_was_written_is_not_sent(kit: Any) -> None:
    class Connecting(Wire):
        async def _exchange(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    wire = Connecting("http://127.0.0.1:1")

    async def send() -> Outcome:
        reply = await wire.send("POST", "/v1/authorizations", {})
        assert not isinstance(reply, Approved)
        return SILENCE

    bench = kit.Bench([send])
    assert await bench.pay(0.01) == NotSent("deadline")


async def test_a_provider_that_times_out_by_itself_is_unknown(kit: Any) -> None:
    bench = kit.Bench([TimeoutError()])
    assert await bench.pay() == Unknown("timeout")


@pytest.mark.parametrize("first", [NO_LINE, Unknown("reset")], ids=str)
@pytest.mark.parametrize("verb", ["authorize", "capture", "void", "refund"])
async def test_what_is_safe_is_asked_once_more_with_the_same_key(kit: Any, first: Outcome, verb: str) -> None:
    bench = kit.Bench([first, YES])
    ask = kit.ask if verb == "authorize" else kit.back
    async with bench.permit() as provider:
        assert await getattr(provider, verb)(ask) == YES
    assert bench.provider.asked == [ask, ask]
    assert bench.transitions == []


@pytest.mark.parametrize("first", [SILENCE, Unknown("server_error"), Unknown("unreadable"), NO, YES], ids=str)
async def test_nothing_else_is_asked_twice(kit: Any, first: Outcome) -> None:
    bench = kit.Bench([first])
    assert await bench.pay() == first
    assert len(bench.provider.asked) == 1


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ([NO_LINE, NO_LINE], NO_LINE),
        ([Unknown("reset"), NO_LINE], Unknown("reset")),
        ([NO_LINE, SILENCE], SILENCE),
        ([Unknown("reset"), SILENCE], SILENCE),
        ([Unknown("reset"), NO], NO),
    ],
    ids=str,
)
async def test_not_sent_only_if_no_try_wrote_a_byte(kit: Any, lines: list[Any], outcome: Outcome) -> None:
    bench = kit.Bench(lines)
    assert await bench.pay() == outcome
    assert len(bench.provider.asked) == 2


async def test_there_is_no_second_try_without_time_left(kit: Any) -> None:
    bench = kit.Bench()

    async def takes_all_the_time() -> Outcome:
        bench.clock.at += 8.0
        return Unknown("reset")

    bench.provider.lines.append(takes_all_the_time)
    assert await bench.pay() == Unknown("reset")
    assert len(bench.provider.asked) == 1


async def test_a_failure_that_the_second_try_mends_does_not_count(kit: Any) -> None:
    bench = kit.Bench([Unknown("reset"), YES] * FAILURES * 2)
    for _ in range(FAILURES * 2):
        assert await bench.pay() == YES
    assert bench.transitions == []


async def test_ping_asks_the_provider_itself(kit: Any) -> None:
    async with kit.Bench().permit() as provider:
        checked: Provider = provider
        with pytest.raises(ConnectionError):
            await checked.ping()
