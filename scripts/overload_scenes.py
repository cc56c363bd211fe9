"""The scenes of scripts/overload: what is done to the service under load, and what TRUST promises meanwhile."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos_ear import Ear
from game_day_stack import kill
from overload_judge import BankBook, Figure, Told, agreed, manners, ms, percentile
from overload_outbox import TOPIC, drained, fill, forget
from overload_stack import PACE, Eye, Ground, Statsd

IN_FLIGHT = 64
"""Callers at once in the closed loops, as in `make bench`."""
LONGEST_S = 120.0
ONSET_S = 3.0
"""For two seconds it may be a burst, and is let in: p99 is of what comes after."""
BACK_WITHIN_S = 5.0
BUDGET_S, GRACE_S = 8.0, 0.5
SLOW_BANK_MS = 30_000


@dataclass
class Scale:
    """How long, and how much. `events`: of the outbox."""

    seconds: float
    events: int
    quick: bool = False


@dataclass
class Capacity:
    """Of this machine, with load, bank and stores on it."""

    per_s: float = 0.0
    in_flight: int = IN_FLIGHT
    p50_s: float = 0.0
    p99_s: float = 0.0


@dataclass
class Stage:
    ground: Ground
    statsd: Statsd
    scale: Scale
    say: Callable[[str], None]
    book: BankBook
    capacity: Capacity
    number: int = 0

    def name(self, what: str) -> str:
        """Of a load: no two have the same orders."""
        self.number += 1
        return f"{what}{self.number}"

    def run(self, what: str, seconds: float, *, rate: float = 0.0, in_flight: int = 0) -> Told:
        """A load on its own, to its end."""
        running = self.ground.load(self.name(what), seconds, rate=rate, in_flight=in_flight)
        return Told(running.run, running.calls())

    @contextlib.contextmanager
    def under(self, what: str, rate: float) -> Iterator[list[Told]]:
        """While something is done, an open load; the list has what it told, in the end."""
        running, told = self.ground.load(self.name(what), LONGEST_S, rate=rate), list[Told]()
        try:
            yield told
        finally:
            running.stop()
        told.append(Told(running.run, running.calls()))

    @property
    def half(self) -> float:
        return max(10.0, self.capacity.per_s / 2)


def capacity(stage: Stage) -> list[Figure]:
    """How many payments a second there are at most, in closed loops: the better of two."""
    stage.run("warm", 2.0, in_flight=IN_FLIGHT)
    found, figures, seconds = stage.capacity, list[Figure](), stage.scale.seconds / 2
    for in_flight in (IN_FLIGHT, 2 * IN_FLIGHT):
        told = stage.run("capacity", seconds, in_flight=in_flight)
        per_s, took = told.answered_per_s(told.began, told.began + seconds), told.took(201)
        p50_s, p99_s = percentile(took, 0.5), percentile(took, 0.99)
        if per_s > found.per_s:
            found.per_s, found.in_flight, found.p50_s, found.p99_s = per_s, in_flight, p50_s, p99_s
        shown = f"{per_s:,.0f}/s, p50 {ms(p50_s)}, p99 {ms(p99_s)}"
        figures += [Figure(f"{in_flight} in flight", "", shown, None), *manners(told)]
        figures += agreed(stage.ground, stage.book, told)
    return [Figure("capacity C", "", f"{found.per_s:,.0f}/s, p99 {ms(found.p99_s)}", None), *figures]


def twice(stage: Stage) -> list[Figure]:
    """2 C: twice as much as can be served."""
    return _too_much(stage, 2.0, 0.9)


def tenfold(stage: Stage) -> list[Figure]:
    """10 C: ten times as much as can be served."""
    return _too_much(stage, 10.0, 0.7)


def _too_much(stage: Stage, times: float, share: float) -> list[Figure]:
    found, seconds = stage.capacity, stage.scale.seconds
    with Eye(stage.ground) as eye:
        told = stage.run("much", seconds, rate=times * found.per_s)
        over = told.began + seconds
    then = stage.run("after", min(seconds, BACK_WITHIN_S), in_flight=found.in_flight)
    good = told.answered_per_s(told.began, told.began + seconds)
    steady, whole = (percentile(told.took(201, since=since), 0.99) for since in (told.began + ONSET_S, told.began))
    refusals, live = percentile(told.took(503), 0.99), percentile((took for _, took, _ in eye.live), 0.99)
    back = then.back_after(over, 0.9 * found.per_s)
    offered = len(told.calls["status"]) / seconds
    generator = f"{offered:,.0f}/s, {told.calls['dropped']} dropped, late by {ms(told.calls['late_s'])}"
    return [
        Figure("offered", f"{times * found.per_s:,.0f}/s", generator, None),
        Figure(
            "goodput", f"≥ {share:.0%} of C", f"{good:,.0f}/s, {good / found.per_s:.0%}", good >= share * found.per_s
        ),
        Figure(
            "p99 of the accepted",
            f"≤ 2 × {ms(found.p99_s)}",
            f"{ms(steady)} ({ms(whole)} with the first {ONSET_S} s); p50 {ms(percentile(told.took(201), 0.5))}",
            steady <= 2 * found.p99_s,
        ),
        Figure("p99 of a refusal", "≤ 250 ms", ms(refusals), refusals <= 0.25),
        Figure("p99 of liveness", "≤ 100 ms", ms(live), live <= 0.1),
        Figure(
            "back at 90 % of C", f"≤ {BACK_WITHIN_S:.0f} s", after(back), back is not None and back <= BACK_WITHIN_S
        ),
        Figure("memory of an API process", "< 250 MB", f"{eye.memory_mb:.0f} MB", eye.memory_mb < 250),
        *manners(told),
        *agreed(stage.ground, stage.book, told),
    ]


def after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


def bank_slow(stage: Stage) -> list[Figure]:
    """The bank takes 30 s to answer."""
    paid = stage.run("paid", 1.0, in_flight=1)
    payment = stage.ground.rows("SELECT id FROM transactions WHERE order_id #>> '{}' = %s", f"{paid.run}-0000000")[0][0]
    rate = min(stage.half, 100.0)
    with Eye(stage.ground, payment) as eye, stage.under("slow", rate) as tolds:
        stage.ground.conduct(delay_ms=SLOW_BANK_MS, jitter_ms=0)
        time.sleep(BUDGET_S + 4.0)
        stage.ground.conduct(**PACE)
        well_at = time.monotonic()
        time.sleep(5.0 + BACK_WITHIN_S + 2.0)
    told = tolds[0]
    doubt, reads = told.took(202), [(took, status) for _, took, status in eye.reads]
    slowest = max(doubt, default=0.0)
    read_p99 = percentile((took for took, _ in reads), 0.99)
    unread = sum(status not in (200, 503) for _, status in reads)
    back = told.back_after(well_at, 0.9 * rate)
    return [
        Figure(
            "202 within the budget",
            f"≤ {BUDGET_S:.0f} s",
            f"{len(doubt)}, slowest {slowest:.1f} s",
            slowest <= BUDGET_S + GRACE_S,
        ),
        Figure("p99 of a read meanwhile", "≤ 100 ms", ms(read_p99), read_p99 <= 0.1),
        Figure("reads that failed", "none", f"{unread} of {len(reads)}", not unread, timed=False),
        Figure("as before after", "breaker (5 s) + 5 s", after(back), back is not None and back <= 5.0 + BACK_WITHIN_S),
        *manners(told, 202),
        *agreed(stage.ground, stage.book, told),
    ]


def redis_dead(stage: Stage) -> list[Figure]:
    """Redis is killed."""
    seconds, before = min(4.0, stage.scale.seconds), stage.statsd.counts["ratelimit.degraded"]
    alive = stage.run("redis", seconds, rate=stage.half)
    kill(stage.ground.valkey)
    dead = stage.run("noredis", seconds, rate=stage.half)
    stage.ground.valkey.start()
    time.sleep(1.5)  # DogStatsD is told once a second
    degraded = stage.statsd.counts["ratelimit.degraded"] - before
    more = percentile(dead.took(201), 0.5) - percentile(alive.took(201), 0.5)
    return [
        Figure("p50 against before", "≤ 5 ms more", f"{more * 1000:+.1f} ms", more <= 0.005),
        Figure("counted in the process alone", "told by a metric", f"{degraded:,} requests", degraded > 0, timed=False),
        *manners(dead),
        *agreed(stage.ground, stage.book, dead),
    ]


def kafka_dead(stage: Stage) -> list[Figure]:
    """Kafka is killed, and as many events wait as come in hours."""
    kill(stage.ground.kafka)
    events = stage.scale.events
    told = stage.run("nokafka", min(5.0, stage.scale.seconds), rate=stage.half)
    stage.say(f"{events:,} events are put into the outbox")
    fill(stage.ground, events)
    stage.ground.kafka.start()
    with Ear(stage.ground.kafka.bootstrap_servers, TOPIC) as ear:
        drain = drained(stage.ground, events, ear, max(60.0, events / 1000))
    forget(stage.ground)
    return [
        Figure(
            "outbox drained",
            "≥ 1,000/s",
            f"{drain.events:,} events in {drain.seconds:.0f} s, {drain.per_s:,.0f}/s",
            drain.per_s >= 1000,
        ),
        Figure("lost or out of order", "none", "; ".join(drain.wrong) or "none", not drain.wrong, timed=False),
        *manners(told),
        *agreed(stage.ground, stage.book, told),
    ]
