"""A guard before a scripted provider, on a clock that is wound by hand; it comes to tests as the fixture `kit`."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from cleartill.domain.card import Card, Cvv, Pan, Secret
from cleartill.domain.errors import ProviderUnavailable
from cleartill.domain.outcome import Approved, Declined, Finding, NotSent, NotYet, Outcome, Unknown
from cleartill.ports import Asked, Authorization, Breakers, Reversal
from cleartill.providers import guard as guard_module
from cleartill.providers.guard import Guard

FAILURES = 3
OPEN_S = 5.0
SOON = datetime(2030, 1, 1, tzinfo=UTC)
ASK = Authorization(
    "pay_1.authorize.1",
    "pay_1",
    100,
    "EUR",
    Card(Pan("4111111111111111"), 1, 2031, Cvv("123"), Secret("A")),
    True,
    SOON,
)
BACK = Reversal("pay_1.refund.1", "bnk_1", 100, "EUR", SOON)
YES = Approved("bnk_1")
NO = Declined("card_declined", "05")
SILENCE = Unknown("timeout")
NO_LINE = NotSent("connect")


class HandClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> datetime:
        return SOON

    def monotonic(self) -> float:
        return self.at


class Notes:
    """A Watch that remembers."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []
        self.gauges: dict[str, float] = {}

    def count(self, name: str, value: float = 1, **tags: str) -> None:
        self.counted.append((name, tags.get("to") or tags.get("reason") or ""))

    def gauge(self, name: str, value: float, **tags: str) -> None:
        self.gauges[name] = value

    def observe(self, name: str, value: float, **tags: str) -> None:
        self.gauges[name] = value

    def of(self, name: str) -> list[str]:
        return [what for counted, what in self.counted if counted == name]


Line = str | Outcome | Exception | Callable[[], Awaitable[Outcome]]


class Scripted:
    """A provider that says its lines in turn, then approves; `asked` holds what it was asked."""

    name, prepares, needs_card = "bank", True, True

    def __init__(self, lines: Iterable[Line] = (), finding: Finding | Exception = NotYet()) -> None:  # noqa: B008
        self.lines = deque(lines)
        self.finding = finding
        self.asked: list[Authorization | Reversal] = []
        self.at_once = 0
        self.most_at_once = 0

    async def authorize(self, ask: Authorization | Reversal) -> Any:
        self.asked.append(ask)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            line = self.lines.popleft() if self.lines else YES
            if isinstance(line, Exception):
                raise line
            return await line() if callable(line) else line
        finally:
            self.at_once -= 1

    capture = void = refund = authorize

    def takes(self, amount_minor: int, currency: str) -> bool:
        return currency == "EUR"

    async def prepare(self, ask: Authorization) -> str | Outcome:
        return await self.authorize(ask)

    async def lookup(self, ask: Asked) -> Finding:
        if isinstance(self.finding, Exception):
            raise self.finding
        return self.finding

    async def ping(self) -> None:
        raise ConnectionError("away")


class Shared:
    """Breakers as Redis keeps them, on the hand clock."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.until: dict[str, float] = {}
        self.rounds = 0

    async def open_until(self, name: str) -> float | None:
        self.rounds += 1
        left = self.until.get(name, 0.0) - self.clock.at
        return left if left > 0 else None

    async def opened(self, name: str, for_s: float) -> None:
        self.rounds += 1
        self.until[name] = self.clock.at + for_s

    async def closed(self, name: str) -> None:
        self.rounds += 1
        self.until.pop(name, None)


class Bench:
    """A guard before one scripted provider."""

    def __init__(
        self,
        lines: Iterable[Line] = (),
        *,
        in_flight: int = 64,
        failures: int = FAILURES,
        breakers: Breakers | None = None,
        clock: HandClock | None = None,
        finding: Finding | Exception = NotYet(),  # noqa: B008
    ) -> None:
        self.clock = clock or HandClock()
        self.notes = Notes()
        self.provider = Scripted(lines, finding)
        self.guard = Guard(
            {"bank": self.provider},
            in_flight=in_flight,
            failures=failures,
            open_s=OPEN_S,
            breakers=breakers,
            watch=self.notes,
            clock=self.clock,
        )

    def permit(self, left_s: float = 8.0) -> Any:
        return self.guard.permit("bank", self.clock.at + left_s)

    async def pay(self, left_s: float = 8.0) -> Outcome:
        async with self.permit(left_s) as provider:
            return await provider.authorize(ASK)

    async def refused(self) -> ProviderUnavailable:
        with pytest.raises(ProviderUnavailable) as refused:
            await self.pay()
        return refused.value

    @property
    def transitions(self) -> list[str]:
        return self.notes.of("breaker.transition")


async def opened(**options: Any) -> Bench:
    """A bench whose breaker has just opened."""
    bench = Bench([SILENCE] * FAILURES, **options)
    for _ in range(FAILURES):
        await bench.pay()
    assert bench.transitions == ["open"]
    return bench


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def for_ever() -> Outcome:
    await asyncio.Event().wait()
    return YES


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "RETRY_PAUSE_S", 0.0)


@pytest.fixture
def kit() -> SimpleNamespace:
    """The words of the guard's tests."""
    return SimpleNamespace(
        Bench=Bench,
        HandClock=HandClock,
        Shared=Shared,
        opened=opened,
        turns=turns,
        for_ever=for_ever,
        ask=ASK,
        back=BACK,
    )
