"""Who is let in, decided without a clock or a wire of its own."""

import pytest

from cleartill.api.admission import AGAIN_MAX_S, FEW, LOOK_S, MOST, STANDS_S, TARGET_S, Admission
from fakes import FakeWatch

STEP_S = 0.005


def come(door: Admission, callers: int, now: float) -> int:
    """How many of them are let in, and are in hand from then on."""
    let_in = 0
    for _ in range(callers):
        if door.admits(now):
            door.enter()
            let_in += 1
    return let_in


def answer(door: Admission, callers: int) -> None:
    for _ in range(callers):
        door.leave()


def beset(rate: int, seconds: float = 4 * STANDS_S) -> tuple[Admission, float, int]:
    """A door before which ten times as many stand as the `rate` a second that are answered; what time it is after it,
    and how many were in hand at most once it was known."""
    door, now, most = Admission(), 1000.0, 0
    for step in range(round(seconds / STEP_S)):
        now = 1000.0 + step * STEP_S
        come(door, round(10 * rate * STEP_S), now)
        if now > 1000.0 + seconds / 2:
            most = max(most, door.entered)
        answer(door, min(door.entered, round(rate * STEP_S)))
    return door, now, most


def test_after_a_calm_moment_a_burst_is_let_in() -> None:
    assert come(Admission(), 2 * MOST, 1000.0) == MOST


def test_a_crowd_that_stays_is_cut_to_what_is_answered_in_useful_time() -> None:
    rate = 1000
    assert FEW < rate * TARGET_S < MOST
    assert beset(rate)[2] == pytest.approx(rate * TARGET_S, rel=0.1)


def test_a_moments_standstill_is_no_reason_to_refuse() -> None:
    """Nobody is answered for a quarter of a second, in which 400/s come."""
    door, arrivals = Admission(), 100
    assert FEW < arrivals < MOST
    assert sum(come(door, 1, 1000.0 + number / 400) for number in range(arrivals)) == arrivals


def test_a_few_are_let_in_however_slow_it_is() -> None:
    assert beset(200)[2] == FEW


def test_however_fast_it_is_no_more_than_most() -> None:
    assert beset(10_000)[2] == MOST


def test_once_the_crowd_has_gone_a_burst_is_let_in_again() -> None:
    door, now, _ = beset(1000)
    answer(door, door.entered)
    for _ in range(2):  # the crowd's own time is looked at, and then a calm one
        now += LOOK_S
        assert come(door, 1, now) == 1
        answer(door, 1)
    assert come(door, 2 * MOST, now) == MOST


def test_who_waits_for_a_bank_is_not_in_our_hands() -> None:
    at_the_bank = 0
    door = Admission(lambda: at_the_bank)
    assert come(door, 2 * MOST, 1000.0) == MOST
    at_the_bank = MOST
    assert come(door, 2 * MOST, 1000.1) == MOST


@pytest.mark.parametrize(("callers", "answered", "seconds"), [(FEW, FEW, 1), (1000, 100, 10), (10_000, 1, AGAIN_MAX_S)])
def test_they_are_told_to_come_again_over_as_long_as_it_takes(callers: int, answered: int, seconds: int) -> None:
    door = Admission()
    come(door, FEW, 1000.0)
    let_in = come(door, callers - FEW, 1000.0)
    answer(door, answered)
    come(door, 1, 1000.0 + LOOK_S)
    away = callers - FEW - let_in
    assert door.retry_after_s == min(AGAIN_MAX_S, 1 + away // answered)
    assert door.retry_after_s <= seconds


def test_health_checks_are_always_let_in() -> None:
    assert not Admission.minds("/health/live")
    assert Admission.minds("/api/v1/payments/process")


def test_what_was_refused_is_counted_once_a_while() -> None:
    watch = FakeWatch()
    door = Admission(watch=watch)
    door.untold = 7
    door.tell()
    assert ("http.shed", 7, {}) in watch.seen
    assert ("http.request", 7, {"route": "shed", "status": "503"}) in watch.seen
    assert door.untold == 0
